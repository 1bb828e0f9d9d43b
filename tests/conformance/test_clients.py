"""The clients that people's programs are written with, each in a short scenario; and Helm's and Argo's habits."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import kr8s.asyncio
import kubernetes
import pytest
import yaml
from kr8s.asyncio.objects import ConfigMap as Kr8sConfigMap
from kr8s.asyncio.objects import Deployment as Kr8sDeployment
from kr8s.asyncio.objects import Pod as Kr8sPod
from kubernetes import config, dynamic, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import portforward, stream
from lightkube import ApiError, AsyncClient, Client, KubeConfig
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Namespace, Pod

# The Python client and kr8s leave their sockets to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Kubernetes version .* is not supported:UserWarning"),  # kr8s knows up to 1.35
]

SPACE = "clients"
SERVE = ["python", "-u", "-m", "http.server", "8000"]


@pytest.fixture(scope="module")
def api(kubeconfig: Path) -> Iterator[Any]:
    """The official client, and namespace `clients`."""
    client = config.new_client_from_config(str(kubeconfig))
    core: Any = kubernetes.client.CoreV1Api(client)
    core.create_namespace({"metadata": {"name": SPACE}})
    eventually(lambda: bool(core.list_namespaced_service_account(SPACE).items))
    yield client
    core.delete_namespace(SPACE)


def eventually(check: Callable[[], bool], *, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def pod(name: str, *command: str) -> dict[str, Any]:
    container = {"name": "main", "image": "lab/busybox:1", "command": list(command)}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 1}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": SPACE}, "data": data}


# The official Python client


def test_python_typed(api: Any) -> None:
    core: Any = kubernetes.client.CoreV1Api(api)
    apps: Any = kubernetes.client.AppsV1Api(api)
    template = {"metadata": {"labels": {"app": "typed"}}, "spec": pod("typed", *SERVE)["spec"]}
    body = {
        "metadata": {"name": "typed"},
        "spec": {"selector": {"matchLabels": {"app": "typed"}}, "template": template},
    }
    made = apps.create_namespaced_deployment(SPACE, body)
    assert (made.spec.replicas, made.spec.strategy.type) == (1, "RollingUpdate")
    eventually(lambda: apps.read_namespaced_deployment_status("typed", SPACE).status.ready_replicas == 1)
    apps.patch_namespaced_deployment_scale("typed", SPACE, {"spec": {"replicas": 2}})
    eventually(lambda: apps.read_namespaced_deployment("typed", SPACE).status.ready_replicas == 2)
    listed = core.list_namespaced_pod(SPACE, label_selector="app=typed")
    assert {one.metadata.owner_references[0].kind for one in listed.items} == {"ReplicaSet"}
    live = apps.read_namespaced_deployment("typed", SPACE)
    live.metadata.resource_version = "1"
    with pytest.raises(ApiException) as caught:
        apps.replace_namespaced_deployment("typed", SPACE, live)
    assert (caught.value.status, json.loads(caught.value.body or "")["reason"]) == (409, "Conflict")
    apps.delete_namespaced_deployment("typed", SPACE, propagation_policy="Foreground")
    eventually(lambda: not core.list_namespaced_pod(SPACE, label_selector="app=typed").items)


def test_python_watch(api: Any) -> None:
    core: Any = kubernetes.client.CoreV1Api(api)
    start = core.list_namespaced_config_map(SPACE).metadata.resource_version

    def work() -> None:
        core.create_namespaced_config_map(SPACE, config_map("watched", a="1"))
        core.patch_namespaced_config_map("watched", SPACE, {"data": {"a": "2"}})
        core.delete_namespaced_config_map("watched", SPACE)

    worker = threading.Thread(target=work)
    worker.start()
    seen = []
    for event in watch.Watch().stream(
        core.list_namespaced_config_map, SPACE, field_selector="metadata.name=watched", resource_version=start
    ):
        seen.append((event["type"], event["object"].data["a"]))
        if event["type"] == "DELETED":
            break
    worker.join()
    assert seen == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")]


def test_python_stream_and_portforward(api: Any) -> None:
    core: Any = kubernetes.client.CoreV1Api(api)
    core.create_namespaced_pod(SPACE, pod("streams", *SERVE))
    eventually(lambda: core.read_namespaced_pod("streams", SPACE).status.phase == "Running")
    shown = stream(
        core.connect_get_namespaced_pod_exec,
        "streams",
        SPACE,
        command=["echo", "hello"],
        stdin=False,
        stdout=True,
        stderr=True,
        tty=False,
    )
    assert shown == "hello\n"

    def page() -> bytes:
        forward = portforward(core.connect_get_namespaced_pod_portforward, "streams", SPACE, ports="8000")
        socket = forward.socket(8000)
        socket.settimeout(10)
        socket.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return b"".join(iter(lambda: socket.recv(65536), b""))

    def answers() -> bool:
        try:
            return b"Directory listing" in page()
        except OSError:
            return False

    eventually(answers)
    assert "GET /" in core.read_namespaced_pod_log("streams", SPACE)
    core.delete_namespaced_pod("streams", SPACE, grace_period_seconds=0)


def test_python_dynamic(api: Any) -> None:
    maps = dynamic.DynamicClient(api).resources.get(api_version="v1", kind="ConfigMap")
    body = config_map("applied", a="1")
    first = maps.server_side_apply(body=body, namespace=SPACE, field_manager="one")
    assert [entry.operation for entry in first.metadata.managedFields] == ["Apply"]
    with pytest.raises(ApiException) as caught:
        maps.server_side_apply(body=config_map("applied", a="2"), namespace=SPACE, field_manager="two")
    assert caught.value.status == 409
    forced = maps.server_side_apply(
        body=config_map("applied", a="2"), namespace=SPACE, field_manager="two", force_conflicts=True
    )
    assert forced.data.a == "2"
    assert [item.metadata.name for item in maps.get(namespace=SPACE, label_selector="!x").items].count("applied") == 1
    maps.delete(name="applied", namespace=SPACE)


# kopf

OPERATOR = """
import kopf

