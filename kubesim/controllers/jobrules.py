"""What a Job's pods mean for the Job: policies, limits, back-off, indexes. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from kubesim.controllers import indexes
from kubesim.controllers.clock import parse
from kubesim.controllers.meta import annotations_of, condition, created, deleting, finalizers_of, is_true, phase
from kubesim.controllers.replicaset import surplus
from kubesim.resources import Object

TRACKING = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"
FIRST_DELAY, LONGEST_DELAY = 10.0, 600.0


def is_indexed(job: Object) -> bool:
    return bool(job["spec"].get("completionMode") == "Indexed")


def is_suspended(job: Object) -> bool:
    return bool(job["spec"].get("suspend"))


def is_over(job: Object) -> bool:
    """Complete or Failed: nothing will change any more."""
    return is_true(job, "Complete") or is_true(job, "Failed")


def tracked(pod: Object) -> bool:
    return TRACKING in finalizers_of(pod)


def replaces_only_failed(job: Object) -> bool:
    spec = job["spec"]
    policy = spec.get("podReplacementPolicy") or ("Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed")
    return bool(policy == "Failed")


def is_failed(pod: Object, job: Object) -> bool:
    """Failed, or counted as failed because it is on its way out (unless the Job waits for such pods)."""
    if phase(pod) == "Failed":
        return True
    return phase(pod) != "Succeeded" and deleting(pod) and not replaces_only_failed(job)


# pod failure policy


def failure_action(job: Object, pod: Object) -> tuple[str, str]:
    """What podFailurePolicy says about a failed pod: (action, message); ("Count", "") where no rule matches."""
    for position, rule in enumerate((job["spec"].get("podFailurePolicy") or {}).get("rules") or ()):
        reason = _matches(rule, pod)
        if reason:
            return rule["action"], f"{reason} matching {rule['action']} rule at index {position}"
    return "Count", ""


def _matches(rule: Object, pod: Object) -> str:
    where = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
    codes = rule.get("onExitCodes")
    if codes:
        for status in _container_statuses(pod):
            ended = (status.get("state") or {}).get("terminated")
            if ended and _code_matches(codes, status["name"], ended["exitCode"]):
                return f"Container {status['name']} for pod {where} failed with exit code {ended['exitCode']}"
    for pattern in rule.get("onPodConditions") or ():
        found = condition(pod, pattern["type"])
        if found is not None and found["status"] == pattern.get("status", "True"):
            return f"Pod {where} has condition {pattern['type']}"
    return ""


def _code_matches(codes: Object, container: str, code: int) -> bool:
    if code == 0 or codes.get("containerName", container) != container:
        return False
    return bool((code in codes["values"]) == (codes["operator"] == "In"))


def _container_statuses(pod: Object) -> list[Object]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def is_ignored(job: Object, pod: Object) -> bool:
    return phase(pod) == "Failed" and failure_action(job, pod)[0] == "Ignore"


def policy_failure(job: Object, pods: Iterable[Object]) -> str:
    """The message of the first FailJob rule that a failed pod matches, or ""."""
    if not job["spec"].get("podFailurePolicy"):
        return ""
    for pod in pods:
        if phase(pod) == "Failed":
            action, message = failure_action(job, pod)
            if action == "FailJob":
                return message
    return ""


# limits


def restarts_exceed(job: Object, pods: Iterable[Object]) -> bool:
    """With restartPolicy OnFailure, restarts count against backoffLimit."""
    if job["spec"]["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    restarts = sum(
        status.get("restartCount", 0)
        for pod in pods
        if phase(pod) in ("Running", "Pending")
        for status in _container_statuses(pod)
    )
    limit = int(job["spec"].get("backoffLimit", 6))
    return bool(restarts > 0 if limit == 0 else restarts >= limit)


def seconds_to_deadline(job: Object, now: datetime) -> float | None:
    """What is left of activeDeadlineSeconds (negative: exceeded), or None where nothing limits the Job now."""
    limit = job["spec"].get("activeDeadlineSeconds")
    start = (job.get("status") or {}).get("startTime")
    if limit is None or start is None or is_suspended(job):
        return None
    return (parse(start) + timedelta(seconds=limit) - now).total_seconds()


def finished_at(pod: Object) -> datetime:
    """When a pod ended: its last container's end, else the best other sign."""
    ends = [
        parse(ended["finishedAt"])
        for status in _container_statuses(pod)
        if (ended := (status.get("state") or {}).get("terminated")) and ended.get("finishedAt")
    ]
    if ends:
        return max(ends)
    ready = condition(pod, "Ready")
    if ready is not None and ready.get("lastTransitionTime"):
        return parse(ready["lastTransitionTime"])
    return created(pod)


