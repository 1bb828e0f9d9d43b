"""The outermost layer: request ids, counts and times of every request, and connections that end in good time.

Plain ASGI, because it is on the way of every request. POST /predict does not go through FastAPI: routing, dependency injection and exit stacks
would be two thirds of its time. FastAPI has the same route over the same function (`serving.predict.one`), for OpenAPI and for whoever
takes this layer off.
"""

from __future__ import annotations

import logging
from secrets import token_hex
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving import bodies, predict
from serving.bodies import Gone
from serving.service import Service, log
from serving.settings import ONE_ROW_BYTES

_STATE = {"/health", "/ready", "/metrics", "/model", "/docs", "/openapi.json"}
_ROUTES = {"/predict", "/predict/batch", "/v2", "/v2/health/live", "/v2/health/ready"} | _STATE
_ASKED_BY_PROBES = {"/ready", "/v2/health/ready"}  # a 503 of theirs is an answer, once a second
_GONE = 499  # nginx's number for a client that hung up; it is counted, nobody is there to read it


class Edge:
    """Wraps the application. The request's id is in `scope["request_id"]`: the caller's X-Request-ID, or a new one."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app, self.service = app, service
        settings = service.settings
        self.who = [(b"x-release", settings.release.encode()), (b"x-served-by", settings.pod.encode())]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = perf_counter()
        scope["request_id"] = request_id = _request_id(scope)
        status = 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode()), *self.who]
                if self.service.draining:
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        short = scope["path"] == "/predict" and scope["method"] == "POST"
        try:
            await (self._predict if short else self.app)(scope, receive, answer)
        except Gone:
            status = _GONE
        finally:
            self._count(scope, status, perf_counter() - started)

    async def _predict(self, scope: Scope, receive: Receive, send: Send) -> None:
        status, request_id = 200, scope["request_id"]
        try:
            content = predict.one(self.service, await bodies.read(receive, ONE_ROW_BYTES), request_id)
        except predict.PROBLEMS as error:
            status, content = predict.problem(error, request_id)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        path, metrics = scope["path"], self.service.metrics
        route = _route(path)
        metrics.seconds_of(route).observe(seconds)
        metrics.requests_of(route, str(status)).inc()
        failed = status >= 500 and route not in _ASKED_BY_PROBES
        if failed or self.service.settings.log_requests:
            level = logging.WARNING if failed else logging.INFO
            ms = round(seconds * 1000, 2)
            log("request", level=level, path=path, status=status, ms=ms, request_id=scope["request_id"])


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and 0 < len(value) <= 128 and value.isascii():
            text: str = value.decode()
            return text if text.isprintable() else token_hex(16)
    return token_hex(16)


def _route(path: str) -> str:
    """A metric's label: one of few, whatever paths are asked for."""
    if path in _ROUTES:
        return path
    return "/v2/models" if path.startswith("/v2/models/") else "other"
