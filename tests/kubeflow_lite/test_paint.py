"""The first screenful of a page comes first, with its style in it, and no other inline style is taken."""

from __future__ import annotations

import base64
import hashlib
import re

import aiohttp
import pytest
from aiohttp import web

from kubeflow_lite import health
from kubeflow_lite.dashboard import paint
from kubeflow_lite.dashboard.kept import Kept
from kubeflow_lite.dashboard.languages import LANGUAGES, Translate
from kubeflow_lite.web import pages

TEXT = paint.FOLD.join(("<h1>first</h1>", "<p>second</p>", "<p>third</p>"))


async def chunks(handler: str) -> tuple[list[bytes], str]:
    """What a client receives, as the server sent it, and the policy that came with it."""

    async def page(request: web.Request) -> web.StreamResponse:
        return paint.page(TEXT) if handler == "page" else await paint.unfold(request, TEXT)

    app = pages.guarded()
    app.add_routes([web.get("/", page)])
    async with (
        health.serving(app, "127.0.0.1", 0) as port,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/") as answer,
    ):
        assert answer.content_type == "text/html"
        found: list[bytes] = []
        piece = b""
        async for data, ended in answer.content.iter_chunks():
            piece += data
            if ended and piece:
                found, piece = [*found, piece], b""
        return found or [piece], answer.headers["Content-Security-Policy"]


async def test_the_first_screenful_is_sent_before_the_rest() -> None:
    found, _ = await chunks("unfold")
    assert found == [b"<h1>first</h1>", b"<p>second</p>", b"<p>third</p>"]


async def test_other_pages_come_in_one_piece() -> None:
    found, _ = await chunks("page")
    assert b"".join(found) == b"<h1>first</h1><p>second</p><p>third</p>"


@pytest.mark.parametrize("handler", ["page", "unfold"])
async def test_the_policy_names_the_pages_own_style_and_no_other(handler: str) -> None:
    variables = {"t": Translate("en"), "style": paint.style(), "languages": LANGUAGES, "theme": "", "session": None}
    variables |= {"instructor": False, "board": None, "live": "", "problem": ""}
    text = pages.environment().get_template("dashboard/sign-in.html").render(variables)
    (style,) = re.findall("<style>(.*?)</style>", text, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    _, policy = await chunks(handler)
    assert f"style-src 'sha256-{digest}';" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy


def test_a_value_is_made_again_when_what_it_is_made_of_changes() -> None:
    made: list[tuple[int, ...]] = []

    def total(numbers: tuple[int, ...], *, plus: int = 0) -> int:
        made.append(numbers)
        return sum(numbers) + plus

    kept = Kept()
    assert [kept.get("a", total, (1, 2)), kept.get("a", total, (1, 2)), kept.get("b", total, (1, 2))] == [3, 3, 3]
    assert made == [(1, 2), (1, 2)]
    assert kept.get("a", total, (1, 2), plus=1) == 4
    assert kept.get("a", total, (2,)) == 2
