"""What every request passes before it reaches a page: a known host, the visitor's session, and proof that a change comes from our own pages.

The cookie is HttpOnly and SameSite=Strict. Cookies know no ports, though: whatever else serves http on 127.0.0.1 is sent it too. So the
page has a host name of its own (dashboard.localhost, which browsers resolve to this machine without asking anybody), and `./inv ui` opens that.
"""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from kubeflow_lite.web.sessions import Session, Sessions

COOKIE = "dashboard-session"
SAFE = ("GET", "HEAD", "OPTIONS")
SESSION = web.RequestKey("session", Session)


def sessions(known: Sessions) -> Middleware:
    """request[SESSION] is there for whoever is signed in."""

    @web.middleware
    async def look(request: web.Request, handler: Handler) -> web.StreamResponse:
        if found := known.find(request.cookies.get(COOKIE, "")):
            request[SESSION] = found
        return await handler(request)

    return look


def same_origin(request: web.BaseRequest) -> bool:
    """Whether the page that sent this is one of ours; a program that is no browser sends neither header."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("Host")


@web.middleware
async def own_pages_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Changes and WebSockets are refused to other origins' pages."""
    changing = request.method not in SAFE or request.headers.get("Upgrade", "").lower() == "websocket"
    if changing and not same_origin(request):
        raise web.HTTPForbidden(text="this comes from a page of another origin\n")
    return await handler(request)


def require_session(request: web.Request) -> Session:
    """The visitor's session; others are sent to the sign-in page."""
    found: Session | None = request.get(SESSION)
    if found is None:
        raise web.HTTPSeeOther("/sign-in")
    return found


async def require_form(request: web.Request) -> dict[str, str]:
    """The fields of a form that carries this session's token."""
    session = require_session(request)
    fields = {key: value for key, value in (await request.post()).items() if isinstance(value, str)}
    given = fields.pop("csrf", "") or request.headers.get("X-CSRF-Token", "")
    if not hmac.compare_digest(given.encode(), session.csrf.encode()):
        raise web.HTTPForbidden(text="the page is too old; load it again\n")
    return fields


def set_cookie(request: web.Request, response: web.StreamResponse, key: str) -> None:
    secure = request.secure or request.headers.get("X-Forwarded-Proto") == "https"
    response.set_cookie(COOKIE, key, path="/", httponly=True, samesite="Strict", secure=secure, max_age=12 * 3600)
