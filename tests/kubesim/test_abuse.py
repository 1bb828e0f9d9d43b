"""What nobody should send: every answer is a proper Status, none is the server's fault, and it goes on serving."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote, urlencode

import orjson
import pytest
import pytest_asyncio

from kubesim.server import Cluster, Settings, running
from tests.kubesim.conftest import Answer, Http, client_context, config_map, connections_gone

MAPS = "/api/v1/namespaces/default/configmaps"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
JSON_PATCH = {"Content-Type": "application/json-patch+json"}
YAML = {"Content-Type": "application/yaml"}


in_one_server = pytest.mark.asyncio(loop_scope="module")
"""What is refused changes nothing: these hundreds of requests all go to one server, which lives through them."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    settings = Settings(tmp_path_factory.mktemp("abuse") / "state", port=0, controllers=False, node=False)
    async with running(settings) as started:
        yield started
    await connections_gone()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(shared_cluster: Cluster) -> AsyncIterator[Http]:
    api = Http(shared_cluster, client_context(shared_cluster, "admin", ("system:masters",)))
    yield api
    await api.session.close()


def proper(answer: Answer, *statuses: int) -> None:
    """A refusal in Kubernetes's form, with one of these codes (any 4xx where none is given)."""
    shown = str(answer.body)[:400]
    assert answer.status in statuses if statuses else 400 <= answer.status < 500, f"{answer.status} {shown}"
    assert isinstance(answer.body, dict), shown
    assert (answer.body["kind"], answer.body["status"]) == ("Status", "Failure"), shown
    assert answer.body["code"] == answer.status, shown
    assert answer.body["message"], shown


async def alive(http: Http) -> None:
    started = time.monotonic()
    assert (await http("GET", MAPS)).status == 200
    assert time.monotonic() - started < 5


# Bodies

BODIES = {
    "nothing": b"",
    "spaces": b"   ",
    "null": b"null",
    "number": b"1",
    "string": b'"ConfigMap"',
    "list": b"[]",
    "open": b'{"apiVersion": "v1"',
    "trailing": b'{"apiVersion": "v1", "kind": "ConfigMap"} {}',
    "not JSON": b"\x00\x01\x02",
    "invalid UTF-8": b'{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a\xff"}}',
    "lone surrogate": b'{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "\\ud800"}}',
    "NaN": b'{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generation": NaN}}',
    "deep objects": b'{"a":' * 100_000,
    "deep lists": b"[" * 1_000_000,
    "closed deep lists": b'{"metadata": {"name": "n"}, "data": ' + b"[" * 900 + b"]" * 900 + b"}",
    "deep strings": b'{"metadata": {"name": "n"}, "data": ' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}",
    "metadata is a list": b'{"apiVersion": "v1", "kind": "ConfigMap", "metadata": []}',
    "metadata is a string": b'{"apiVersion": "v1", "kind": "ConfigMap", "metadata": "x"}',
    "name is a number": b'{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": 1}}',
    "labels are a list": b'{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "n", "labels": ["a"]}}',
    "data is a list": b'{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "n"}, "data": [1]}',
    "huge integer": b'{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "n", "generation": 1'
    + b"0" * 400
    + b"}}",
    "another kind": b'{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "n"}}',
    "another version": b'{"apiVersion": "v9", "kind": "ConfigMap", "metadata": {"name": "n"}}',
    "kind is an object": b'{"apiVersion": "v1", "kind": {}, "metadata": {"name": "n"}}',
    "protobuf's magic": b"k8s\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
}


