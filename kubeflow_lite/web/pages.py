"""Templates rendered with autoescape, and the application around them: headers, known hosts, static files, probes."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import jinja2
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from kubeflow_lite import health

_HERE = Path(__file__).parent
STATIC = _HERE / "static"


def policy(style: str = "'self'") -> str:
    """Nothing but our own files: no other origin, no inline script, and inline style only as `style` names it."""
    return (
        f"default-src 'none'; style-src {style}; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


_HEADERS = {
    "Content-Security-Policy": policy(),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


AS_IT_IS = web.ResponseKey("as it is", bool)
"""Set on an answer whose headers are not ours to add."""


class Unavailable(Exception):
    """The page cannot be made now; the message is for the reader."""


Render = Callable[[], Awaitable[dict[str, object]]]
"""Gives the variables of the page's template."""


@cache
def environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("kubeflow_lite", "web/templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def compile_all() -> None:
    """Now, and not when the first visitor waits: they take a quarter of a second."""
    known = environment()
    for name in known.list_templates():
        known.get_template(name)


def render(template: str, variables: dict[str, object], *, fragment: bool = False) -> str:
    """A whole page, or only what changes in it (`main`), which the page's script asks for."""
    layout = "fragment.html" if fragment else "page.html"
    return environment().get_template(template).render(layout=layout, **variables)


def application(template: str, variables: Render, *, hosts: Sequence[str] = ()) -> web.Application:
    """One page at /, with /?fragment for its live part. Ready from the start: what is down is what it shows."""

    async def page(request: web.Request) -> web.Response:
        try:
            text = render(template, await variables(), fragment="fragment" in request.query)
        except Unavailable as error:
            raise web.HTTPServiceUnavailable(text=f"{error}\n", headers={"Retry-After": "3"}) from error
        return web.Response(text=text, content_type="text/html")

    app = guarded(hosts)
    app.add_routes([web.get("/", page)])
    return app


def guarded(hosts: Sequence[str] = ()) -> web.Application:
    """An application with the probes, the static files, and what every answer here has."""
    app = health.application(lambda: True)
    app.middlewares.append(_known_hosts_only(hosts))
    app.on_response_prepare.append(_add_headers)
    app.add_routes([web.static("/static", STATIC)])
    return app


def hosts(environment: Mapping[str, str]) -> list[str]:
    """ALLOWED_HOSTS: further names that this page is reached by, separated by commas."""
    return [name.strip().lower() for name in environment.get("ALLOWED_HOSTS", "").split(",") if name.strip()]


def known_host(header: str, hosts: Sequence[str] = ()) -> bool:
    """Whether a Host header names us: an address, localhost or a name below it, a name inside the cluster, or one of `hosts`.

    A page of another origin can make a browser ask 127.0.0.1 under a name of its own (DNS rebinding); the Host header gives it away.
    """
    name = (header.rpartition(":")[0] if header.rpartition(":")[2].isdigit() else header).strip("[]").lower()
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name or name.endswith((".localhost", ".svc", ".svc.cluster.local")) or name in hosts
    return True


def _known_hosts_only(hosts: Sequence[str]) -> Middleware:
    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not known_host(request.headers.get("Host", ""), hosts):
            raise web.HTTPForbidden(text="unknown Host header; name it in ALLOWED_HOSTS if it is yours\n")
        return await handler(request)

    return check


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Not where somebody else's answer is handed through: a Notebook has a policy of its own."""
    if AS_IT_IS not in response:
        response.headers.update(
            {**_HEADERS, **{key: response.headers[key] for key in _HEADERS if key in response.headers}}
        )
