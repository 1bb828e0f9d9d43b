"""Who is signed in: sessions, one-time codes and a limit on attempts, in memory. Pure but for the clock and the random source.

A restart signs everybody out, which costs a visitor one `./inv ui`; nothing that signs a person in is ever written down.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

SESSION_SECONDS = 12 * 3600.0
CODE_SECONDS = 120.0
_ALPHABET = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
_CODE_LENGTH = 10
_MOST = 2000


@dataclass(frozen=True)
class Identity:
    """As the API server's TokenReview tells it. `home` is the namespace of the service account."""

    username: str
    groups: tuple[str, ...]
    home: str


@dataclass(frozen=True)
class Session:
    """`csrf` goes into the pages' forms; `until` is in the clock's seconds."""

    who: Identity
    csrf: str
    until: float


class Sessions:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: dict[str, Session] = {}

    def open(self, who: Identity) -> str:
        """The new session's id, for the cookie."""
        self._forget()
        key = secrets.token_urlsafe(32)
        self._open[key] = Session(who, secrets.token_urlsafe(24), self._clock() + SESSION_SECONDS)
        return key

    def find(self, key: str) -> Session | None:
        found = self._open.get(key)
        return found if found and found.until > self._clock() else None

    def close(self, key: str) -> None:
        self._open.pop(key, None)

    def _forget(self) -> None:
        now = self._clock()
        self._open = {key: one for key, one in self._open.items() if one.until > now}
        while len(self._open) >= _MOST:
            self._open.pop(next(iter(self._open)))


class Codes:
    """A code stands for somebody for two minutes and once: what may be read from a screen or a shell's history is worth nothing afterwards."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._issued: dict[str, tuple[Identity, float]] = {}

    def issue(self, who: Identity) -> str:
        now = self._clock()
        self._issued = {code: one for code, one in self._issued.items() if one[1] > now}
        code = "".join(secrets.choice(_ALPHABET) for _ in range(_CODE_LENGTH))
        self._issued[code] = (who, now + CODE_SECONDS)
        return code

    def redeem(self, code: str) -> Identity | None:
        who, until = self._issued.pop(code.strip().upper().replace("-", ""), (None, 0.0))
        return who if until > self._clock() else None


class Attempts:
    """At most `most` failures of one address in `seconds`: further attempts are not even looked at."""

    def __init__(self, most: int = 10, seconds: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._failed: dict[str, deque[float]] = {}

    def wait(self, address: str) -> float:
        """Seconds until this address may try again; 0 where it may now."""
        times = self._recent(address)
        return times[0] + self._seconds - self._clock() if len(times) >= self._most else 0.0

    def failed(self, address: str) -> None:
        if len(self._failed) > _MOST:
            self._failed.clear()
        self._recent(address).append(self._clock())

    def _recent(self, address: str) -> deque[float]:
        times = self._failed.setdefault(address, deque())
        while times and times[0] <= self._clock() - self._seconds:
            times.popleft()
        return times
