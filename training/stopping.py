"""SIGTERM becomes Stopped, so that the run ends KILLED and not, for ever, RUNNING.

A library may swallow what is raised in the middle of it (a callback, a broad except), or make an error of its own of it: it is raised every
second until it was seen, and whoever sees it believes this module and not the error that it got. Signal handlers belong to the process, so
does this state.
"""

from __future__ import annotations

import signal
from types import FrameType

from training.errors import Stopped

_stopped: Stopped | None = None
_seen = False


def install() -> None:
    """For a program, not for a library. Whatever was raised or seen before is forgotten."""
    global _stopped, _seen
    _stopped, _seen = None, False
    signal.signal(signal.SIGTERM, _raise)


def see() -> Stopped | None:
    """What was raised, if anything; no more of it. The flag is for an alarm that has rung and whose handler has not run yet."""
    global _seen
    _seen = True
    if _stopped is not None:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return _stopped


def _raise(_number: int, _frame: FrameType | None) -> None:
    global _stopped
    if _seen:
        return
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, _raise)
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    _stopped = Stopped("stopped by SIGTERM: the Job or its pod was deleted")
    raise _stopped
