"""What passes between the layers: a request as it came, the call it turns out to be, and the response.

`Request` is HTTP, without its transport. `Call` is what the handlers of objects see: the same whether it came by HTTP or from a
`LocalClient`, so nothing below this line knows about bytes and headers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

from aiohttp import web
from multidict import CIMultiDict, MultiDict, MultiMapping

from kubesim.auth.user import ANONYMOUS, User
from kubesim.errors import BadRequest
from kubesim.paths import RequestInfo
from kubesim.resources import Resource


@dataclass
class Request:
    """One HTTP request. The layers fill in `user`; `transport` is aiohttp's request, for the subresources that upgrade the connection."""

    method: str
    path: str
    info: RequestInfo
    query: MultiMapping[str] = field(default_factory=MultiDict)
    headers: Mapping[str, str] = field(default_factory=CIMultiDict)
    body: bytes = b""
    certificate: bytes | None = None
    transport: web.Request | None = None
    user: User = ANONYMOUS
    warnings: list[str] = field(default_factory=list)

    @property
    def accept(self) -> str:
        return self.headers.get("Accept", "")

    @property
    def content_type(self) -> str:
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()


Hijack = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Sink(Protocol):
    """A connection as its `Feed` sees it."""

    @property
    def behind(self) -> bool:
        """Whether the client takes less than it is sent. What is sent all the same is kept in memory."""
        ...

    def send(self, data: bytes) -> None:
        """Puts data on the wire at once, or drops it where the client has gone."""
        ...

    async def drain(self) -> None:
        """Waits until the client is no longer behind."""
        ...


Feed = Callable[[Sink], Awaitable[None]]


@dataclass
class Response:
    """`body` is the whole body, or an iterator that streams it. Instead of it, `feed` sends what it likes when it likes until it returns, and
    `hijack` takes over aiohttp's request and answers it itself.
    """

    status: int = 200
    body: bytes | AsyncIterator[bytes] = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    feed: Feed | None = None
    hijack: Hijack | None = None


@dataclass(frozen=True)
class Options:
    """The query parameters of writes, as Create-, Update-, Patch- and DeleteOptions name them."""

    dry_run: bool = False
    field_manager: str = ""
    agent: str = "unknown"
    field_validation: str = "Warn"
    force: bool = False
    propagation: str = ""
    grace_seconds: int | None = None
    preconditions: Mapping[str, Any] = field(default_factory=dict)

    @property
    def manager(self) -> str:
        """Who owns the fields that are written: the manager the caller names, else its user agent."""
        return self.field_manager or self.agent


@dataclass
class Call:
    """One call on objects. `resource` is the kind in the version the caller speaks; `warnings` become Warning headers.

    `problems` are what only the bytes showed (duplicate fields), to be judged with the unknown fields.
    """

    info: RequestInfo
    resource: Resource
    user: User
    options: Options = Options()
    warnings: list[str] = field(default_factory=list)
    problems: tuple[str, ...] = ()

    @property
    def namespace(self) -> str:
        return self.info.namespace if self.resource.namespaced else ""

    @property
    def name(self) -> str:
        return self.info.name


def options(request: Request) -> Options:
    """Reads the query; raises BadRequest with Kubernetes's words."""
    query = request.query
    if not query:
        return _of(agent(request))
    dry_run = query.getall("dryRun", [])
    if any(value != "All" for value in dry_run):
        quoted = ", ".join(f'"{value}"' for value in dry_run)
        raise BadRequest(f'dryRun: Invalid value: [{quoted}]: supported values: "All"')
    validation = query.get("fieldValidation", "") or "Warn"
    if validation not in ("Ignore", "Warn", "Strict"):
        raise BadRequest(
            f'fieldValidation: Unsupported value: "{validation}": supported values: "Ignore", "Strict", "Warn"'
        )
    return Options(
        dry_run=bool(dry_run),
        field_manager=_manager(query.get("fieldManager", "")),
        agent=agent(request),
        field_validation=validation,
        force=query.get("force", "") in ("true", "1"),
        propagation=query.get("propagationPolicy", ""),
        grace_seconds=integer(query, "gracePeriodSeconds"),
    )


@lru_cache(maxsize=64)
def _of(agent: str) -> Options:
    """The options of a request without a query, which is what most clients send."""
    return Options(agent=agent)


def _manager(name: str) -> str:
    if len(name) > 128 or not name.isprintable():
        raise BadRequest(f'fieldManager: Invalid value: "{name[:140]}": must be at most 128 printable characters')
    return name


def agent(request: Request) -> str:
    """The manager of fields where the caller names none: the first word of its user agent, without the version."""
    return request.headers.get("User-Agent", "unknown").partition("/")[0][:128] or "unknown"


def integer(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name, "")
    if text == "":
        return None
    try:
        return int(text)
    except ValueError:
        raise BadRequest(f'strconv.ParseInt: parsing "{text[:64]}": invalid syntax') from None
