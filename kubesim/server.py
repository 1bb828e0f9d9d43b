"""Puts the parts together: store, API, HTTPS, controllers, node. `running` is the whole cluster as an async context manager."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import importlib
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kubesim import addresses, builtin, controllers, ending, lock, node
from kubesim.admission.chain import Chain
from kubesim.api import apiservices, bootstrap, events, services
from kubesim.api.app import Server
from kubesim.api.http import Front, tls
from kubesim.api.local import LocalClient
from kubesim.api.objects import Objects
from kubesim.api.reader import StoreReader
from kubesim.api.steps import Steps
from kubesim.api.tabling import Tabler
from kubesim.auth import keys
from kubesim.auth.authenticate import Authenticator, StaticTokens
from kubesim.auth.certificates import Certificates
from kubesim.auth.rbac import Authorizer
from kubesim.auth.tokens import Tokens
from kubesim.auth.user import SYSTEM, User, component
from kubesim.auth.webhook import TokenWebhook
from kubesim.node import mounts
from kubesim.pki import Authority, Pair, write_private
from kubesim.resources import Registry
from kubesim.schema import Schemas
from kubesim.store import Store

log = logging.getLogger("kubesim")


@dataclass(frozen=True)
class Settings:
    """Where a cluster lives and listens. Port 0 lets the kernel choose. `stop_containers`: whether they end with the server."""

    state: Path
    address: str = "127.0.0.1"
    port: int = 16443
    name: str = "kubesim"
    controllers: bool = True
    node: bool = True
    stop_containers: bool = False
    token_webhook: str = ""
    static_tokens: Mapping[str, User] = field(default_factory=dict)


@dataclass
class Cluster:
    """A running cluster."""

    settings: Settings
    server: Server
    authority: Authority
    port: int
    stop_containers: bool = False

    @property
    def url(self) -> str:
        return f"https://{self.settings.address}:{self.port}"

    def client(self, user: str = "system:admin", *, manager: str = "") -> LocalClient:
        """The API in process, as a trusted component."""
        return LocalClient(self.server, component(user), manager=manager)

    def kubeconfig(self, user: str, groups: tuple[str, ...] = ()) -> str:
        """A kubeconfig for anyone, with a fresh client certificate."""
        return kubeconfig(self.settings.name, self.url, self.authority.pem, user, self.authority.client(user, groups))


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Cluster]:
    """The cluster, ready to be asked; ends with the block. Raises Locked where another one runs on the state directory."""
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(lock.held(settings.state))
        ahead = Ahead(settings)
        stack.push_async_callback(ahead.end)
        store = Store(settings.state / "store.db")
        stack.callback(store.close)
        authority = Authority.load(settings.state)
        server = await _server(settings, store, authority, stack, await ahead.key)
        front = Front(server)
        port = await front.start(settings.address, settings.port, _context(settings, authority))
        stack.push_async_callback(front.stop)
        server.address = f"{settings.address}:{port}"
        cluster = Cluster(settings, server, authority, port, settings.stop_containers)
        await bootstrap.run(
            LocalClient(server, SYSTEM, manager="kube-apiserver"),
            server.reader,
            settings.address,
            port,
            service_ip=addresses.service_ip(settings.state),
        )
        admin = cluster.kubeconfig("kubernetes-admin", ("system:masters",))
        write_private(settings.state / "admin.kubeconfig", admin.encode())
        await ahead.isolation
        await _start(cluster, stack)
        server.ready = True
        stack.callback(_not_ready, server)
        yield cluster


def _not_ready(server: Server) -> None:
    server.ready = False


class Ahead:
    """What takes long and needs nothing of the rest, begun in threads before it is wanted: the key that signs tokens, and what the kernel
    lets the node have, which is tried in processes of their own and remembered."""

    def __init__(self, settings: Settings) -> None:
        self.key = asyncio.ensure_future(asyncio.to_thread(keys.load, settings.state / "sa.key"))
        self.isolation = asyncio.ensure_future(asyncio.to_thread(mounts.available if settings.node else _nothing))

    async def end(self) -> None:
        """Where the start did not come so far as to ask."""
        await asyncio.gather(self.key, self.isolation, return_exceptions=True)


def _nothing() -> None: ...


async def _server(
    settings: Settings,
    store: Store,
    authority: Authority,
    stack: contextlib.AsyncExitStack,
    key: keys.SigningKey,
) -> Server:
    registry = Registry(builtin.resources())
    reader, schemas = StoreReader(store, registry), Schemas()
    tokens = Tokens(key, reader)
    webhook = TokenWebhook(settings.token_webhook) if settings.token_webhook else None
    if webhook is not None:
        stack.push_async_callback(webhook.close)
    authorizer = Authorizer(reader)
    chain = Chain(authorizer, defaults=lambda resource, obj: steps.default(resource, obj))
    stack.push_async_callback(chain.close)
    steps = Steps(schemas, chain, reader)
    steps.allocators[services.STORAGE] = lambda obj, old: services.allocate(store, obj, old)
    objects = Objects(store, steps)
    authenticator = Authenticator(
        tokens,
        certificates=Certificates(authority.certificate),
        static=StaticTokens(settings.static_tokens) if settings.static_tokens else None,
        webhook=webhook,
    )
    return Server(
        store=store,
        registry=registry,
        reader=reader,
        objects=objects,
        authorizer=authorizer,
        authenticator=authenticator,
        tokens=tokens,
        tabler=Tabler(schemas, objects.clock),
    )


# What runs beside the API


async def _start(cluster: Cluster, stack: contextlib.AsyncExitStack) -> None:
    """Starts what the settings ask for; each part is a task that ends with the stack."""
    settings, server = cluster.settings, cluster.server
    background = Background()
    stack.push_async_callback(background.stop)
    background.start("definitions", server.crds.run)
    background.start("apiservices", apiservices.Registrations(server).run)
    background.start("events", lambda: events.expire(server))
    if settings.node:
        _start_node(cluster, background, stack)
    if settings.controllers:
        background.start("controllers", lambda: _controllers(cluster))


def _controllers(cluster: Cluster) -> Coroutine[Any, Any, None]:
    """Run as long as the cluster does."""
    authority, registry = cluster.authority, cluster.server.registry

    def sign(csr: str, *, signer: str, usages: list[str], expiration_seconds: int | None) -> str:
        seconds = {} if expiration_seconds is None else {"seconds": expiration_seconds}
        return authority.sign(csr.encode(), usages, **seconds).decode()

    return controllers.run_all(
        lambda name: LocalClient(cluster.server, component(f"system:{name}"), manager=name),
        discover=lambda: tuple(registry),
        ca=authority.pem.decode(),
        sign=sign,
        issue=cluster.server.tokens.lasting,
        volumes=cluster.settings.state / "volumes",
        host=cluster.settings.name,
    )


def _start_node(cluster: Cluster, background: Background, stack: contextlib.AsyncExitStack) -> None:
    """The node, and what of the API only a node can answer: logs, exec, metrics."""
    settings, server = cluster.settings, cluster.server
    name = f"system:node:{settings.name}-node"
    server.node = node.start(LocalClient(server, component(name), manager="kubelet"), settings)
    server.handlers = _optional("kubesim.api.streams", "HANDLERS", {})
    server.virtual = _optional("kubesim.api.metrics", "virtual", lambda _: {})(server.node)

    async def stop() -> None:
        await server.node.stop(containers=cluster.stop_containers)

    stack.push_async_callback(stop)
    stack.push_async_callback(background.stop)  # before the node is told to let go: `run` must have ended
    background.start("node", server.node.run)


def _optional(module: str, name: str, default: Any) -> Any:
    try:
        return getattr(importlib.import_module(module), name, default)
    except ModuleNotFoundError:
        return default


class Background:
    """Tasks beside the API. One that fails is logged and started again after a moment: a bug in a controller must not end the lab."""

    PAUSE = 1.0

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._tasks.append(asyncio.create_task(self._keep(name, run), name=name))

    async def _keep(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                await run()
            except Exception:
                log.exception("%s failed; starting it again", name)
            await asyncio.sleep(self.PAUSE)

    async def stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        await ending.cancel(tasks)


# Files


def _context(settings: Settings, authority: Authority) -> ssl.SSLContext:
    pair = authority.server([settings.address, addresses.service_ip(settings.state)])
    certificate, key = settings.state / "server.crt", settings.state / "server.key"
    write_private(certificate, pair.certificate)
    write_private(key, pair.key)
    return tls(certificate, key, settings.state / "ca.crt")


def kubeconfig(name: str, url: str, ca: bytes, user: str, pair: Pair) -> str:
    """A kubeconfig that needs no other file."""

    def data(raw: bytes) -> str:
        return base64.b64encode(raw).decode()

    credentials = {"client-certificate-data": data(pair.certificate), "client-key-data": data(pair.key)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": url, "certificate-authority-data": data(ca)}}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "current-context": name,
    }
    return yaml.safe_dump(config, sort_keys=False)
