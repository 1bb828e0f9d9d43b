"""Every route, walked as nobody, as a tenant and as a service account: what is not granted is refused, whatever the path looks like.

The server is real (TLS, authentication, RBAC with the stock roles); who is allowed is written down here, not asked of the authorizer.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from kubesim import builtin
from kubesim.pki import Pair
from kubesim.resources import Object, Resource
from kubesim.server import Cluster, Settings, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

OWN, OTHER = "kubeflow-user01", "kubeflow-user02"
TENANT = "user01@mlops.local"
RBAC = "rbac.authorization.k8s.io"
METHODS = {"get": "GET", "create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE"}
OPEN_TO_ALL = ("/healthz", "/livez", "/readyz", "/version", "/version/")
SELF_REVIEWS = ("selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews")
GUARDED_PATHS = (
    *("/metrics", "/metrics/slis", "/logs", "/logs/kubesim.log", "/debug/pprof/", "/configz", "/flagz", "/statusz"),
    *(
        "/healthz/etcd",
        "/livez/ping",
        "/",
        "/ui",
        "/swaggerapi",
        "/proxy",
        "/.well-known/openid-configuration",
        "/openid/v1/jwks",
    ),
)
DISCOVERY = ("/api", "/apis", "/api/v1", "/apis/apps/v1", "/openapi/v2", "/openapi/v3")


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any

    @property
    def message(self) -> str:
        return str(self.body.get("message", "")) if isinstance(self.body, dict) else str(self.body)


class Caller:
    """One identity over HTTPS. Paths go out as they are written."""

    def __init__(self, url: str, context: ssl.SSLContext, token: str = "") -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connector = aiohttp.TCPConnector(ssl=context, limit=4)
        self._url = url
        self._session = aiohttp.ClientSession(connector=connector, headers=headers)

    async def send(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        data = None if body is None else json.dumps(body).encode()
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        sent = {"Content-Type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
        async with self._session.request(
            method, URL(self._url + path, encoded=True), data=data, headers=sent
        ) as response:
            raw = await response.read()
        with contextlib.suppress(ValueError):
            return Answer(response.status, json.loads(raw))
        return Answer(response.status, raw.decode(errors="replace"))

    async def close(self) -> None:
        await self._session.close()


@dataclass(frozen=True)
class World:
    """OWN is the tenant's namespace (ClusterRole admin) and its service account's (edit); OTHER is someone else's."""

    cluster: Cluster
    nobody: Caller
    tenant: Caller
    account: Caller
    admin: Caller


def context(cluster: Cluster, folder: Path, pair: Pair | None = None) -> ssl.SSLContext:
    made = ssl.create_default_context(cadata=cluster.authority.pem.decode())
    if pair is not None:
        file = folder / "client.pem"
        file.write_bytes(pair.certificate + pair.key)
        made.load_cert_chain(file)
        file.unlink()
    return made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("walk")
    async with (
        running(Settings(folder / "state", port=0, controllers=False, node=False)) as cluster,
        populated(cluster, folder) as world,
    ):
        yield world


@contextlib.asynccontextmanager
async def populated(cluster: Cluster, tmp_path: Path) -> AsyncIterator[World]:
    client = cluster.client()
    for name in (OWN, OTHER):
        await client.create("v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        for account in ("default", "default-editor", "short-lived"):
            sa = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": name}}
            await client.create("v1/serviceaccounts", sa, name)
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "key"},
            "stringData": {"k": f"secret of {name}"},
        }
        await client.create("v1/secrets", secret, name)
    for binding, role, subject in (
        ("namespaceAdmin", "admin", {"kind": "User", "apiGroup": RBAC, "name": TENANT}),
        ("default-editor", "edit", {"kind": "ServiceAccount", "name": "default-editor", "namespace": OWN}),
    ):
        await client.create(f"{RBAC}/v1/rolebindings", role_binding(binding, role, subject), OWN)
    anyone = context(cluster, tmp_path)
    callers = [
        Caller(cluster.url, anyone),
        Caller(cluster.url, context(cluster, tmp_path, cluster.authority.client(TENANT, ["mlops:tenants"]))),
        Caller(cluster.url, anyone, await token_of(cluster, "default-editor")),
        Caller(cluster.url, context(cluster, tmp_path, cluster.authority.client("root", ["system:masters"]))),
    ]
    yield World(cluster, *callers)
    for caller in callers:
        await caller.close()