@kopf.on.create("kopf.example.com", "v1", "toys")
def create(spec, patch, **_):
    patch.status["made"] = spec["size"]
    return {"done": True}

@kopf.on.update("kopf.example.com", "v1", "toys", field="spec.size")
def update(old, new, patch, **_):
    patch.status["changed"] = f"{old}->{new}"

@kopf.on.delete("kopf.example.com", "v1", "toys")
def delete(name, **_):
    print("DELETING", name, flush=True)
"""
TOYS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "toys.kopf.example.com"},
    "spec": {
        "group": "kopf.example.com",
        "scope": "Namespaced",
        "names": {"kind": "Toy", "plural": "toys", "singular": "toy", "listKind": "ToyList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "properties": {"size": {"type": "integer"}}},
                            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        },
                    }
                },
            }
        ],
    },
}


def test_kopf(api: Any, kubeconfig: Path, tmp_path: Path) -> None:
    """An operator as people write them: its own finalizer, its progress in annotations, its results in status."""
    definitions: Any = kubernetes.client.ApiextensionsV1Api(api)
    definitions.create_custom_resource_definition(TOYS)
    eventually(lambda: _established(definitions))
    (tmp_path / "operator.py").write_text(OPERATOR)
    command = [sys.executable, "-m", "kopf", "run", "--namespace", SPACE, "--standalone", str(tmp_path / "operator.py")]
    environment = {"KUBECONFIG": str(kubeconfig), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    with (tmp_path / "log").open("w") as log:
        operator = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        _toy(kubernetes.client.CustomObjectsApi(api))
    except AssertionError as error:
        raise AssertionError((tmp_path / "log").read_text()) from error
    finally:
        operator.terminate()
        operator.wait(timeout=20)
        definitions.delete_custom_resource_definition("toys.kopf.example.com")
    assert "DELETING bear" in (tmp_path / "log").read_text()


def _established(definitions: Any) -> bool:
    found = definitions.read_custom_resource_definition("toys.kopf.example.com").status
    return any(entry.type == "Established" and entry.status == "True" for entry in found.conditions or [])


def _toy(custom: Any) -> None:
    where = ("kopf.example.com", "v1", SPACE, "toys")
    body = {"apiVersion": "kopf.example.com/v1", "kind": "Toy", "metadata": {"name": "bear"}, "spec": {"size": 1}}
    custom.create_namespaced_custom_object(*where, body)

    def toy() -> dict[str, Any]:
        found: dict[str, Any] = custom.get_namespaced_custom_object(*where, "bear")
        return found

    eventually(lambda: toy().get("status", {}).get("made") == 1)
    eventually(lambda: toy()["status"].get("create") == {"done": True})
    assert toy()["metadata"]["finalizers"] == ["kopf.zalando.org/KopfFinalizerMarker"]
    custom.patch_namespaced_custom_object(*where, "bear", {"spec": {"size": 2}})
    eventually(lambda: toy()["status"].get("changed") == "1->2")
    custom.delete_namespaced_custom_object(*where, "bear")
    eventually(lambda: not custom.list_namespaced_custom_object(*where)["items"])


# kr8s


def _fetched(url: str) -> bytes:
    """The page, once the program in the pod listens: a pod without a readiness probe is ready before that."""
    for _ in range(100):
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return bytes(answer.read())
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{url} never answered")


async def test_kr8s(api: Any, kubeconfig: Path) -> None:
    client = await kr8s.asyncio.api(kubeconfig=str(kubeconfig), namespace=SPACE)
    made = await Kr8sPod({**pod("kr8s", *SERVE), "metadata": {"name": "kr8s", "namespace": SPACE}}, api=client)
    await made.create()
    await made.wait("condition=Ready", timeout=30)
    shown = await made.exec(["echo", "hello"])
    assert shown.stdout == b"hello\n"
    await made.label({"seen": "yes"})
    assert [_name(one) async for one in client.get("pods", namespace=SPACE, label_selector="seen=yes")] == ["kr8s"]
    async with made.portforward(8000) as port:
        page = await asyncio.to_thread(_fetched, f"http://127.0.0.1:{port}/")
    assert b"Directory listing" in page
    assert any([line async for line in made.logs()])
    await made.delete()
    await made.wait("delete", timeout=30)
    settings = await Kr8sConfigMap(config_map("kr8s", a="1"), api=client)
    await settings.create()
    await settings.patch({"data": {"a": "2"}})
    await settings.refresh()
    assert settings.data.a == "2"
    await settings.delete()
    assert not await settings.exists()
    assert [one async for one in Kr8sDeployment.list(api=client, namespace=SPACE)] == []


def _name(found: Any) -> str:
    return str(found.name)


# lightkube


def test_lightkube(api: Any, kubeconfig: Path) -> None:
    client: Any = Client(config=KubeConfig.from_file(str(kubeconfig)), namespace=SPACE, field_manager="lightkube")
    made = client.create(ConfigMap(metadata=ObjectMeta(name="light", namespace=SPACE), data={"a": "1"}))
    assert made.metadata is not None
    client.patch(ConfigMap, "light", {"data": {"b": "2"}})
    assert client.get(ConfigMap, "light").data == {"a": "1", "b": "2"}
    assert client.apply(ConfigMap(metadata=ObjectMeta(name="light", namespace=SPACE), data={"c": "3"})).data == {
        "a": "1",
        "b": "2",
        "c": "3",
    }
    assert "light" in [item.metadata.name for item in client.list(ConfigMap) if item.metadata]
    assert SPACE in [item.metadata.name for item in client.list(Namespace, chunk_size=1) if item.metadata]
    for action, item in client.watch(ConfigMap, fields={"metadata.name": "light"}):
        assert (action, item.data) == ("ADDED", {"a": "1", "b": "2", "c": "3"})
        break
    client.delete(ConfigMap, "light")
    with pytest.raises(ApiError) as caught:
        client.get(ConfigMap, "light")
    assert (caught.value.status.code, caught.value.status.reason) == (404, "NotFound")
    generic = create_namespaced_resource("apps", "v1", "Deployment", "deployments")
    assert list(client.list(generic)) == list(client.list(Deployment)) == []


async def test_lightkube_waits(api: Any, kubeconfig: Path) -> None:
    client: Any = AsyncClient(config=KubeConfig.from_file(str(kubeconfig)), namespace=SPACE)
    await client.create(Pod.from_dict(pod("waited", "sh", "-c", "echo said; sleep 100")), namespace=SPACE)
    ready = await client.wait(Pod, "waited", for_conditions=["Ready"])
    assert ready.status is not None
    assert [line async for line in client.log("waited")] == ["said\n"]
    await client.delete(Pod, "waited", grace_period=0)


# Helm, Argo CD and controller-runtime: what their Go client asks


class Raw:
    """HTTP as the administrator, with nothing added."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        parsed = yaml.safe_load(kubeconfig.read_text())
        cluster, user = parsed["clusters"][0]["cluster"], parsed["users"][0]["user"]
        self.url = cluster["server"]
        self.context = ssl.create_default_context(
            cadata=base64.b64decode(cluster["certificate-authority-data"]).decode()
        )
        pair = folder / "pair.pem"
        pair.write_bytes(b"".join(base64.b64decode(user[f"client-{part}-data"]) for part in ("certificate", "key")))
        self.context.load_cert_chain(pair)

    def __call__(self, path: str, **headers: str) -> tuple[int, Any, bytes]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, headers=sent)
        try:
            with urllib.request.urlopen(request, context=self.context, timeout=20) as answer:
                return answer.status, answer.headers, answer.read()
        except HTTPError as error:
            with error:
                return error.code, error.headers, error.read()


