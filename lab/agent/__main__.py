"""`python -m lab.agent`: watch, check, publish, carry out, until SIGTERM. Settings come from lab.yaml and LAB_* as everywhere, but for
LAB_LANG: what it publishes is in both languages, its log in English.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from lab import checks, fresh, messages, world
from lab.agent import eyes, objects
from lab.agent.due import Due
from lab.agent.errands import Errands
from lab.agent.rounds import Rounds
from lab.errors import LabError
from lab.faults import REGISTRY
from lab.messages import both
from lab.settings import ROOT, Tenant, added_path
from lab.world import World

log = logging.getLogger("lab.agent")

SWEEP = 2.5
"""Seconds between two tenants when nothing changes: what Kubernetes cannot tell (a bucket that is gone) is found within a round."""
BEAT = 4.0
FILES = 0.5


class _English(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return both.english(super().format(record))


def main() -> int:
    messages.use("both")
    to_log = logging.StreamHandler()
    to_log.setFormatter(_English("%(asctime)s %(levelname)s %(threadName)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[to_log])
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        Agent(world.load()).run()
    except KeyboardInterrupt:
        return 0
    except LabError as error:
        print(both.english(f"{error.message}\n  → {error.hint}"), file=sys.stderr)
        return error.exit_code
    return 0


class Agent:
    def __init__(self, loaded: World) -> None:
        self._world = loaded
        self._since = objects.now()
        self._due = Due(sweep=SWEEP)
        self._files = eyes.Files(loaded.settings)
        self._settings = _settings_stamp(loaded)
        self._people: tuple[Tenant, ...] = ()

    def run(self) -> None:
        """For ever; carries out requests between two beats of its heart."""
        self._look_around()
        errands = Errands(self._world, self._due)
        rounds = Rounds(self._world, self._due)
        rounds.start()
        rounds.publish_broken()
        eyes.watch(self._world.cluster, lambda: self._people, self._due.touch)
        errands.start()
        threading.Thread(target=self._keep_alive, name="beat", daemon=True).start()
        log.info("watching %d tenants", len(self._people))
        while True:
            try:
                errands.one(seconds=FILES)
            except LabError as error:
                log.warning("%s", error.message)
            self._due.touch(self._files.changed(self._people))
            self._begin_anew_where_settings_changed()

    def _keep_alive(self) -> None:
        """A thread of its own: a rehearsal of minutes must not look like an agent that died."""
        holder, pause = f"{socket.gethostname()}-{os.getpid()}", threading.Event()
        while True:
            try:
                self._world.cluster.apply(objects.lease(holder, self._since))
                self._look_around()
            except LabError as error:
                log.warning("%s", error.message)
            pause.wait(BEAT)

    def _look_around(self) -> None:
        """Who is in the class; `up` may have brought more."""
        numbers = fresh.started(self._world)
        people = self._world.settings.choose(",".join(numbers)) if numbers else ()
        if people != self._people:
            self._people = people
            self._world.cluster.apply(objects.catalogue(checks.REGISTRY, REGISTRY, people))
            self._due.people([one.num for one in people])

    def _begin_anew_where_settings_changed(self) -> None:
        if _settings_stamp(self._world) != self._settings:
            log.info("lab.yaml or the list of added tenants changed: starting anew")
            os.execv(sys.executable, [sys.executable, "-m", "lab.agent", *sys.argv[1:]])


def _settings_stamp(loaded: World) -> Sequence[float]:
    return [_written(path) for path in (ROOT / "lab.yaml", added_path(loaded.settings.state))]


def _written(path: Path) -> float:
    return path.stat().st_mtime if path.exists() else 0.0


if __name__ == "__main__":
    sys.exit(main())
