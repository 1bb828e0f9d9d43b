"""Signing in and out. A visitor brings a token that Kubernetes made for this page, or a one-time code that stands for one."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from kubeflow_lite.web import guard, reviews
from kubeflow_lite.web.reviews import Reviews
from kubeflow_lite.web.sessions import Attempts, Codes, Identity, Sessions

_TOKEN = re.compile(r"[\w.-]{40,8192}")
Page = Callable[[web.Request, int, str], web.Response]
"""The sign-in page, with a status and what went wrong."""


@dataclass
class Entrance:
    reviews: Reviews
    welcome: Callable[[Identity], Awaitable[bool]]
    """Whether somebody known may see anything here."""
    page: Page
    sessions: Sessions = field(default_factory=Sessions)
    codes: Codes = field(default_factory=Codes)
    attempts: Attempts = field(default_factory=Attempts)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/sign-in", self.show),
            web.post("/sign-in", self.enter),
            web.post("/sign-out", self.leave),
            web.post("/codes", self.code),
        ]

    async def show(self, request: web.Request) -> web.Response:
        return self.page(request, 200, "")

    async def enter(self, request: web.Request) -> web.StreamResponse:
        address = request.remote or ""
        if wait := self.attempts.wait(address):
            response = self.page(request, 429, "sign_in_wait")
            response.headers["Retry-After"] = str(int(wait) + 1)
            return response
        given = str((await request.post()).get("credential") or "").strip()
        who = await self._token(given) if _TOKEN.fullmatch(given) else self.codes.redeem(given)
        if who is None or not await self.welcome(who):
            self.attempts.failed(address)
            return self.page(request, 403, "sign_in_nobody" if who else "sign_in_wrong")
        response = web.Response(status=303, headers={"Location": "/"})
        guard.set_cookie(request, response, self.sessions.open(who))
        return response

    async def code(self, request: web.Request) -> web.Response:
        """For `./inv ui`: a token in, a code out, so that no token is carried to the browser."""
        address = request.remote or ""
        if self.attempts.wait(address):
            raise web.HTTPTooManyRequests(text="too many attempts; wait a minute\n")
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        who = await self._token(token.strip()) if scheme.lower() == "bearer" else None
        if who is None or not await self.welcome(who):
            self.attempts.failed(address)
            raise web.HTTPUnauthorized(text=f"a tenant's or instructor's token for {reviews.AUDIENCE} is needed\n")
        return web.json_response({"code": self.codes.issue(who)})

    async def leave(self, request: web.Request) -> web.StreamResponse:
        await guard.require_form(request)
        self.sessions.close(request.cookies.get(guard.COOKIE, ""))
        response = web.Response(status=303, headers={"Location": "/sign-in"})
        response.del_cookie(guard.COOKIE, path="/")
        return response

    async def _token(self, token: str) -> Identity | None:
        return await self.reviews.who(token) if _TOKEN.fullmatch(token) else None
