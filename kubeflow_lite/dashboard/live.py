"""Keeps a page true: server-sent events with the parts that changed, each with the version it makes of the page."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import jinja2
from aiohttp import web
from markupsafe import Markup

from kubeflow_lite.dashboard.board import Board
from kubeflow_lite.dashboard.languages import Language, Translate
from kubeflow_lite.dashboard.mirror import Mirror
from kubeflow_lite.errors import KubeflowError
from kubeflow_lite.web import pages

COALESCE = 0.12
"""Seconds in which changes gather before a reader is told: well under the second in which they should be seen."""
BREATH = 4.0
"""At the latest after so many seconds a reader is looked after again: rights and the agent's heartbeat change without an event."""

Values = Callable[[], Mapping[str, object]]


class Macro(Protocol):
    def __call__(self, value: object, t: Translate) -> str: ...


def renderer(lang: Language) -> Callable[[str, object], str]:
    """A part's HTML: the macro of its kind in parts.html."""
    macros = pages.environment().get_template("dashboard/parts.html").module
    translate = Translate(lang)

    def render(kind: str, value: object) -> str:
        macro: Macro | None = getattr(macros, kind, None)
        if macro is None:
            raise jinja2.TemplateNotFound(f"parts.html has no macro {kind}")
        return Markup(macro(value, translate)).strip()

    return render


@dataclass
class Boards:
    """One board a viewer and language, brought up to date when somebody looks: a full room costs what one reader does."""

    mirror: Mirror
    _known: dict[tuple[str, Language], Board] = field(default_factory=dict)
    _seen: dict[tuple[str, Language], tuple[int, int]] = field(default_factory=dict)

    def get(self, viewer: str, lang: Language, values: Values, frame: Callable[[], object] = lambda: None) -> Board:
        key = (viewer, lang)
        board = self._known.get(key) or self._known.setdefault(key, Board(renderer(lang)))
        # Seconds count too: that the agent's heart stopped is no event.
        now = (self.mirror.revision, int(time.monotonic()))
        if self._seen.get(key) != now:
            board.update(values(), frame())
            self._seen[key] = now
        return board


async def stream(
    request: web.Request, board: Callable[[], Board], mirror: Mirror, still: Callable[[], Awaitable[bool]]
) -> web.StreamResponse:
    """Until the reader leaves, may no longer look (`still`), or must load the page again."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    await response.prepare(request)
    version = request.headers.get("Last-Event-ID") or request.query.get("since", "")
    try:
        while await still():
            seen = mirror.revision
            now = board()
            parts = now.since(version)
            await response.write(_event(parts, now.version) if parts or parts is None else b": still here\n\n")
            if parts is None:
                break
            version = now.version
            await _either(mirror.changed(seen), BREATH)
            await asyncio.sleep(COALESCE)
        else:
            await response.write(_event(None, ""))
    except (ConnectionError, KubeflowError):
        # The reader is gone, or the API server is; a browser comes back by itself.
        return response
    return response


def _event(parts: Mapping[str, str] | None, version: str) -> bytes:
    if parts is None:
        return b"event: reload\ndata: \n\n"
    return f"id: {version}\ndata: {json.dumps(parts, ensure_ascii=False)}\n\n".encode()


async def _either(waiting: Awaitable[object], seconds: float) -> None:
    try:
        await asyncio.wait_for(waiting, seconds)
    except TimeoutError:
        return