@pytest.fixture
def raw(api: Any, kubeconfig: Path, tmp_path: Path) -> Raw:
    return Raw(kubeconfig, tmp_path)


def test_lists_from_the_cache(raw: Raw) -> None:
    """resourceVersion=0, as informers list."""
    status, _, body = raw(f"/api/v1/namespaces/{SPACE}/configmaps?resourceVersion=0&limit=500")
    found = json.loads(body)
    assert (status, found["kind"]) == (200, "ConfigMapList")
    assert int(found["metadata"]["resourceVersion"]) > 0
    exact = raw(f"/api/v1/namespaces/{SPACE}/configmaps?resourceVersion=0&resourceVersionMatch=NotOlderThan")
    assert exact[0] == 200


def test_metadata_alone(raw: Raw) -> None:
    """As metadata informers and garbage collectors ask; protobuf is offered first and not taken."""
    one = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    many = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    status, headers, body = raw("/api/v1/namespaces/default/services/kubernetes", Accept=one)
    found = json.loads(body)
    assert (status, found["kind"], found["apiVersion"]) == (200, "PartialObjectMetadata", "meta.k8s.io/v1")
    assert "spec" not in found
    protobuf = many.replace("json", "vnd.kubernetes.protobuf", 1)
    status, headers, body = raw("/api/v1/namespaces/default/services", Accept=f"{protobuf},{many},application/json")
    assert headers["Content-Type"].startswith("application/json")
    assert json.loads(body)["kind"] == "PartialObjectMetadataList"