@in_one_server
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("kind", ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"])
async def test_bodies_that_are_no_object(shared: Http, body: bytes, kind: str) -> None:
    answer = await shared("POST", MAPS, body, {"Content-Type": kind})
    proper(answer, 400, 413, 415, 422)
    await alive(shared)


@in_one_server
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_bodies_that_are_no_patch(shared: Http, body: bytes) -> None:
    await shared("POST", MAPS, config_map("patched"))
    for kind in ("json-patch+json", "merge-patch+json", "strategic-merge-patch+json", "apply-patch+yaml"):
        path = f"{MAPS}/patched?fieldManager=m"
        answer = await shared("PATCH", path, body, {"Content-Type": f"application/{kind}"})
        if answer.status >= 300:
            proper(answer, 400, 409, 413, 415, 422)
    await alive(shared)


async def test_huge_bodies(http: Http) -> None:
    huge, large = (config_map("big", {"a": "x" * size}) for size in (4_000_000, 1_100_000))
    proper(await http("POST", MAPS, payload(huge)), 413)
    proper(await http("POST", MAPS, payload(large)), 422)
    many = config_map("many", {f"k{number}": "v" for number in range(50_000)})
    assert (await http("POST", MAPS, payload(many))).status == 201
    await alive(http)


async def test_a_body_without_an_end_is_cut_off(cluster: Cluster, http: Http) -> None:
    """Chunks for ever: refused as soon as they are too many, however fast they come."""

    async def chunks() -> Any:
        for _ in range(1000):
            yield b" " * 65536

    async with http.session.post(http.url + MAPS, data=chunks()) as answer:
        assert answer.status == 413
    await alive(http)


BOMB = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
)
MERGES = "\n".join(
    ["a0: &a0 {k: v}"] + [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 9)]
)


@in_one_server
@pytest.mark.parametrize(
    "text", [BOMB, MERGES, "a: &a [*a]", "!!python/object:os.system x", "? {a: b}\n: c", "a: 2026-11-22"]
)
async def test_yaml_that_grows(shared: Http, text: str) -> None:
    started = time.monotonic()
    proper(await shared("POST", MAPS, text.encode(), YAML), 400, 422)
    proper(
        await shared(
            "PATCH", f"{MAPS}/x?fieldManager=m", text.encode(), {"Content-Type": "application/apply-patch+yaml"}
        ),
        400,
        422,
    )
    assert time.monotonic() - started < 5
    await alive(shared)


async def test_patches_that_grow(http: Http) -> None:
    await http("POST", MAPS, config_map("grows"))
    doubling = [{"op": "copy", "from": "/metadata", "path": f"/metadata/m{number}"} for number in range(60)]
    proper(await http("PATCH", f"{MAPS}/grows", doubling, JSON_PATCH), 400, 413, 422)
    proper(await http("PATCH", f"{MAPS}/grows", [{"op": "test", "path": ""}] * 10_001, JSON_PATCH), 413)
    deepening = [{"op": "add", "path": "/metadata" + "/a" * number, "value": {}} for number in range(1, 1000)]
    proper(await http("PATCH", f"{MAPS}/grows", deepening, JSON_PATCH), 400, 413, 422)
    await alive(http)


async def test_deep_custom_objects(http: Http) -> None:
    """Free-form objects may be nested; how deep is bounded, for create, patch and apply alike."""
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": free}}
    names = {"kind": "Deep", "plural": "deeps", "singular": "deep", "listKind": "DeepList"}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "deeps.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]},
    }
    assert (await http("POST", CRDS, crd)).status == 201
    path = "/apis/example.com/v1/namespaces/default/deeps"
    async with asyncio.timeout(10):
        while (await http("GET", path)).status == 404:  # noqa: ASYNC110  a new kind has no event of its own
            await asyncio.sleep(0.02)
    for depth, fits in ((150, True), (190, True), (260, False), (600, False), (1000, False), (5000, False)):
        nested = b'{"a":' * depth + b"1" + b"}" * depth
        head = b'{"apiVersion":"example.com/v1","kind":"Deep","metadata":{"name":"d%d"},"spec":' % depth
        for method, where, kind in (
            ("POST", path, "application/json"),
            ("PATCH", f"{path}/d{depth}", "application/merge-patch+json"),
            ("PATCH", f"{path}/d{depth}?fieldManager=m&force=true", "application/apply-patch+yaml"),
            ("PUT", f"{path}/d{depth}", "application/json"),
        ):
            answer = await http(method, where, head + nested + b"}", {"Content-Type": kind})
            if fits and method == "PUT":
                proper(answer, 422)  # a custom object is replaced with its resourceVersion only
            elif fits:
                assert answer.status in (200, 201), (depth, method, kind, str(answer.body)[:300])
            else:
                proper(answer, 400, 404, 413)
    assert len((await http("GET", path)).body["items"]) == 2
    await alive(http)


