"""Finished Jobs with ttlSecondsAfterFinished are deleted that long after their end, their pods with them."""

from __future__ import annotations

from datetime import timedelta

from kubesim.controllers.clock import parse
from kubesim.controllers.informer import Key
from kubesim.controllers.kinds import JOBS
from kubesim.controllers.meta import condition, deleting, is_true
from kubesim.controllers.runtime import Cluster, Controller
from kubesim.resources import Object


class FinishedJobs(Controller):
    name = "ttl-after-finished-controller"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.jobs = self.on(JOBS)

    async def reconcile(self, key: Key) -> float | None:
        job = self.jobs.get(*key)
        if job is None or deleting(job):
            return None
        left = seconds_left(job, self.clock.now().timestamp())
        if left is None or left > 0:
            return left
        await self.cluster.delete(JOBS, job, propagation="Foreground")
        return None


def seconds_left(job: Object, now: float) -> float | None:
    """Until the Job is to be deleted; None where it is not finished or has no TTL."""
    ttl = job["spec"].get("ttlSecondsAfterFinished")
    kind = next((k for k in ("Complete", "Failed") if is_true(job, k)), None)
    if ttl is None or kind is None:
        return None
    end = parse((condition(job, kind) or {})["lastTransitionTime"]) + timedelta(seconds=ttl)
    return end.timestamp() - now