def test_protobuf_alone_is_refused(raw: Raw) -> None:
    status, _, body = raw("/api/v1/namespaces", Accept="application/vnd.kubernetes.protobuf")
    assert (status, json.loads(body)["reason"]) == (406, "NotAcceptable")
    status, headers, _ = raw("/api/v1/namespaces", Accept="application/vnd.kubernetes.protobuf,application/json")
    assert (status, headers["Content-Type"]) == (200, "application/json")


def test_gzip(raw: Raw) -> None:
    """Long answers only, and only to those who ask."""
    path = "/openapi/v2"
    _, headers, packed = raw(path, Accept_Encoding="gzip")
    assert headers["Content-Encoding"] == "gzip"
    _, plain_headers, plain = raw(path)
    assert plain_headers["Content-Encoding"] is None
    assert json.loads(gzip.decompress(packed)) == json.loads(plain)
    assert raw("/api/v1/namespaces/default", Accept_Encoding="gzip")[1]["Content-Encoding"] is None


def test_aggregated_discovery(raw: Raw) -> None:
    wanted = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    _, headers, body = raw("/apis", Accept=f"{wanted},application/json")
    assert headers["Content-Type"].startswith(wanted.partition(";as=")[0])
    assert "apps" in [item["metadata"]["name"] for item in json.loads(body)["items"]]
    assert json.loads(raw("/apis")[2])["kind"] == "APIGroupList"


def test_what_helm_keeps(api: Any) -> None:
    """A release is a labelled Secret of Helm's own type, found by its labels and replaced by its name."""
    core: Any = kubernetes.client.CoreV1Api(api)
    labels = {"owner": "helm", "name": "app", "status": "deployed", "version": "1"}
    name = "sh.helm.release.v1.app.v1"
    body = {"metadata": {"name": name, "labels": labels}, "type": "helm.sh/release.v1", "data": {"release": "SDQ="}}
    core.create_namespaced_secret(SPACE, body)
    found = core.list_namespaced_secret(SPACE, label_selector="name=app,owner=helm,status in (deployed,failed)")
    assert [item.metadata.name for item in found.items] == [name]
    with pytest.raises(ApiException) as caught:
        core.patch_namespaced_secret(name, SPACE, {"type": "Opaque"})
    assert caught.value.status == 422
    core.delete_namespaced_secret(name, SPACE)