def seconds_to_retry(job: Object, pods: Iterable[Object], now: datetime) -> float:
    """How long the next pod must wait: 10 s after a failure, doubling with each failure since the last success, up to ten minutes."""
    ended = sorted((p for p in pods if is_failed(p, job) or phase(p) == "Succeeded"), key=finished_at)
    failures = 0
    for pod in ended:
        failures = 0 if phase(pod) == "Succeeded" else failures + 1
    if not failures:
        return 0.0
    delay = min(FIRST_DELAY * 2.0 ** min(failures - 1, 16), LONGEST_DELAY)
    return (finished_at(ended[-1]) + timedelta(seconds=delay) - now).total_seconds()


# indexes


def index_of(pod: Object) -> int | None:
    text = annotations_of(pod).get(INDEX, "")
    return int(text) if text.isdigit() else None


def succeeded_indexes(job: Object, pods: Iterable[Object]) -> set[int]:
    limit = int(job["spec"]["completions"])
    found = indexes.parse((job.get("status") or {}).get("completedIndexes") or "", limit)
    for pod in pods:
        index = index_of(pod)
        if index is not None and index < limit and phase(pod) == "Succeeded" and tracked(pod):
            found.add(index)
    return found


def failed_indexes(job: Object, pods: Sequence[Object]) -> set[int]:
    """Indexes given up: more failures than backoffLimitPerIndex, or a FailIndex rule. Empty where the Job has no limit per index."""
    per_index = job["spec"].get("backoffLimitPerIndex")
    if per_index is None:
        return set()
    limit = int(job["spec"]["completions"])
    found = indexes.parse((job.get("status") or {}).get("failedIndexes") or "", limit)
    for pod in pods:
        index = index_of(pod)
        if index is None or index >= limit or not is_failed(pod, job):
            continue
        given_up = failure_action(job, pod)[0] == "FailIndex" or failures_of(pods, job, index) > per_index
        if given_up:
            found.add(index)
    return found


def failures_of(pods: Iterable[Object], job: Object, index: int) -> int:
    return sum(index_of(p) == index and is_failed(p, job) and not is_ignored(job, p) for p in pods)


def pending_indexes(job: Object, active: Iterable[Object], done: set[int], count: int) -> list[int]:
    """The first `count` indexes that have neither a running pod nor an outcome."""
    taken = done | {index for pod in active if (index := index_of(pod)) is not None}
    found: list[int] = []
    for index in range(int(job["spec"]["completions"])):
        if len(found) == count:
            break
        if index not in taken:
            found.append(index)
    return found


def superfluous(job: Object, active: Sequence[Object], at_least: int) -> list[Object]:
    """Active pods to delete: those whose index is repeated or out of range, then the least useful, `at_least` in all."""
    chosen: list[Object] = []
    if is_indexed(job):
        seen: set[int] = set()
        for pod in sorted(active, key=created):
            index = index_of(pod)
            if index is None or index >= int(job["spec"]["completions"]) or index in seen:
                chosen.append(pod)
            else:
                seen.add(index)
    names = {pod["metadata"]["name"] for pod in chosen}
    rest = [pod for pod in active if pod["metadata"]["name"] not in names]
    return chosen + surplus(rest, max(0, at_least - len(chosen)))


def success_rule(job: Object, done: set[int]) -> int | None:
    """The position of the first successPolicy rule that the succeeded indexes meet."""
    for position, rule in enumerate((job["spec"].get("successPolicy") or {}).get("rules") or ()):
        of = (
            indexes.parse(rule["succeededIndexes"], int(job["spec"]["completions"]))
            if rule.get("succeededIndexes")
            else None
        )
        met = done if of is None else done & of
        needed = rule.get("succeededCount", len(of) if of is not None else None)
        if needed is not None and len(met) >= needed:
            return position
    return None
