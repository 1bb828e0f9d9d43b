"""Puts the parts together: store, API, HTTPS, controllers, node. `running` is the whole cluster as an async context manager."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from kubesim import builtin
from kubesim.api import bootstrap, services
from kubesim.api.app import Server
from kubesim.api.http import Front, tls
from kubesim.api.local import LocalClient
from kubesim.api.objects import Objects
from kubesim.api.reader import StoreReader
from kubesim.api.steps import Steps
from kubesim.api.semantics import Schemas
from kubesim.api.tabling import Tabler
from kubesim.auth.rbac import Authorizer
from kubesim.admission.chain import Chain
from kubesim.auth import keys
from kubesim.auth.authenticate import Authenticator
from kubesim.auth.certificates import Certificates
from kubesim.auth.tokens import Tokens
from kubesim.auth.user import SYSTEM, component
from kubesim.pki import Authority, Pair, write_private
from kubesim.resources import Registry
from kubesim.store import Store

ISSUER = "https://kubernetes.default.svc.cluster.local"


class Locked(Exception):
    """Another server runs on this state directory."""


@dataclass(frozen=True)
class Settings:
    """Where a cluster lives and listens. Port 0 lets the kernel choose."""

    state: Path
    address: str = "127.0.0.1"
    port: int = 16443
    name: str = "kubesim"
    controllers: bool = True
    node: bool = True


@dataclass
class Cluster:
    """A running cluster."""

    settings: Settings
    server: Server
    authority: Authority
    port: int

    @property
    def url(self) -> str:
        return f"https://{self.settings.address}:{self.port}"

    def client(self, user: str = "system:admin") -> LocalClient:
        """The API in process, as a trusted component."""
        return LocalClient(self.server, component(user))

    def kubeconfig(self, user: str, groups: tuple[str, ...] = ()) -> str:
        """A kubeconfig for anyone, with a fresh client certificate."""
        return kubeconfig(self.settings.name, self.url, self.authority.pem, user, self.authority.client(user, groups))


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Cluster]:
    """The cluster, ready to be asked; ends with the block."""
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _lock(settings.state):
        store = Store(settings.state / "store.db")
        try:
            async with _cluster(settings, store) as cluster:
                yield cluster
        finally:
            store.close()


@contextlib.asynccontextmanager
async def _cluster(settings: Settings, store: Store) -> AsyncIterator[Cluster]:
    authority = Authority.load(settings.state)
    server = _server(settings, store, authority)
    front = Front(server)
    port = await front.start(settings.address, settings.port, _context(settings, authority))
    server.address = f"{settings.address}:{port}"
    cluster = Cluster(settings, server, authority, port)
    try:
        await bootstrap.run(LocalClient(server, SYSTEM, manager="kube-apiserver"), server.reader, settings.address, port)
        admin = cluster.kubeconfig("kubernetes-admin", ("system:masters",))
        write_private(settings.state / "admin.kubeconfig", admin.encode())
        server.ready = True
        yield cluster
    finally:
        server.ready = False
        await front.stop()


def _server(settings: Settings, store: Store, authority: Authority) -> Server:
    registry = Registry(builtin.resources())
    reader, schemas = StoreReader(store, registry), Schemas()
    tokens = Tokens(keys.load(settings.state / "sa.key"), reader)
    authorizer = Authorizer(reader)
    steps = Steps(schemas, Chain(authorizer, defaults=lambda resource, obj: steps.default(resource, obj)), reader)
    steps.allocators[services.STORAGE] = lambda obj, old: services.allocate(store, obj, old)
    objects = Objects(store, steps)
    return Server(
        store=store,
        registry=registry,
        reader=reader,
        objects=objects,
        authorizer=authorizer,
        authenticator=Authenticator(tokens, certificates=Certificates(authority.certificate)),
        tokens=tokens,
        tabler=Tabler(schemas, objects.clock),
    )


def _context(settings: Settings, authority: Authority):  # type: ignore[no-untyped-def]
    pair = authority.server([settings.address])
    write_private(settings.state / "server.crt", pair.certificate)
    write_private(settings.state / "server.key", pair.key)
    return tls(settings.state / "server.crt", settings.state / "server.key", settings.state / "ca.crt")


@contextlib.contextmanager
def _lock(state: Path):  # type: ignore[no-untyped-def]
    """Held as long as the process lives, whatever ends it; the file names who holds it."""
    descriptor = os.open(state / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode() or "unknown"
            raise Locked(f"{state} is in use by another kubesim (pid {holder}): stop it first, or use another --state") from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        os.close(descriptor)


def kubeconfig(name: str, url: str, ca: bytes, user: str, pair: Pair) -> str:
    def data(raw: bytes) -> str:
        return base64.b64encode(raw).decode()

    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": url, "certificate-authority-data": data(ca)}}],
            "users": [{"name": user, "user": {"client-certificate-data": data(pair.certificate), "client-key-data": data(pair.key)}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
            "current-context": name,
        },
        sort_keys=False,
    )


async def serve(settings: Settings, stopped: asyncio.Event) -> None:
    """Runs until `stopped` is set."""
    async with running(settings) as cluster:
        print(f"kubesim is ready at {cluster.url} (kubeconfig: {settings.state / 'admin.kubeconfig'})", flush=True)
        await stopped.wait()
