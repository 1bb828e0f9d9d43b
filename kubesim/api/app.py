"""The API server without HTTP: the layers every request passes, in the order of `Server.layers`.

Each layer may answer; else the next is asked. Whatever a layer raises is rendered here and nowhere else.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubesim.api import pages, render, subresources, verbs
from kubesim.api.crds import Definitions
from kubesim.api.objects import Objects
from kubesim.api.reader import StoreReader
from kubesim.api.request import Call, Options, Request, Response
from kubesim.api.tabling import Tabler
from kubesim.api.virtual import Virtual
from kubesim.auth.attributes import Attributes
from kubesim.auth.authenticate import Authenticator, Credentials
from kubesim.auth.impersonate import impersonate, requested
from kubesim.auth.rbac import Authorizer
from kubesim.auth.reviews import Reviews
from kubesim.auth.tokens import Tokens
from kubesim.auth.user import SYSTEM, User
from kubesim.errors import ApiError, InternalError, MethodNotAllowed, NotFound
from kubesim.paths import RequestInfo
from kubesim.resources import Object, Registry, Resource
from kubesim.store import Store

log = logging.getLogger("kubesim.api")
Layer = Callable[[Request], Awaitable[Response | None]]


@dataclass
class Server:
    """The parts, and the layers made of them. `address` (host:port) is where clients reach it; `node` is None where none runs.

    `handlers` are subresources that are no view of an object, by (storage name, subresource); `virtual` are kinds that are computed.
    """

    store: Store
    registry: Registry
    reader: StoreReader
    objects: Objects
    authorizer: Authorizer
    authenticator: Authenticator
    tokens: Tokens
    tabler: Tabler
    address: str = ""
    ready: bool = False
    node: Any = None
    handlers: Mapping[tuple[str, str], verbs.Handler] = field(default_factory=dict)
    virtual: Mapping[str, Virtual] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.reviews = Reviews(self.authenticator, self.authorizer)
        self.steps = self.objects.steps
        self.crds = Definitions(self)
        self.pages = pages.Pages(self)
        self.layers: tuple[Layer, ...] = (
            self._authenticate,
            self._impersonate,
            self._authorize,
            self._page,
            self._route,
        )

    async def handle(self, request: Request) -> Response:
        try:
            for layer in self.layers:
                response = await layer(request)
                if response is not None:
                    return render.with_warnings(response, request.warnings)
        except ApiError as error:
            return render.with_warnings(render.failure(error), request.warnings)
        except Exception as error:  # the outer layer: a bug in one request must not end the server
            log.exception("%s %s", request.method, request.path)
            return render.failure(InternalError(f"Internal error occurred: {type(error).__name__}"))
        return render.not_found_page()

    # The layers

    async def _authenticate(self, request: Request) -> Response | None:
        headers = request.headers
        protocols = headers.get("Sec-WebSocket-Protocol")
        offered = [text.strip() for text in protocols.split(",")] if protocols else ()
        credentials = Credentials(request.certificate, headers.get("Authorization", ""), offered)
        request.user = await self.authenticator.authenticate(credentials)
        return None

    async def _impersonate(self, request: Request) -> Response | None:
        if requested(request.headers):
            request.user = impersonate(attributes(request), list(request.headers.items()), self.authorizer)
        return None

    async def _authorize(self, request: Request) -> Response | None:
        self.authorizer.check(attributes(request))
        return None

    async def _page(self, request: Request) -> Response | None:
        return None if request.info.is_resource else self.pages.answer(request)

    async def _route(self, request: Request) -> Response | None:
        info = request.info
        if not info.is_resource:
            return None
        resource = self.registry.find(info.key)
        if resource is None and not self.registry.of(info.group, info.version):
            return None
        if resource is None or (info.namespace and not resource.namespaced and resource.key != "v1/namespaces"):
            raise no_resource()
        if info.subresource:
            return await self._subresource(request, resource)
        if info.verb not in resource.verbs or not fits(info):
            raise bad_method()
        if info.verb == "create" and resource.namespaced and not info.namespace:
            raise bad_method()
        return await verbs.HANDLERS[info.verb](self, request, resource)

    async def _subresource(self, request: Request, resource: Resource) -> Response:
        name = request.info.subresource
        if not resource.has(name):
            raise no_resource()
        if request.info.verb not in resource.verbs_of(name):
            raise bad_method()
        handler = self.handlers.get((resource.storage, name))
        if handler is not None:
            await self._connect(request, resource)
            return await handler(self, request, resource)
        if name in subresources.VIEWS or (resource.storage, name) in subresources.POSTS:
            return await verbs.view(self, request, resource)
        raise no_resource()

    async def _connect(self, request: Request, resource: Resource) -> None:
        """CONNECT admission: what is asked is the options, and nothing is written."""
        call = verbs.call_of(request, resource, Options())
        admission = self.steps.request(call, "CONNECT", None, None)
        await self.steps.chain.mutate(admission, self.reader)
        await self.steps.ask(admission)
        self.steps.chain.validate_final(admission, self.reader)

    # Calls from inside

    def call(
        self,
        user: User,
        verb: str,
        resource: Resource,
        *,
        namespace: str = "",
        name: str = "",
        subresource: str = "",
        options: Options | None = None,
    ) -> Call:
        """A call that did not come by HTTP."""
        info = RequestInfo(
            path="",
            verb=verb,
            is_resource=True,
            group=resource.group,
            version=resource.version,
            namespace=namespace,
            resource=resource.plural,
            subresource=subresource,
            name=name,
        )
        return Call(info, resource, user, options or Options(field_validation="Ignore"))

    def system(
        self, verb: str, resource: Resource, *, namespace: str = "", name: str = "", subresource: str = ""
    ) -> Call:
        """A call of the API server's own."""
        options = Options(field_manager="kube-apiserver", field_validation="Ignore")
        return self.call(
            SYSTEM, verb, resource, namespace=namespace, name=name, subresource=subresource, options=options
        )


def fits(info: RequestInfo) -> bool:
    """Whether a verb of a collection names none, and a verb of an object names one. A watch may be either."""
    return info.verb == "watch" or bool(info.name) != (info.verb in ("create", "list", "deletecollection"))


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


class _Bare(ApiError):
    """A refusal of the router's: its details are there and empty."""

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
