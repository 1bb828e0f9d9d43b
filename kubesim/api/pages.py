"""Paths that are no resources: health, version, discovery, OpenAPI, the keys of service-account tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubesim.api import discovery, render
from kubesim.api.request import Request, Response
from kubesim.resources import Object
from kubesim.schema import Model, openapi
from kubesim.schema.openapi import protobuf

if TYPE_CHECKING:
    from kubesim.api.app import Server

VERSION: Object = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.2",
    "gitCommit": "$Format:%H$",
    "gitTreeState": "",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "go1.26.3",
    "compiler": "gc",
    "platform": "linux/amd64",
}
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
HEALTH = ("/healthz", "/livez", "/readyz")


class Pages:
    """Answers GET of such a path, or None where there is nothing. What is made of the registry is kept until that changes."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._generation = -1
        self._kept: dict[str, bytes] = {}

    def answer(self, request: Request) -> Response | None:
        path = request.path.rstrip("/") or "/"
        if request.method not in ("GET", "HEAD"):
            return None
        if path.startswith(HEALTH):
            return self._health(path, request)
        if path in ("/api", "/apis"):
            return self._root(request, path)
        if path.startswith("/openapi/v"):
            return self._openapi(request, path)
        if path == "/":
            return render.answer({"paths": self._paths()})
        found = self._found(path)
        return None if found is None else render.answer(found)

    def _health(self, path: str, request: Request) -> Response | None:
        check, _, part = path.strip("/").partition("/")
        if part not in ("", "ping", "etcd", "poststarthook"):
            return None
        ready = self._server.ready or check == "livez"
        if "verbose" in request.query:
            mark = "[+]ping ok\n[+]etcd ok\n" + ("" if ready else "[-]start failed: reason withheld\n")
            return render.text(
                mark + f"{check} check {'passed' if ready else 'failed'}\n", status=200 if ready else 500
            )
        return (
            render.text("ok")
            if ready
            else render.text(f"[-]start failed: reason withheld\n{check} check failed\n", status=500)
        )

    def _root(self, request: Request, path: str) -> Response:
        registry = self._server.registry
        form = render.negotiate(request.accept, kinds=("APIGroupDiscoveryList",))
        if form.kind:
            body = self._cached(f"{path}:aggregated", lambda: discovery.aggregated(registry, core=path == "/api"))
            return Response(200, body, content_type=AGGREGATED, headers={"Vary": "Accept"})
        if path == "/api":
            return render.answer(discovery.versions(self._server.address))
        return Response(200, self._cached(path, lambda: discovery.groups(registry)))

    def _openapi(self, request: Request, path: str) -> Response | None:
        """Made when first asked for, and again after the kinds have changed. Clients that ask for v3 as protobuf alone get a 406."""
        if path == "/openapi/v2" and request.accept in protobuf.ASKED:
            encoded = self._cached(f"{path}:protobuf", lambda: protobuf.encode(openapi.v2(self._models())), raw=True)
            return Response(200, encoded, content_type=protobuf.MEDIA, headers={"Vary": "Accept"})
        render.negotiate(request.accept)
        version, _, part = path.removeprefix("/openapi/").partition("/")
        make = {
            "v2": lambda: openapi.v2(self._models()),
            "v3": lambda: openapi.v3(self._models(), part) if part else openapi.v3_index(self._models()),
        }
        if version not in make or (part and version == "v2"):
            return None
        body = self._cached(path, make[version])
        return None if body == b"null\n" else Response(200, body)

    def _models(self) -> list[Model]:
        return [self._server.steps.model(resource) for resource in self._server.registry]

    def _found(self, path: str) -> Any:
        server, parts = self._server, path.strip("/").split("/")
        if parts[0] == "api" and len(parts) == 2:
            return discovery.resources(server.registry, "", parts[1])
        if parts[0] == "apis" and len(parts) == 2:
            return discovery.group(server.registry, parts[1])
        if parts[0] == "apis" and len(parts) == 3:
            return discovery.resources(server.registry, parts[1], parts[2])
        if path == "/version":
            return VERSION
        if path == "/.well-known/openid-configuration":
            return server.tokens.openid_configuration(f"https://{server.address}")
        if path == "/openid/v1/jwks":
            return server.tokens.jwks()
        return None

    def _paths(self) -> list[str]:
        groups = self._server.registry.groups()
        found = [f"/apis/{group}/{version}" for group, versions in groups.items() if group for version in versions]
        found += [f"/apis/{group}" for group in groups if group]
        return sorted(
            [
                "/api",
                "/api/v1",
                "/apis",
                "/healthz",
                "/livez",
                "/readyz",
                "/openapi/v2",
                "/openapi/v3",
                "/version",
                *found,
            ]
        )

    def _cached(self, key: str, make: Any, *, raw: bool = False) -> bytes:
        """`raw`: what is made is bytes already."""
        if self._generation != self._server.registry.generation:
            self._generation = self._server.registry.generation
            self._kept.clear()
        if key not in self._kept:
            self._kept[key] = make() if raw else render.encode(make()) + b"\n"
        return self._kept[key]
