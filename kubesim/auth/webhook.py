"""Tokens that someone else issued (an EKS sign-in token `k8s-aws-v1.`): a TokenReview is posted to a URL given at start.

The URL must be on this machine: a token is a credential, and goes nowhere else. Answers are kept (a good one for two minutes, a bad one for ten
seconds), and many requests with one new token ask once.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from kubesim.auth.tokens import TokenError, Verified
from kubesim.auth.user import User, freeze_extra

_GOOD, _BAD = 120.0, 10.0
_KEPT = 1024


@dataclass(frozen=True, slots=True)
class _Answer:
    until: float
    verified: Verified | None
    error: str = ""


class TokenWebhook:
    """A `TokenReviewer` behind a URL. `clock` gives seconds that only grow."""

    def __init__(self, url: str, *, timeout: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = loopback(url)
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._clock = clock
        self._answers: OrderedDict[tuple[bytes, tuple[str, ...]], _Answer] = OrderedDict()
        self._asking: dict[tuple[bytes, tuple[str, ...]], asyncio.Task[_Answer]] = {}
        self._session: aiohttp.ClientSession | None = None

    async def review(self, token: str, audiences: Sequence[str]) -> Verified:
        """Who the token speaks for. Raises TokenError, also where nobody answers."""
        key = (hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest(), tuple(audiences))
        answer = self._answers.get(key)
        if answer is None or answer.until <= self._clock():
            answer = await self._once(key, token)
        if answer.verified is None:
            raise TokenError(answer.error)
        return answer.verified

    async def close(self) -> None:
        for task in self._asking.values():
            task.cancel()
        if self._session is not None:
            await self._session.close()

    async def _once(self, key: tuple[bytes, tuple[str, ...]], token: str) -> _Answer:
        if key not in self._asking:
            self._asking[key] = asyncio.create_task(self._ask(key, token))
            self._asking[key].add_done_callback(lambda _: self._asking.pop(key, None))
        # shielded: a client that goes away must not take the answer from the others that wait for it
        return await asyncio.shield(self._asking[key])

    async def _ask(self, key: tuple[bytes, tuple[str, ...]], token: str) -> _Answer:
        try:
            status = await self._post(token, key[1])
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return _Answer(self._clock(), None, f"the token webhook did not answer: {type(error).__name__}")
        answer = _read(status, self._clock())
        self._answers[key] = answer
        while len(self._answers) > _KEPT:
            self._answers.popitem(last=False)
        return answer

    async def _post(self, token: str, audiences: Sequence[str]) -> Mapping[str, Any]:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout, trust_env=False)
        review = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "metadata": {},
            "spec": {"token": token} | ({"audiences": list(audiences)} if audiences else {}),
        }
        async with self._session.post(self._url, json=review, allow_redirects=False) as response:
            if response.status not in (200, 201):
                raise ValueError(f"status {response.status}")
            body = await response.json(content_type=None)
        status = body.get("status") if isinstance(body, dict) else None
        if not isinstance(status, dict):
            raise ValueError("no status in the answer")
        return status


def _read(status: Mapping[str, Any], now: float) -> _Answer:
    user = status.get("user")
    if status.get("authenticated") is not True or not isinstance(user, dict) or not user.get("username"):
        return _Answer(now + _BAD, None, str(status.get("error") or "the token webhook does not know the token"))
    found = User(
        str(user["username"]),
        uid=str(user.get("uid") or ""),
        groups=tuple(map(str, user.get("groups") or ())),
        extra=freeze_extra(
            {str(key): [str(one) for one in values or ()] for key, values in (user.get("extra") or {}).items()}
        ),
    )
    return _Answer(now + _GOOD, Verified(found.authenticated(), tuple(map(str, status.get("audiences") or ()))))


def loopback(url: str) -> str:
    """`url` if it leads to this machine. Raises ValueError."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        here = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        here = False
    if parts.scheme not in ("http", "https") or not here:
        raise ValueError(
            f"the token webhook's URL must be on this machine (http://127.0.0.1:PORT/...), not {parts.scheme}://{host}"
        )
    return url
