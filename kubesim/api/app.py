"""The API server without HTTP: the layers every request passes, in the order of `Server.layers`.

Each layer may answer; else the next is asked. Whatever a layer raises is rendered here and nowhere else.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

from kubesim.api import discovery, render, verbs
from kubesim.api.objects import Objects
from kubesim.api.reader import StoreReader
from kubesim.api.request import Request, Response
from kubesim.auth.attributes import Attributes
from kubesim.auth.authenticate import Authenticator, Credentials
from kubesim.auth.impersonate import impersonate, requested
from kubesim.auth.rbac import Authorizer
from kubesim.errors import ApiError, InternalError, MethodNotAllowed, NotFound
from kubesim.resources import Object, Registry, Resource
from kubesim.store import Store

log = logging.getLogger("kubesim.api")
Layer = Callable[[Request], Awaitable[Response | None]]
Subresource = Callable[["Server", Request, Resource], Awaitable[Response]]

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


class Server:
    """`address` is where clients reach it, as /api says. `subresources` maps (storage name or "*", subresource) to a handler."""

    def __init__(
        self,
        store: Store,
        registry: Registry,
        objects: Objects,
        *,
        address: str,
        authenticator: Authenticator,
        subresources: Mapping[tuple[str, str], Subresource],
    ) -> None:
        self.store, self.registry, self.objects, self.address = store, registry, objects, address
        self.reader = StoreReader(store, registry)
        self.authorizer = Authorizer(self.reader)
        self.authenticator = authenticator
        self.subresources = subresources
        self.ready = False
        self.layers: tuple[Layer, ...] = (self.authenticate, self.impersonate, self.authorize, self.route)

    async def handle(self, request: Request) -> Response:
        try:
            for layer in self.layers:
                response = await layer(request)
                if response is not None:
                    return render.with_warnings(response, request.warnings)
        except ApiError as error:
            return render.with_warnings(render.failure(error), request.warnings)
        except Exception as error:  # noqa: BLE001  the outer layer: a bug must not end the server
            log.exception("%s %s", request.method, request.path)
            return render.failure(InternalError(f"Internal error occurred: {type(error).__name__}"))
        return not_found_page()

    async def authenticate(self, request: Request) -> Response | None:
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        protocols = [each.strip() for each in offered.split(",")] if offered else []
        authorization = request.headers.get("Authorization", "")
        request.user = await self.authenticator.authenticate(Credentials(request.certificate, authorization, protocols))
        return None

    async def impersonate(self, request: Request) -> Response | None:
        headers = list(request.headers.items())
        if requested(headers):
            request.user = impersonate(attributes(request), headers, self.authorizer)
        return None

    async def authorize(self, request: Request) -> Response | None:
        self.authorizer.check(attributes(request))
        return None

    async def route(self, request: Request) -> Response | None:
        if not request.info.is_resource:
            return self._page(request)
        resource = self.registry.find(request.info.key)
        if resource is None:
            if not self.registry.of(request.info.group, request.info.version):
                return not_found_page()
            raise no_resource()
        return await self._resource(request, resource)

    async def _resource(self, request: Request, resource: Resource) -> Response:
        info = request.info
        if bool(info.namespace) and not resource.namespaced and resource.key != "v1/namespaces":
            raise no_resource()
        if info.subresource:
            if not resource.has(info.subresource):
                raise no_resource()
            if info.verb not in resource.verbs_of(info.subresource):
                raise bad_method()
            found = self.subresources.get((resource.storage, info.subresource)) or self.subresources.get(("*", info.subresource))
            if found is None:
                raise no_resource()
            return await found(self, request, resource)
        handler = verbs.HANDLERS.get(info.verb)
        if handler is None or info.verb not in resource.verbs or (info.verb in ("create",) and info.name) or (info.verb in ("update", "patch") and not info.name):
            raise bad_method()
        return await handler(self, request, resource)

    def _page(self, request: Request) -> Response:
        path = request.path.rstrip("/")
        if path in ("/healthz", "/livez", "/readyz"):
            return render.text("ok") if self.ready or path == "/livez" else render.text("not ready", status=500)
        if path == "/version":
            return render.answer(VERSION)
        return self._discovery(request, path) or not_found_page()

    def _discovery(self, request: Request, path: str) -> Response | None:
        if path in ("/api", "/apis"):
            form = render.negotiate(request.accept, kinds=("APIGroupDiscoveryList",))
            if form.kind:
                response = render.answer(discovery.aggregated(self.registry, core=path == "/api"))
                response.content_type = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
                return response
            return render.answer(discovery.versions(self.address) if path == "/api" else discovery.groups(self.registry))
        parts = path.strip("/").split("/")
        found = None
        if parts[0] == "api" and len(parts) == 2:
            found = discovery.resources(self.registry, "", parts[1])
        elif parts[0] == "apis" and len(parts) == 2:
            found = discovery.group(self.registry, parts[1])
        elif parts[0] == "apis" and len(parts) == 3:
            found = discovery.resources(self.registry, parts[1], parts[2])
        return None if found is None else render.answer(found)


def attributes(request: Request) -> Attributes:
    info = request.info
    if not info.is_resource:
        return Attributes.on_path(request.user, request.method, request.path)
    return Attributes(
        request.user,
        info.verb,
        group=info.group,
        version=info.version,
        resource=info.resource,
        subresource=info.subresource,
        namespace=info.namespace,
        name=info.name,
    )


def not_found_page() -> Response:
    return render.text("404 page not found\n", status=404)


class _Bare(ApiError):
    """A refusal whose details are there and empty, as the router's are."""

    def status(self) -> Object:
        body = super().status()
        code = body.pop("code")
        return {**body, "details": self.details, "code": code}


class _NoResource(_Bare, NotFound):
    pass


class _BadMethod(_Bare, MethodNotAllowed):
    pass


def no_resource() -> ApiError:
    return _NoResource("the server could not find the requested resource")


def bad_method() -> ApiError:
    return _BadMethod("the server does not allow this method on the requested resource")