async def token_of(cluster: Cluster, account: str) -> str:
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    issued = await cluster.client().create("v1/serviceaccounts", request, OWN, name=account, subresource="token")
    return str(issued["status"]["token"])


def role_binding(name: str, role: str, subject: Object) -> Object:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": OWN},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    }


def base(resource: Resource) -> str:
    return f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"


def routes(resource: Resource, namespace: str) -> Iterator[tuple[str, str]]:
    """(method, path) of all that can be asked of a kind, subresources included; of all namespaces together where `namespace` is ""."""
    collection = (
        f"{base(resource)}/namespaces/{namespace}/{resource.plural}"
        if namespace
        else f"{base(resource)}/{resource.plural}"
    )
    for method, path in (("GET", ""), ("GET", "?watch=1"), ("POST", ""), ("DELETE", "")):
        yield method, collection + path
    if bool(namespace) == resource.namespaced:
        for path in ("/x", *(f"/x/{name}" for name, _ in resource.subresources)):
            for method in METHODS.values():
                yield method, collection + path
        for path in ("/x/nosuch", "/x/proxy/y"):
            yield "GET", collection + path


async def walk(caller: Caller, asked: Sequence[tuple[str, str]]) -> list[tuple[str, str, Answer]]:
    answers = await asyncio.gather(
        *(caller.send(method, path, {} if method in ("POST", "PUT", "PATCH") else None) for method, path in asked)
    )
    return [(method, path, answer) for (method, path), answer in zip(asked, answers, strict=True)]


def every(namespace: str) -> list[tuple[str, str]]:
    """The routes of one namespace, or, with "", of the cluster."""
    kinds = (one for one in builtin.resources() if one.namespaced or not namespace)
    return [route for resource in kinds for route in routes(resource, namespace)]


def is_about_oneself(path: str) -> bool:
    return any(part in SELF_REVIEWS for part in path.split("/"))


async def test_nobody_gets_nothing_anywhere(world: World) -> None:
    for method, path, answer in await walk(world.nobody, [*every(OTHER), *every("")]):
        assert answer.status == 403, (method, path, answer)
        assert 'User "system:anonymous" cannot' in answer.message, (method, path)


async def test_nobody_sees_health_and_version_and_no_other_page(world: World) -> None:
    for path in OPEN_TO_ALL:
        assert (await world.nobody.send("GET", path)).status == 200, path
        assert (await world.nobody.send("POST", path)).status == 403, path
    for method, path, answer in await walk(world.nobody, [("GET", path) for path in (*GUARDED_PATHS, *DISCOVERY)]):
        assert (answer.status, answer.message) == (
            403,
            f'forbidden: User "system:anonymous" cannot get path "{path}"',
        ), method


async def test_a_tenant_gets_nothing_of_another(world: World) -> None:
    for caller in (world.tenant, world.account):
        for method, path, answer in await walk(caller, every(OTHER)):
            assert answer.status == 403, (method, path, answer)


async def test_a_tenant_gets_nothing_of_the_cluster_but_answers_about_themselves(world: World) -> None:
    for caller in (world.tenant, world.account):
        for method, path, answer in await walk(caller, every("")):
            if method == "POST" and is_about_oneself(path):
                assert answer.status in (201, 400, 405, 422), (path, answer)
            else:
                assert answer.status == 403, (method, path, answer)
        for path in GUARDED_PATHS[:12]:
            assert (await caller.send("GET", path)).status == 403, path
        for path in DISCOVERY:
            assert (await caller.send("GET", path)).status == 200, path


