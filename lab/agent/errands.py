"""Carries out requests, one after the other, in the main thread: a rehearsal handles signals, which only the main thread may."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from lab import faults
from lab.agent.due import Due
from lab.agent.eyes import changes
from lab.agent.objects import KIND, NAMESPACE, Request, in_both, now
from lab.errors import LabError
from lab.faults import rehearse as rehearsals
from lab.kube import Kind, Object, Refused
from lab.messages import t
from lab.world import World

log = logging.getLogger(__name__)

CONFIG_MAPS = Kind("v1", "configmaps", True)
KEPT = timedelta(minutes=20)
LINES = 60


class Errands:
    def __init__(self, world: World, due: Due) -> None:
        self._world = world
        self._due = due
        self._waiting: queue.Queue[Request] = queue.Queue()
        self._seen: set[str] = set()

    def start(self) -> None:
        """Starts the thread that takes requests in."""
        threading.Thread(target=self._take, name="requests", daemon=True).start()

    def one(self, *, seconds: float) -> bool:
        """Carry out the next request, or wait `seconds` for one; whether there was one."""
        try:
            request = self._waiting.get(timeout=seconds)
        except queue.Empty:
            return False
        self._carry_out(request)
        return True

    def _take(self) -> None:
        for event in changes(
            self._world.cluster, CONFIG_MAPS, query={"labelSelector": f"{KIND}=request"}, namespace=NAMESPACE
        ):
            try:
                self._notice(event["type"], event["object"])
            except LabError as error:
                # Told again by the next list; the others must not wait for it.
                log.warning("%s", error.message)

    def _notice(self, kind: str, found: Object) -> None:
        request = Request.of(found)
        if kind == "LISTED" and _old(found):
            self._world.cluster.delete("v1", "ConfigMap", request.name, NAMESPACE)
        elif kind != "DELETED" and request.state in ("", "running") and request.name not in self._seen:
            self._seen.add(request.name)
            self._accept(request)

    def _accept(self, request: Request) -> None:
        if request.state == "running":
            # Begun by an agent that ended in the middle; what it broke, its rehearsal mended before it ended.
            self._answer(request, state="failed", message=t("the agent was started anew meanwhile; press again"))
        elif request.verb == "verify":
            self._due.touch([request.user] if request.user else None)
            self._answer(request, state="done", message=t("checking"))
        else:
            self._waiting.put(request)

    def _carry_out(self, request: Request) -> None:
        lines: list[str] = []

        def say(line: str) -> None:
            lines.append(line)
            self._answer(request, state="running", log=lines)

        self._answer(request, state="running")
        try:
            verb = VERBS.get(request.verb)
            if verb is None:
                raise LabError(
                    t("no verb {verb!r}", verb=request.verb), t("one of: verify, {names}", names=", ".join(VERBS))
                )
            state, message = verb(self._world, request, say)
        except LabError as error:
            state, message = "failed", f"{error.message} {error.hint}".strip()
        self._answer(request, state=state, message=message, log=lines)
        self._due.touch([request.user] if request.user else None)

    def _answer(self, request: Request, *, state: str, message: str = "", log: list[str] | None = None) -> None:
        said = in_both(message=message, log="\n".join((log or [])[-LINES:]))
        data = {"message": "", "message_ko": "", "log": "", "log_ko": ""} | said | {"state": state, "changed": now()}
        try:
            self._world.cluster.patch("v1", "ConfigMap", request.name, {"data": data}, NAMESPACE)
        except Refused as error:
            if error.code != 404:
                raise


def _break(world: World, request: Request, say: Callable[[str], None]) -> tuple[str, str]:
    fault, tenant = faults.find(request.fault), world.settings.one(request.user)
    fault.break_it(world, tenant)
    return "done", t("{name} is broken for {user}", name=fault.name, user=tenant.user)


def _mend(world: World, request: Request, say: Callable[[str], None]) -> tuple[str, str]:
    fault, tenant = faults.find(request.fault), world.settings.one(request.user)
    fault.mend_it(world, tenant)
    return "done", t("{name} of {user} is mended", name=fault.name, user=tenant.user)


def _rehearse(world: World, request: Request, say: Callable[[str], None]) -> tuple[str, str]:
    tenant = world.settings.one(request.user)
    chosen = [faults.find(request.fault)] if request.fault else list(faults.REGISTRY)
    done = rehearsals.rehearse(world, tenant, chosen, say=say)
    good = sum(one.good for one in done)
    return ("done" if good == len(done) else "failed"), t("{good} of {done} as expected", good=good, done=len(done))


VERBS = {"break": _break, "mend": _mend, "rehearse": _rehearse}


def _old(found: Object) -> bool:
    made = datetime.fromisoformat(str(found["metadata"]["creationTimestamp"]).replace("Z", "+00:00"))
    return datetime.now(UTC) - made > KEPT
