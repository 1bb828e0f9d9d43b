"""Finding a pod's containers again after a restart of the server: from the labels of what runs, and from the pod's own status."""

from __future__ import annotations

from collections.abc import Sequence

from kubesim.node.runtime import Found
from kubesim.node.status import Container, Run
from kubesim.resources import Object


def adopt(containers: Sequence[Container], pod: Object, found: Sequence[Found]) -> bool:
    """Put what an earlier server knew into `containers`; True where one that was ready is not there any more (`kubesim stop`, a reboot), which
    has to be told at once: nobody may count on it."""
    old = {one["name"]: one for one in _old_statuses(pod)}
    lost = False
    for container in containers:
        if one := old.get(container.name):
            _recall(container, one)
        mine = sorted((one for one in found if one.labels["container"] == container.name), key=_attempt)
        if mine:
            _take_over(container, mine[-1])
            container.previous = container.previous or (run_of(mine[-2]) if len(mine) > 1 else None)
        if one and one.get("ready") and not container.running and container.role != "init":
            container.ready = container.started = False
            lost = True
    return lost


def _old_statuses(pod: Object) -> list[Object]:
    known = pod.get("status") or {}
    return [*(known.get("initContainerStatuses") or []), *(known.get("containerStatuses") or [])]


def _recall(container: Container, known: Object) -> None:
    container.restarts = known["restartCount"]
    container.image, container.image_id = known["image"], known["imageID"]
    container.started = bool(known.get("started"))
    container.ready = bool(known.get("ready")) and container.role != "init"
    if terminated := (known.get("lastState") or {}).get("terminated"):
        container.previous = _run_from_status(terminated, container.restarts - 1)
    if terminated := (known.get("state") or {}).get("terminated"):
        container.run = _run_from_status(terminated, container.restarts)


def _take_over(container: Container, found: Found) -> None:
    if container.run is not None and container.run.id == found.id and not container.run.running:
        return
    container.run = run_of(found)
    container.restarts, container.adopted = _attempt(found), True
    if found.exit is not None:
        container.ready = container.started = False


def _attempt(found: Found) -> int:
    return int(found.labels["attempt"])


def run_of(found: Found) -> Run:
    """A container that was found, as a run of the pod's container."""
    run = Run(id=found.id, attempt=_attempt(found), started_at=found.started_at)
    if found.exit is not None:
        run.exit_code, run.signal, run.finished_at = found.exit.code, found.exit.signal, found.exit.finished_at
        run.reason = "Completed" if found.exit.code == 0 else "Error"
    return run


def _run_from_status(terminated: Object, attempt: int) -> Run:
    return Run(
        id=terminated.get("containerID", "").rpartition("/")[2],
        attempt=max(attempt, 0),
        started_at=terminated.get("startedAt") or "",
        finished_at=terminated.get("finishedAt") or "",
        exit_code=terminated["exitCode"],
        reason=terminated.get("reason", ""),
        message=terminated.get("message", ""),
    )
