"""Jobs: run pods to completion, and count every one exactly once.

Each pod carries the finalizer `batch.kubernetes.io/job-tracking`. An ended pod is counted in three writes, any of which may be the last before a
crash: its uid goes into status.uncountedTerminatedPods, its finalizer is removed, its uid moves from there into succeeded or failed. A pod found
with a finalizer is still to be counted, a uid found without one has only to be moved: nothing is counted twice or lost.

A Job that is decided first gets SuccessCriteriaMet or FailureTarget, loses its remaining pods, and becomes Complete or Failed once all are gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from kubesim.controllers import indexes, jobrules, tally
from kubesim.controllers.clock import stamp
from kubesim.controllers.informer import Key, key_of
from kubesim.controllers.jobpods import new_pod
from kubesim.controllers.jobrules import TRACKING
from kubesim.controllers.kinds import JOBS, PODS
from kubesim.controllers.meta import (
    condition,
    controller_of,
    deleting,
    finalizers_of,
    is_active,
    is_finished,
    is_ready,
    labels_of,
    phase,
)
from kubesim.controllers.owners import claim
from kubesim.controllers.runtime import Cluster, Controller, is_terminating
from kubesim.errors import ApiError, Invalid, NotFound
from kubesim.resources import Object
from kubesim.selectors import from_label_selector

BURST = 500
UNCOUNTED_LIMIT = 500


@dataclass
class Round:
    """What one reconcile found out about a Job and its pods."""

    job: Object
    pods: list[Object]
    active: list[Object]
    outcome: Object | None = None
    """The interim condition of a decided Job: SuccessCriteriaMet or FailureTarget."""
    done: set[int] = field(default_factory=set)
    given_up: set[int] = field(default_factory=set)
    succeeded: int = 0
    failed: int = 0

    @property
    def terminating(self) -> int:
        return sum(deleting(pod) and not is_finished(pod) for pod in self.pods)


class Jobs(Controller):
    name = "job-controller"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.jobs = self.on(JOBS)
        self.pods = self.on(PODS, self._jobs_of)

    def _jobs_of(self, pod: Object) -> Iterable[Key]:
        owner = controller_of(pod)
        namespace = pod["metadata"]["namespace"]
        if owner is not None:
            return [Key(namespace, owner["name"])] if owner["kind"] == "Job" else []
        found = self.jobs.items(namespace) if labels_of(pod) else ()
        return [key_of(j) for j in found if from_label_selector(j["spec"].get("selector")).matches(labels_of(pod))]

    async def reconcile(self, key: Key) -> float | None:
        job = self.jobs.get(*key)
        if (
            job is None
            or job["spec"].get("managedBy", "kubernetes.io/job-controller") != "kubernetes.io/job-controller"
        ):
            await self._free_orphans(key)
            return None
        if deleting(job) or jobrules.is_over(job):
            await self._free(self.pods.controlled(job["metadata"]["uid"]))
            return None
        if job["spec"].get("selector"):
            await claim(self.cluster, JOBS, job, PODS, from_label_selector(job["spec"]["selector"]))
        job = await self._start(job)
        here = self._look(job)
        self._decide(here)
        failure, again = await self._act(here)
        await self._record(here)
        if failure is not None:
            raise failure
        return _soonest(again, jobrules.seconds_to_deadline(job, self.clock.now()))

    def _look(self, job: Object) -> Round:
        """The Job and its pods as they are now; uncounted and newly ended pods are in the sums."""
        pods = self.pods.controlled(job["metadata"]["uid"])
        status = job.get("status") or {}
        uncounted = tally.uncounted(status)
        here = Round(job, pods, [pod for pod in pods if is_active(pod)])
        ended = [p for p in pods if jobrules.tracked(p) and p["metadata"]["uid"] not in {*uncounted[0], *uncounted[1]}]
        failed = [p for p in ended if jobrules.is_failed(p, job) and not jobrules.is_ignored(job, p)]
        here.failed = (status.get("failed") or 0) + len(uncounted[1]) + len(failed)
        here.succeeded = (
            (status.get("succeeded") or 0) + len(uncounted[0]) + sum(phase(p) == "Succeeded" for p in ended)
        )
        if jobrules.is_indexed(job):
            here.done = jobrules.succeeded_indexes(job, pods)
            here.given_up = jobrules.failed_indexes(job, pods)
            here.succeeded = len(here.done)
        return here

    async def _start(self, job: Object) -> Object:
        """Suspend, resume or begin: the Suspended condition and startTime."""
        status = job.get("status") or {}
        now = stamp(self.clock.now())
        found = condition(job, "Suspended")
        if jobrules.is_suspended(job):
            if found is not None and found["status"] == "True":
                return job
            self.recorder.event(JOBS, job, "Normal", "Suspended", "Job suspended")
            status = tally.with_condition(
                status, tally.condition("Suspended", "True", "JobSuspended", "Job suspended", now)
            )
            return await self.cluster.update_status(JOBS, job, {k: v for k, v in status.items() if k != "startTime"})
        if found is not None and found["status"] == "True":
            self.recorder.event(JOBS, job, "Normal", "Resumed", "Job resumed")
            status = tally.with_condition(
                status, tally.condition("Suspended", "False", "JobResumed", "Job resumed", now)
            ) | {"startTime": now}
            return await self.cluster.update_status(JOBS, job, status)
        if status.get("startTime"):
            return job
        return job | {"status": status | {"startTime": now}}  # written with the first counts

    # deciding

    def _decide(self, here: Round) -> None:
        job, spec = here.job, here.job["spec"]
        found = condition(job, "FailureTarget") or condition(job, "SuccessCriteriaMet")
        if found is not None:
            here.outcome = found
            return
        now = self.clock.now()
        left = jobrules.seconds_to_deadline(job, now)
        message = jobrules.policy_failure(job, here.pods)
        if message:
            here.outcome = self._failure("PodFailurePolicy", message)
        elif here.failed > spec.get("backoffLimit", 6) or jobrules.restarts_exceed(job, here.pods):
            here.outcome = self._failure("BackoffLimitExceeded", "Job has reached the specified backoff limit")
        elif left is not None and left <= 0:
            here.outcome = self._failure("DeadlineExceeded", "Job was active longer than specified deadline")
        elif jobrules.is_indexed(job):
            self._decide_indexed(here)
        if here.outcome is None and self._completed(here):
            here.outcome = self._success("CompletionsReached", "Reached expected number of succeeded pods")

    def _decide_indexed(self, here: Round) -> None:
        spec = here.job["spec"]
        most = spec.get("maxFailedIndexes")
        rule = jobrules.success_rule(here.job, here.done)
        if most is not None and len(here.given_up) > most:
            message = "Job has exceeded the specified maximal number of failed indexes"
            here.outcome = self._failure("MaxFailedIndexesExceeded", message)
        elif here.given_up and len(here.done | here.given_up) >= spec["completions"]:
            here.outcome = self._failure("FailedIndexes", "Job has failed indexes")
        elif rule is not None:
            here.outcome = self._success("SuccessPolicy", f"Matched rules at index {rule}")

    def _completed(self, here: Round) -> bool:
        completions = here.job["spec"].get("completions")
        enough = here.succeeded > 0 if completions is None else here.succeeded >= completions
        return enough and not here.active

    def _failure(self, reason: str, message: str) -> Object:
        return tally.condition("FailureTarget", "True", reason, message, stamp(self.clock.now()))

    def _success(self, reason: str, message: str) -> Object:
        return tally.condition("SuccessCriteriaMet", "True", reason, message, stamp(self.clock.now()))

    # acting

    async def _act(self, here: Round) -> tuple[ApiError | None, float | None]:
        """Create or delete pods: (what stopped it, seconds until more may be created)."""
        if here.outcome is not None or jobrules.is_suspended(here.job):
            await self._delete(here, here.active)
            return None, None
        wanted = self._wanted(here)
        victims = jobrules.superfluous(here.job, here.active, max(0, len(here.active) - wanted))[:BURST]
        if victims:
            await self._delete(here, victims)
            return None, None
        missing = wanted - len(here.active)
        if jobrules.replaces_only_failed(here.job):
            missing -= here.terminating
        if missing <= 0:
            return None, None
        wait = jobrules.seconds_to_retry(here.job, here.pods, self.clock.now())
        if wait > 0:
            return None, wait
        return await self._create(here, min(missing, BURST)), None

    def _wanted(self, here: Round) -> int:
        spec = here.job["spec"]
        parallelism, completions = int(spec.get("parallelism", 1)), spec.get("completions")
        if completions is None:
            return len(here.active) if here.succeeded else parallelism
        return max(0, min(int(completions) - here.succeeded - len(here.given_up), parallelism))

    async def _create(self, here: Round, count: int) -> ApiError | None:
        """Make pods in batches that double, so that a refused template costs one request."""
        job = here.job
        numbers: Sequence[int | None] = [None] * count
        if jobrules.is_indexed(job):
            numbers = jobrules.pending_indexes(job, here.active, here.done | here.given_up, count)
        start, batch = 0, 1
        while start < len(numbers):
            answers = await asyncio.gather(*(self._create_pod(job, n) for n in numbers[start : start + batch]))
            here.active += [answer for answer in answers if not isinstance(answer, ApiError)]
            failure = next((answer for answer in answers if isinstance(answer, ApiError)), None)
            if failure is not None:
                return failure
            start, batch = start + batch, batch * 2
        return None

    async def _create_pod(self, job: Object, index: int | None) -> Object | ApiError:
        try:
            pod = await self.cluster.create(PODS, new_pod(job, index), job["metadata"]["namespace"])
        except ApiError as error:
            if not is_terminating(error):
                self.recorder.event(JOBS, job, "Warning", "FailedCreate", f"Error creating: {error.message}")
            return error
        self.recorder.event(JOBS, job, "Normal", "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}")
        return pod

    async def _delete(self, here: Round, victims: Sequence[Object]) -> None:
        for pod in victims:
            if await self.cluster.delete(PODS, pod):
                message = f"Deleted pod: {pod['metadata']['name']}"
                self.recorder.event(JOBS, here.job, "Normal", "SuccessfulDelete", message)
        gone = {pod["metadata"]["uid"] for pod in victims}
        here.active = [pod for pod in here.active if pod["metadata"]["uid"] not in gone]

    # counting

    async def _record(self, here: Round) -> None:
        """Count ended pods in the three writes, and finish the Job when all are counted."""
        status = self._counts(here, self.pods.controlled(here.job["metadata"]["uid"]))
        ended = [
            p for p in here.pods if jobrules.tracked(p) and self._ends(p, here)
        ]  # those that `_look` judged, no newer ones
        uncounted = self._collect(here, status, ended)
        if ended or any(uncounted):
            status = status | {"uncountedTerminatedPods": tally.lists(*uncounted)}
            if here.outcome is not None:
                status = tally.with_condition(status, here.outcome)
            here.job = await self._write(here.job, status)
        await self._free(ended)
        held = {p["metadata"]["uid"] for p in self.pods.controlled(here.job["metadata"]["uid"]) if jobrules.tracked(p)}
        status = tally.settled(status, held)
        status = self._finish(here, status, held)
        await self._write(here.job, status)

    async def _write(self, job: Object, status: Object) -> Object:
        fresh = self.jobs.get(*key_of(job)) or job
        return await self.cluster.update_status(JOBS, fresh, status)

    def _counts(self, here: Round, pods: Sequence[Object]) -> Object:
        status = (here.job.get("status") or {}) | {
            "active": len(here.active),
            "ready": sum(is_active(pod) and is_ready(pod) for pod in pods),
            "terminating": sum(deleting(pod) and not is_finished(pod) for pod in pods),
        }
        status.setdefault("uncountedTerminatedPods", {})
        if jobrules.is_indexed(here.job):
            status["completedIndexes"] = indexes.text_of(here.done)
            status["succeeded"] = len(here.done)
            if here.job["spec"].get("backoffLimitPerIndex") is not None:
                status["failedIndexes"] = indexes.text_of(here.given_up)
        return tally.trimmed(status, here.job)

    def _ends(self, pod: Object, here: Round) -> bool:
        """Whether the pod's story is over for this Job, so that it is to be counted and let go."""
        return is_finished(pod) or jobrules.is_failed(pod, here.job)

    def _collect(self, here: Round, status: Object, ended: Sequence[Object]) -> tuple[list[str], list[str]]:
        """uncountedTerminatedPods with newly ended pods: (succeeded, failed). Indexed successes are counted by index instead."""
        succeeded, failed = tally.uncounted(status)
        known = {*succeeded, *failed}
        for pod in ended:
            uid = pod["metadata"]["uid"]
            if uid in known or len(succeeded) + len(failed) >= UNCOUNTED_LIMIT:
                continue
            if phase(pod) == "Succeeded":
                if not jobrules.is_indexed(here.job):
                    succeeded.append(uid)
            elif not jobrules.is_ignored(here.job, pod):
                failed.append(uid)
        return succeeded, failed

    def _finish(self, here: Round, status: Object, held: set[str]) -> Object:
        """Add the outcome, and the terminal condition once no pod is left to wait for."""
        outcome = here.outcome
        if outcome is None:
            return status
        status = tally.with_condition(status, outcome)
        if held or any(tally.uncounted(status)) or status.get("active") or status.get("terminating"):
            return status
        now = stamp(self.clock.now())
        kind = "Complete" if outcome["type"] == "SuccessCriteriaMet" else "Failed"
        status = tally.with_condition(status, tally.condition(kind, "True", outcome["reason"], outcome["message"], now))
        if kind == "Complete":
            self.recorder.event(JOBS, here.job, "Normal", "Completed", "Job completed")
            return status | {"completionTime": now}
        self.recorder.event(JOBS, here.job, "Warning", outcome["reason"], outcome["message"])
        return status

    async def _free(self, pods: Iterable[Object]) -> None:
        await asyncio.gather(*(self._free_pod(pod) for pod in pods if jobrules.tracked(pod)))

    async def _free_pod(self, pod: Object) -> None:
        kept = [f for f in finalizers_of(pod) if f != TRACKING]
        change = {"metadata": {"uid": pod["metadata"]["uid"], "finalizers": kept or None}}
        try:
            await self.cluster.patch(PODS, pod, change)
        except (NotFound, Invalid):
            pass

    async def _free_orphans(self, key: Key) -> None:
        """Pods of a Job that is gone are nobody's to count."""
        for pod in self.pods.items(key.namespace):
            owner = controller_of(pod)
            if jobrules.tracked(pod) and (owner is None or (owner["kind"], owner["name"]) == ("Job", key.name)):
                await self._free_pod(pod)


def _soonest(*waits: float | None) -> float | None:
    return min((max(wait, 0.0) for wait in waits if wait is not None), default=None)