async def test_no_route_fails_on_an_empty_body_even_for_the_administrator(world: World) -> None:
    asked = [
        (method, path) for method, path in (*every(OTHER), *every("")) if "watch=1" not in path and method != "DELETE"
    ]
    broken = [
        each for each in await walk(world.admin, asked) if each[2].status >= 500 and each[2].status not in (501, 503)
    ]
    assert broken == []


WRITES = ("create", "update", "patch", "delete")


@pytest.mark.parametrize(
    ("resource", "account_may", "tenant_may"),
    [
        ("secrets", ("get", *WRITES), ("get", *WRITES)),
        ("configmaps", ("get", *WRITES), ("get", *WRITES)),
        ("resourcequotas", ("get",), ("get",)),
        ("limitranges", ("get",), ("get",)),
        ("roles", (), ("get", *WRITES)),
        ("rolebindings", (), ("get", *WRITES)),
        ("networkpolicies", ("get", *WRITES), ("get", *WRITES)),
        ("poddisruptionbudgets", ("get", *WRITES), ("get", *WRITES)),
        ("leases", ("get", *WRITES), ("get", *WRITES)),
    ],
)
async def test_in_ones_own_namespace_edit_and_admin_are_what_they_are(
    world: World, resource: str, account_may: Sequence[str], tenant_may: Sequence[str]
) -> None:
    kind = next(one for one in builtin.resources() if one.plural == resource)
    collection = f"{base(kind)}/namespaces/{OWN}/{resource}"
    for caller, may in ((world.account, account_may), (world.tenant, tenant_may)):
        for verb, method in METHODS.items():
            path = collection if verb == "create" else f"{collection}/nosuch"
            answer = await caller.send(method, path, {} if method in ("POST", "PUT", "PATCH") else None)
            assert (answer.status != 403) == (verb in may), (verb, path, answer)


async def test_a_status_and_a_binding_are_the_systems(world: World) -> None:
    pod = f"/api/v1/namespaces/{OWN}/pods/p"
    for caller in (world.tenant, world.account):
        for method, path in (("PUT", f"{pod}/status"), ("PATCH", f"{pod}/status"), ("POST", f"{pod}/binding")):
            assert (await caller.send(method, path, {})).status == 403, path


PATHS = [
    f"/api/v1/namespaces/{OWN}/../{OTHER}/secrets",
    f"/api/v1/namespaces/{OWN}/%2e%2e/{OTHER}/secrets",
    f"/api/v1/namespaces/{OWN}/..%2f{OTHER}/secrets",
    f"/api/v1/namespaces/{OWN}%2f..%2f{OTHER}/secrets",
    f"/api/v1/namespaces/{OWN}/secrets/../../{OTHER}/secrets/key",
    f"/api/v1/namespaces/{OWN}/secrets/..%2f..%2f{OTHER}%2fsecrets%2fkey",
    f"/api/v1/namespaces/{OWN}/secrets/%00",
    f"/api/v1/namespaces/{OWN}/secrets/key%00",
    f"/api/v1/namespaces/{OWN}/secrets/%ff%fe",
    f"/api/v1//namespaces/{OTHER}/secrets",
    f"//api/v1/namespaces/{OTHER}/secrets",
    f"/api//v1/namespaces/{OTHER}/secrets",
    f"/api/v1/namespaces//{OTHER}/secrets",
    f"/./api/v1/namespaces/{OTHER}/secrets",
    f"/%61pi/v1/namespaces/{OTHER}/secrets",
    f"/api/v1/namespaces/{OTHER}/secrets/",
    f"/api/v1/namespaces/{OTHER}/secrets/key/",
    f"/api/v1/namespaces/{OTHER}/secrets;x=1/key",
    f"/API/v1/namespaces/{OTHER}/secrets",
    f"/api/v1/NAMESPACES/{OTHER}/secrets",
    f"/api/v1/namespaces/{OTHER}/secrets/key?namespace={OWN}",
    f"/api/v1/namespaces/{OTHER}/secrets?fieldSelector=metadata.namespace={OWN}",
    f"/api/v1/secrets?fieldSelector=metadata.namespace={OWN}",
    "/api/v1/namespaces//secrets",
    "/api/v1/namespaces/%20/secrets",
    "/api/v1/namespaces/*/secrets",
    f"/api/v1/watch/namespaces/{OTHER}/secrets",
    f"/api/v1/proxy/namespaces/{OTHER}/pods/p",
    f"/healthz/../api/v1/namespaces/{OTHER}/secrets",
    f"/openapi/../api/v1/namespaces/{OTHER}/secrets",
    f"/openapi/v3/..%2f..%2fapi/v1/namespaces/{OTHER}/secrets",
    "/openapi/v3/../../etc/passwd",
    "/apis/../../../etc/passwd",
    f"/api/v1/namespaces/{OTHER}/secrets/" + "k" * 4000,
    "/" + "a/" * 2000,
]


