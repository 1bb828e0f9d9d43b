"""Background processes: known by pid and start time, stopped for certain, failures told with the log."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.host.processes import Daemon


def test_start_and_stop(tmp_path: Path) -> None:
    daemon = Daemon("sleeper", tmp_path)
    pid = daemon.start([sys.executable, "-c", "import time; print('awake', flush=True); time.sleep(60)"])
    daemon.wait(lambda: "awake" in daemon.tail())
    assert daemon.pid() == pid
    assert daemon.stop()
    assert daemon.pid() is None
    assert not daemon.stop()


def test_a_recycled_process_id_is_not_taken_for_ours(tmp_path: Path) -> None:
    daemon = Daemon("old", tmp_path)
    daemon.pidfile.parent.mkdir()
    daemon.pidfile.write_text(f"{os.getpid()} 12345")
    assert daemon.pid() is None
    assert not daemon.stop(), "it must not signal a process that is not the lab's"


def test_one_that_ends_while_starting_is_told_with_its_log(tmp_path: Path) -> None:
    daemon = Daemon("broken", tmp_path)
    daemon.start([sys.executable, "-c", "raise SystemExit('port taken')"])
    with pytest.raises(LabError, match="port taken") as caught:
        daemon.wait(lambda: False)
    assert str(daemon.log) in caught.value.hint


def test_one_that_ignores_the_request_is_ended(tmp_path: Path) -> None:
    daemon = Daemon("stubborn", tmp_path)
    program = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    )
    daemon.start([sys.executable, "-c", program])
    daemon.wait(lambda: "ready" in daemon.tail())
    assert daemon.stop(seconds=0.3, sign=signal.SIGTERM)
    assert daemon.pid() is None
