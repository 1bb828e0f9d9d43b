"""How a page reaches the eye: its style inside it, and its first screenful before the rest.

A browser shows nothing before it has the style sheet, and lays out and paints all that it has before it shows anything. So the sheet is in the page's
head, which saves a request (the policy names it by its hash: no other inline style is taken), and what is below the fold comes a
moment later, in pieces small enough that the page answers its reader while they come.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from functools import cache

from aiohttp import web
from markupsafe import Markup

from kubeflow_lite.web import pages

FOLD = "<!-- fold -->"
"""Where a template may be cut; a page is sent in pieces between these."""
PAINTING = 0.1
"""Seconds that a browser is given to paint the first piece: to take it, lay it out and wait for its next frame."""


@cache
def style() -> Markup:
    return Markup((pages.STATIC / "dashboard.css").read_text())


@cache
def policy() -> str:
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return pages.policy(style=f"'sha256-{digest}'")


def page(text: str, status: int = 200) -> web.Response:
    """A page in one piece."""
    whole = text.replace(FOLD, "")
    return web.Response(
        text=whole, content_type="text/html", status=status, headers={"Content-Security-Policy": policy()}
    )


async def unfold(request: web.Request, text: str) -> web.StreamResponse:
    """The first screenful, a moment to paint it, the rest."""
    first, *others = text.split(FOLD)
    headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy()}
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    await response.write(first.encode())
    await asyncio.sleep(PAINTING)
    for piece in others:
        await response.write(piece.encode())
    return response
