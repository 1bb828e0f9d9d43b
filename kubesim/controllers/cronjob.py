"""CronJobs: a Job at each scheduled time.

Only the latest missed time is made up for. The Job's name is made of the scheduled minute, so a time that was already served cannot start a second
Job, even after a crash between creating it and writing the status.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kubesim.controllers import schedule
from kubesim.controllers.clock import parse, stamp
from kubesim.controllers.informer import Key
from kubesim.controllers.kinds import CRON_JOBS, JOBS, owner_reference, type_of
from kubesim.controllers.meta import controller_of, created, deleting, is_true
from kubesim.controllers.runtime import Cluster, Controller, is_terminating
from kubesim.errors import AlreadyExists, ApiError
from kubesim.resources import Object

MANY = 100
SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"


@dataclass(frozen=True)
class Times:
    """The latest time that is due and was not served, how many were missed, and the next one."""

    due: datetime | None
    missed: int
    following: datetime | None


class CronJobs(Controller):
    name = "cronjob-controller"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.crons = self.on(CRON_JOBS)
        self.jobs = self.on(JOBS, _cron_of)

    async def reconcile(self, key: Key) -> float | None:
        cron = self.crons.get(*key)
        if cron is None:
            return None
        jobs = self.jobs.controlled(cron["metadata"]["uid"])
        cron = await self._tidy(cron, jobs)
        if deleting(cron) or cron["spec"].get("suspend"):
            return None
        times = self._times(cron)
        if times is None:
            return None
        if times.due is not None:
            await self._serve(cron, times)
        if times.following is None:
            return None
        return max(0.0, (times.following - self.clock.now()).total_seconds()) + 0.05

    # bookkeeping

    async def _tidy(self, cron: Object, jobs: Sequence[Object]) -> Object:
        """Forget Jobs that ended, note the last success, and keep only as many finished Jobs as the limits say."""
        status = cron.get("status") or {}
        by_uid = {job["metadata"]["uid"]: job for job in jobs}
        active = []
        for reference in status.get("active") or ():
            job = by_uid.get(reference["uid"])
            if job is None:
                self.recorder.event(
                    CRON_JOBS, cron, "Normal", "MissingJob", f"Active job went missing: {reference['name']}"
                )
            elif outcome(job):
                message = f"Saw completed job: {reference['name']}, condition: {outcome(job)}"
                self.recorder.event(CRON_JOBS, cron, "Normal", "SawCompletedJob", message)
            else:
                active.append(reference)
        known = {r["uid"] for r in active}
        active += [_reference(job) for job in jobs if not outcome(job) and job["metadata"]["uid"] not in known]
        wanted = {k: v for k, v in status.items() if k != "active"} | ({"active": active} if active else {})
        ends = [job["status"]["completionTime"] for job in jobs if (job.get("status") or {}).get("completionTime")]
        if ends:
            wanted["lastSuccessfulTime"] = max([*ends, status.get("lastSuccessfulTime", "")])
        await self._prune(cron, jobs)
        return await self.cluster.update_status(CRON_JOBS, cron, wanted)

    async def _prune(self, cron: Object, jobs: Sequence[Object]) -> None:
        for kind, field, default in (
            ("Complete", "successfulJobsHistoryLimit", 3),
            ("Failed", "failedJobsHistoryLimit", 1),
        ):
            limit = cron["spec"].get(field, default)
            ended = sorted((j for j in jobs if outcome(j) == kind), key=created)
            for job in ended[: max(0, len(ended) - limit)]:
                await self._delete(cron, job)

    async def _delete(self, cron: Object, job: Object) -> None:
        if await self.cluster.delete(JOBS, job, propagation="Background"):
            self.recorder.event(CRON_JOBS, cron, "Normal", "SuccessfulDelete", f"Deleted job {job['metadata']['name']}")

    # time

    def _times(self, cron: Object) -> Times | None:
        """None, and an event, where the schedule or the time zone says nothing."""
        spec = cron["spec"]
        try:
            zone = ZoneInfo(spec.get("timeZone") or "UTC")
            plan = schedule.parse(spec["schedule"])
        except ZoneInfoNotFoundError:
            message = f'invalid timeZone: "{spec["timeZone"]}": unknown time zone {spec["timeZone"]}'
            self.recorder.event(CRON_JOBS, cron, "Warning", "UnknownTimeZone", message)
            return None
        except ValueError as error:
            message = f'unparseable schedule: "{spec["schedule"]}" : {error}'
            self.recorder.event(CRON_JOBS, cron, "Warning", "UnparseableSchedule", message)
            return None
        now = self.clock.now().astimezone(zone)
        found = times(plan, _earliest(cron, now), now)
        if found.missed > MANY:
            message = f"too many missed start times: {found.missed}. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
            self.recorder.event(CRON_JOBS, cron, "Warning", "TooManyMissedTimes", message)
        return found

    async def _serve(self, cron: Object, found: Times) -> None:
        assert found.due is not None
        limit = cron["spec"].get("startingDeadlineSeconds")
        if limit is not None and found.due + timedelta(seconds=limit) < self.clock.now():
            message = f"Missed scheduled time to start a job: {stamp(found.due)}"
            self.recorder.event(CRON_JOBS, cron, "Warning", "MissSchedule", message)
            return
        active = [j for j in self.jobs.controlled(cron["metadata"]["uid"]) if not outcome(j)]
        policy = cron["spec"].get("concurrencyPolicy", "Allow")
        if policy == "Forbid" and active:
            message = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self.recorder.event(CRON_JOBS, cron, "Normal", "JobAlreadyActive", message)
            return
        if policy == "Replace":
            for job in active:
                await self._delete(cron, job)
        await self._create(cron, found.due)

    async def _create(self, cron: Object, due: datetime) -> None:
        body = new_job(cron, due)
        name = body["metadata"]["name"]
        try:
            job = await self.cluster.create(JOBS, body, cron["metadata"]["namespace"])
        except AlreadyExists:
            job = await self.cluster.client.get(JOBS, name, cron["metadata"]["namespace"])
        except ApiError as error:
            if not is_terminating(error):
                self.recorder.event(CRON_JOBS, cron, "Warning", "FailedCreate", f"Error creating job: {error.message}")
            raise
        else:
            self.recorder.event(CRON_JOBS, cron, "Normal", "SuccessfulCreate", f"Created job {name}")
        status = cron.get("status") or {}
        known = [r for r in status.get("active") or () if r["uid"] != job["metadata"]["uid"]]
        active = known if outcome(job) else [*known, _reference(job)]
        status = {k: v for k, v in status.items() if k != "active"} | {"lastScheduleTime": stamp(due)}
        await self.cluster.update_status(CRON_JOBS, cron, status | ({"active": active} if active else {}))


def times(plan: schedule.Schedule, earliest: datetime, now: datetime) -> Times:
    """What is due between `earliest` (excluded) and `now` (included), counted up to a bound, and what follows."""
    due, missed = None, 0
    moment = plan.next(earliest)
    while moment is not None and moment <= now and missed <= MANY:
        due, missed = moment, missed + 1
        moment = plan.next(moment)
    if missed > MANY:  # too many to walk: begin again close to now
        due = _last_before(plan, now) or due
    return Times(due, missed, plan.next(now))


def _last_before(plan: schedule.Schedule, now: datetime) -> datetime | None:
    span = timedelta(minutes=2)
    while span < schedule.HORIZON:
        due, moment = None, plan.next(now - span)
        while moment is not None and moment <= now:
            due, moment = moment, plan.next(moment)
        if due is not None:
            return due
        span *= 4
    return None


def _earliest(cron: Object, now: datetime) -> datetime:
    last = (cron.get("status") or {}).get("lastScheduleTime")
    earliest = parse(last) if last else created(cron)
    limit = cron["spec"].get("startingDeadlineSeconds")
    if limit is not None:
        earliest = max(earliest, now - timedelta(seconds=limit))
    return earliest.astimezone(now.tzinfo)


def outcome(job: Object) -> str:
    """ "Complete", "Failed" or ""."""
    return next((kind for kind in ("Complete", "Failed") if is_true(job, kind)), "")


def new_job(cron: Object, due: datetime) -> Object:
    """The Job for one scheduled time."""
    template = cron["spec"]["jobTemplate"]
    metadata = template.get("metadata") or {}
    kept = {k: metadata[k] for k in ("labels",) if metadata.get(k)}
    return {
        "metadata": kept
        | {
            "name": f"{cron['metadata']['name']}-{int(due.timestamp()) // 60}",
            "namespace": cron["metadata"]["namespace"],
            "annotations": (metadata.get("annotations") or {}) | {SCHEDULED: due.isoformat().replace("+00:00", "Z")},
            "ownerReferences": [owner_reference(CRON_JOBS, cron)],
        },
        "spec": template["spec"],
    }


def _reference(job: Object) -> Object:
    metadata = job["metadata"]
    fields = {name: metadata[name] for name in ("namespace", "name", "uid", "resourceVersion")}
    return type_of(JOBS) | fields


def _cron_of(job: Object) -> list[Key]:
    owner = controller_of(job)
    return (
        [Key(job["metadata"]["namespace"], owner["name"])] if owner is not None and owner["kind"] == "CronJob" else []
    )