@pytest.mark.parametrize("path", PATHS, ids=range(len(PATHS)))
async def test_no_spelling_of_a_path_leads_to_what_is_anothers(world: World, path: str) -> None:
    for caller in (world.nobody, world.tenant, world.account):
        for method in ("GET", "PUT", "DELETE"):
            answer = await caller.send(method, path, {} if method == "PUT" else None)
            assert 400 <= answer.status < 500, (method, answer)
            assert "secret of" not in str(answer.body)
            assert base64.b64encode(f"secret of {OTHER}".encode()).decode() not in str(answer.body)


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PROPFIND", "get", "HEAD"])
async def test_no_other_method_is_a_way_around(world: World, method: str) -> None:
    for caller in (world.nobody, world.tenant, world.account):
        answer = await caller.send(method, f"/api/v1/namespaces/{OTHER}/secrets/key")
        assert 400 <= answer.status < 500, answer
        assert "secret of" not in str(answer.body)


HEADERS: list[dict[str, str]] = [
    {"Impersonate_User": "root"},
    {"Impersonate_User": TENANT, "Impersonate_Group": "system:masters"},
    {"IMPERSONATE_USER": "system:admin", "impersonate_group": "system:masters"},
    {"Impersonate_User": "system:serviceaccount:kube-system:default"},
    {"Impersonate_User": "system:node:lab-node"},
    {"Impersonate_Group": "system:masters"},
    {"Impersonate_User": "", "Impersonate_Group": "system:masters"},
    {"Impersonate_Extra_scopes": "x"},
    {"Impersonate_Uid": "0"},
    {"X_Remote_User": "root", "X_Remote_Group": "system:masters"},
    {"X_Forwarded_User": "root", "X_Forwarded_For": "127.0.0.1"},
    {"X_Forwarded_Client_Cert": 'Subject="CN=root,O=system:masters"'},
    {"X_HTTP_Method_Override": "GET", "X_Original_URL": "/healthz", "X_Rewrite_URL": "/healthz"},
]


@pytest.mark.parametrize("headers", HEADERS, ids=range(len(HEADERS)))
async def test_no_header_makes_one_someone_else(world: World, headers: dict[str, str]) -> None:
    for caller in (world.nobody, world.tenant, world.account):
        answer = await caller.send("GET", f"/api/v1/namespaces/{OTHER}/secrets/key", **headers)
        assert answer.status in (400, 403), answer
        assert "secret of" not in str(answer.body)


async def test_an_administrator_who_acts_as_a_tenant_is_the_tenant(world: World) -> None:
    as_tenant = {"Impersonate_User": TENANT}
    own = await world.admin.send("GET", f"/api/v1/namespaces/{OWN}/secrets/key", **as_tenant)
    other = await world.admin.send("GET", f"/api/v1/namespaces/{OTHER}/secrets/key", **as_tenant)
    assert (own.status, other.status) == (200, 403)
    assert f'User "{TENANT}" cannot get' in other.message