# Queries, paths, headers

QUERIES = [
    "limit=-1",
    "limit=abc",
    "limit=99999999999999999999999",
    "continue=garbage",
    "continue=" + "A" * 4000,
    "limit=1&continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoiXHUwMDAwIn0",
    "resourceVersion=abc",
    "resourceVersion=-1",
    "resourceVersion=1.5",
    "resourceVersionMatch=Nope",
    "resourceVersionMatch=Exact",
    "labelSelector=%28%28",
    "labelSelector=a+in+%28",
    "labelSelector=" + "a," * 2000,
    "labelSelector=" + quote("é" * 100),
    "fieldSelector=nope",
    "fieldSelector=spec.nope%3D1",
    "fieldSelector=%3D%3D%3D",
    "watch=1&resourceVersion=abc",
    "watch=1&resourceVersion=-5",
    "watch=1&timeoutSeconds=1&sendInitialEvents=true",
    "watch=1&timeoutSeconds=-1",
    "watch=1&timeoutSeconds=abc",
    "dryRun=Sometimes",
    "fieldValidation=Perhaps",
    "pretty=" + "x" * 3000,
    "a=%ff%fe",
    "a=%00",
    "&&&===",
]


@in_one_server
@pytest.mark.parametrize("query", QUERIES, ids=[query[:40] for query in QUERIES])
async def test_absurd_queries(shared: Http, query: str) -> None:
    if "watch" in query:
        async with asyncio.timeout(10), shared.session.get(f"{shared.url}{MAPS}?{query}&timeoutSeconds=1") as watch:
            assert watch.status < 500
            await watch.read()
    else:
        for method, body in (("GET", None), ("POST", config_map("queried")), ("DELETE", None)):
            answer = await shared(method, f"{MAPS}?{query}", body)
            if answer.status >= 300:
                proper(answer)
    await alive(shared)


PATHS = [
    "/api/v1/namespaces/default/configmaps/%00",
    "/api/v1/namespaces/default/configmaps/%ff%fe",
    "/api/v1/namespaces/default/configmaps/" + "a" * 5000,
    "/api/v1/namespaces/default/configmaps/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "/api/v1/namespaces/%2e%2e/configmaps",
    "/api/v1/namespaces//configmaps/a",
    "/api/v1/namespaces/default/configmaps/a/b/c/d/e",
    "/api/v1/namespaces/default/pods/a/log/../../../secrets",
    "/apis/apps/v1/namespaces/default/deployments/a/scale/more",
    "/apis//v1/x",
    "/apis/a/b/c/d/e/f/g/h",
    "/api/v1/nosuch",
    "/apis/nosuch.example.com/v1/things",
    "/openapi/v3/apis/no/such",
    "/logs/../../etc/passwd",
    "/nosuch",
]


@in_one_server
@pytest.mark.parametrize("path", PATHS, ids=[path[:60] for path in PATHS])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_absurd_paths(shared_cluster: Cluster, shared: Http, method: str, path: str) -> None:
    """As they are written: no client in between that would tidy them."""
    request = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
    status = await raw(shared_cluster, shared, request.encode())
    assert status < 500
    await alive(shared)


async def raw(cluster: Cluster, http: Http, data: bytes, *, seconds: float = 10.0) -> int:
    """The status of the answer to bytes as they are; 0 where the connection was closed without one."""
    context = client_context(cluster, "admin", ("system:masters",))
    reader, writer = await asyncio.open_connection("127.0.0.1", cluster.port, ssl=context, server_hostname="127.0.0.1")
    try:
        writer.write(data)
        async with asyncio.timeout(seconds):
            line = await reader.readline()
        return int(line.split()[1]) if line else 0
    except ConnectionError:
        return 0
    finally:
        writer.close()


