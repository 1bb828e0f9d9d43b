"""The outermost layer: request ids, counts and times of every request, and connections that end in good time.

Plain ASGI, because it is on the way of every request.
"""

from __future__ import annotations

import logging
from time import perf_counter
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.service import Service, log

_STATE = {"/health", "/ready", "/metrics", "/model", "/docs", "/openapi.json"}
_ROUTES = {"/predict", "/predict/batch", "/v2", "/v2/health/live", "/v2/health/ready"} | _STATE


class Edge:
    """Wraps the application. The request's id is in `scope["request_id"]`: the caller's X-Request-ID, or a new one."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app, self.service = app, service

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
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
                if self.service.draining:
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        try:
            await self.app(scope, receive, answer)
        finally:
            self._count(scope, status, perf_counter() - started)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        path, metrics = scope["path"], self.service.metrics
        route = _route(path)
        metrics.seconds.labels(route).observe(seconds)
        metrics.requests.labels(route, str(status)).inc()
        if status >= 500 or self.service.settings.log_requests:
            level = logging.WARNING if status >= 500 else logging.INFO
            ms = round(seconds * 1000, 2)
            log("request", level=level, path=path, status=status, ms=ms, request_id=scope["request_id"])


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and 0 < len(value) <= 128 and value.isascii():
            text: str = value.decode()
            return text if text.isprintable() else uuid4().hex
    return uuid4().hex


def _route(path: str) -> str:
    """A metric's label: one of few, whatever paths are asked for."""
    if path in _ROUTES:
        return path
    return "/v2/models" if path.startswith("/v2/models/") else "other"