@pytest.mark.parametrize("token", ["garbage", "a.b.c", "null", "k8s-aws-v1.x", "e30.e30.e30", "x" * 7000])
async def test_a_wrong_token_is_refused_everywhere_even_where_nobody_is_welcome(world: World, token: str) -> None:
    for path in ("/version", "/api", f"/api/v1/namespaces/{OWN}/secrets", "/nosuch"):
        answer = await world.nobody.send("GET", path, Authorization=f"Bearer {token}")
        assert (answer.status, answer.message) == (401, "Unauthorized"), path


async def test_a_token_ends_with_its_account(world: World) -> None:
    bearer = {"Authorization": f"Bearer {await token_of(world.cluster, 'short-lived')}"}
    path = f"/api/v1/namespaces/{OWN}/secrets/key"
    assert (await world.nobody.send("GET", path, **bearer)).status == 403
    await world.cluster.client().delete("v1/serviceaccounts", "short-lived", OWN)
    assert (await world.nobody.send("GET", path, **bearer)).status == 401


async def test_an_admin_of_a_namespace_cannot_make_themselves_more(world: World) -> None:
    roles, bindings = (f"/apis/{RBAC}/v1/namespaces/{OWN}/{plural}" for plural in ("roles", "rolebindings"))
    everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    role = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "Role",
        "metadata": {"name": "root", "namespace": OWN},
        "rules": [everything],
    }
    me = {"kind": "User", "apiGroup": RBAC, "name": TENANT}
    for path, body in ((roles, role), (bindings, role_binding("root", "cluster-admin", me))):
        answer = await world.tenant.send("POST", path, body)
        assert answer.status == 403, answer
        assert "is attempting to grant RBAC permissions not currently held:\n" in answer.message
    harmless = await world.tenant.send("POST", bindings, role_binding("share", "view", me))
    assert harmless.status == 201, harmless
    harmless_role = role | {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}
    assert (await world.tenant.send("POST", roles, harmless_role)).status == 201
    for method, body in (("PUT", role), ("PATCH", {"rules": [everything]})):
        grown = await world.tenant.send(method, f"{roles}/root", body)
        assert grown.status == 403, (method, grown)
    group = f"/apis/{RBAC}/v1"
    assert (await world.tenant.send("POST", f"{group}/clusterrolebindings", {})).status == 403


async def test_a_tenant_cannot_write_their_own_certificate_into_the_group_of_masters(world: World) -> None:
    path = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    assert (await world.tenant.send("POST", path, {})).status == 403
    assert (await world.tenant.send("PUT", f"{path}/x/approval", {})).status == 403


async def test_a_patch_that_would_make_an_object_takes_create(world: World) -> None:
    client = world.cluster.client()
    look = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "patch", "update"]}
    role = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "Role",
        "metadata": {"name": "patch", "namespace": OTHER},
        "rules": [look],
    }
    await client.create(f"{RBAC}/v1/roles", role, OTHER)
    binding = role_binding("patch", "patch", {"kind": "User", "apiGroup": RBAC, "name": "patcher"})
    binding["metadata"]["namespace"], binding["roleRef"]["kind"] = OTHER, "Role"
    await client.create(f"{RBAC}/v1/rolebindings", binding, OTHER)
    path = f"/api/v1/namespaces/{OTHER}/configmaps/new?fieldManager=me"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}}
    applying = {"Impersonate_User": "patcher", "Content_Type": "application/apply-patch+yaml"}
    refused = await world.admin.send("PATCH", path, body, **applying)
    assert (refused.status, 'cannot create resource "configmaps"' in refused.message) == (403, True), refused
    assert (
        await world.admin.send(
            "PATCH", path, body, **applying | {"Impersonate_User": "root", "Impersonate_Group": "system:masters"}
        )
    ).status == 201
    assert (
        await world.admin.send("PATCH", path, body | {"data": {"a": "b"}}, **applying | {"Impersonate_User": "patcher"})
    ).status in (200, 409)