NOISE = {
    "many headers": b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
    + b"".join(b"X-%d: y\r\n" % n for n in range(20_000))
    + b"\r\n",
    "a long header": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n",
    "a long path": b"GET /" + b"y" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "no HTTP": b"\x16\x03\x01" * 100 + b"\r\n\r\n",
    "an unknown method": b"BREW /api HTTP/1.1\r\nHost: x\r\n\r\n",
    "two lengths": b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a length and chunks": b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a negative length": b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "a huge length": b"POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999\r\n\r\n",
    "a bad chunk": b"POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a broken token": b"GET /api HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + b"." * 4000 + b"\r\n\r\n",
    "a token of bytes": b"GET /api HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
    "accepts nonsense": b"GET /api/v1/pods HTTP/1.1\r\nHost: x\r\nAccept: ;;;,,/;q=x;as=Table\r\n\r\n",
    "impersonates nobody": b"GET /api HTTP/1.1\r\nHost: x\r\nImpersonate-User: \r\nImpersonate-Extra-%zz: a\r\n\r\n",
    "an upgrade to nothing": b"GET /api/v1/namespaces/default/pods/a/exec HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
}


@in_one_server
@pytest.mark.parametrize("data", NOISE.values(), ids=NOISE.keys())
async def test_noise(shared_cluster: Cluster, shared: Http, data: bytes) -> None:
    assert await raw(shared_cluster, shared, data) < 500
    await alive(shared)


async def test_slow_clients_slow_only_themselves(cluster: Cluster, http: Http) -> None:
    """Half a request each, and watchers that never read, while many events are made."""
    context = client_context(cluster, "admin", ("system:masters",))

    async def opened(data: bytes) -> asyncio.StreamWriter:
        _, writer = await asyncio.open_connection("127.0.0.1", cluster.port, ssl=context, server_hostname="127.0.0.1")
        writer.write(data)
        await writer.drain()
        return writer

    half = b"POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"
    unread = f"GET {MAPS}?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    slow = [await opened(data) for data in [half] * 20 + [half[:20]] * 20 + [unread] * 10]
    for number in range(20):
        answer = await http("POST", MAPS, config_map(f"busy-{number}", {"a": "x" * 200_000}))
        assert answer.status == 201
    await alive(http)
    for writer in slow:
        writer.close()
    await alive(http)


# Every route of its own OpenAPI

WORDS = [
    "",
    "a",
    "b",
    "default",
    "é",
    "\U0001f600",
    "x" * 300,
    "../../etc",
    "1Gi",
    "-1",
    "100m",
    "50%",
    "*",
    "a/b",
    "a b",
]
WORDS += [
    "2026-11-22T05:00:00Z",
    "None",
    "Always",
    "10.0.0.1",
    "true",
    "v1",
    "a\x00b",
    "https://x",
    "0 3 * * *",
    "\ud7ff",
]
NUMBERS = [0, 1, -1, 3, 80, 65536, 2**31, -(2**31) - 1, 2**53, 2**63 - 1, 2**63, 1.5, -0.0, 1e300]


class Bodies:
    """Objects of a schema, mostly as it says and now and then not at all. Seeded: a failure comes again."""

    def __init__(self, schemas: dict[str, Any], seed: int) -> None:
        self.schemas, self.random = schemas, random.Random(seed)

    def of(self, schema: dict[str, Any], depth: int = 0) -> Any:
        chosen = self.random
        if chosen.random() < 0.03:
            return chosen.choice([None, {}, [], "", 0, True, {"a": {"b": []}}, [[]], chosen.choice(NUMBERS)])
        for part in schema.get("allOf", ()):
            schema = {**schema, **part}
        if reference := schema.get("$ref"):
            return self.of(self.schemas[reference.rpartition("/")[2]], depth)
        for alternative in ("oneOf", "anyOf"):
            if alternative in schema:
                return self.of(chosen.choice(schema[alternative]), depth)
        return self._typed(schema, depth)

    def _typed(self, schema: dict[str, Any], depth: int) -> Any:
        chosen, kind = self.random, schema.get("type")
        if kind == "object" or "properties" in schema:
            return self._object(schema, depth)
        if kind == "array":
            return [self.of(schema["items"], depth + 1) for _ in range(chosen.randrange(3) if depth < 9 else 0)]
        if kind in ("integer", "number"):
            return chosen.choice(NUMBERS)
        if kind == "boolean":
            return chosen.random() < 0.5
        return chosen.choice(schema.get("enum") or WORDS)

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        chosen, required = self.random, schema.get("required", ())
        share = 0.6 if depth < 3 else 0.25 if depth < 9 else 0.0
        found = {
            name: self.of(part, depth + 1)
            for name, part in schema.get("properties", {}).items()
            if name in required or chosen.random() < share
        }
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict) and depth < 9:
            found |= {chosen.choice(WORDS): self.of(extra, depth + 1) for _ in range(chosen.randrange(3))}
        return found


ATTEMPTS, SEED = int(os.environ.get("KUBESIM_WALK", "3")), int(os.environ.get("KUBESIM_WALK_SEED", "0"))
PATCHES = ("application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json")


async def test_every_route_with_generated_bodies(http: Http) -> None:
    """Each operation of each OpenAPI v3 document, a few times: never a 5xx, and every refusal is a Status."""
    index = (await http("GET", "/openapi/v3")).body["paths"]
    asked = 0
    for number, root in enumerate(sorted(index)):
        document = (await http("GET", index[root]["serverRelativeURL"])).body
        bodies = Bodies(document["components"]["schemas"], seed=SEED + number)
        for method, path, operation in operations(document):
            for attempt in range(ATTEMPTS):
                await ask(http, bodies, method, path, operation, attempt)
                asked += 1
    assert asked > 1000
    await alive(http)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Those that change something first, those that take everything away last."""
    order = ["post", "get", "put", "patch", "delete"]
    found = [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in order
    ]
    yield from sorted(found, key=lambda entry: (order.index(entry[0]), entry[1]))


async def ask(http: Http, bodies: Bodies, method: str, path: str, operation: dict[str, Any], attempt: int) -> None:
    chosen = bodies.random
    name = chosen.choice(["a", "a", "b", "default", "cluster-admin", "é"])
    filled = path.replace("{namespace}", "default").replace("{name}", quote(name))
    query = {"fieldManager": "walk"} if method != "get" else {}
    if chosen.random() < 0.3:
        query |= {chosen.choice(["fieldValidation", "dryRun", "limit", "labelSelector", "propagationPolicy"]): "Strict"}
    if "admissionregistration" in path:
        query["dryRun"] = "All"  # a webhook that cannot be reached is a failure of the server's, also on Kubernetes
    headers, body = {}, None
    if method in ("post", "put", "patch"):
        content = operation["requestBody"]["content"]
        schema = content.get("application/json", next(iter(content.values())))["schema"]
        body = named(operation, bodies, schema, name if attempt else "")
    if method == "patch":
        headers["Content-Type"] = kind = chosen.choice([*PATCHES, "application/apply-patch+yaml"])
        if kind == PATCHES[0]:
            body = [{"op": "add", "path": f"/{key}", "value": value} for key, value in (body or {}).items()]
    shown = f"{method} {filled}?{urlencode(query)} {headers} {json.dumps(body)[:3000]}"
    answer = await http(method.upper(), f"{filled}?{urlencode(query)}", payload(body), headers)
    assert answer.status < 500, f"{shown}\n{answer.status} {answer.body}"
    if answer.status >= 400:
        try:
            proper(answer)
        except AssertionError as error:
            raise AssertionError(f"{shown}\n{error}") from error


def named(operation: dict[str, Any], bodies: Bodies, schema: dict[str, Any], name: str) -> Any:
    """A body that gets past the first checks, where `name` is given."""
    schema = bodies.schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    body = bodies._typed(schema, 0) if schema.get("properties") else {}
    action = operation.get("x-kubernetes-group-version-kind") or {}
    action = action[0] if isinstance(action, list) else action
    if name and isinstance(body, dict):
        group = action.get("group", "")
        version = f"{group}/{action.get('version', 'v1')}" if group else action.get("version", "v1")
        metadata = {"name": name, "namespace": "default"}
        body |= {"apiVersion": version, "kind": action.get("kind", ""), "metadata": metadata}
        body["metadata"] |= {"labels": {"a": "b"}} if bodies.random.random() < 0.5 else {}
    return body


def payload(body: Any) -> bytes | None:
    if body is None:
        return None
    try:
        return orjson.dumps(body)
    except (TypeError, ValueError):
        return json.dumps(body).encode()
