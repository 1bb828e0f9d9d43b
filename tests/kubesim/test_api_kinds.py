"""Custom kinds, Services' addresses, namespaces, subresources, protobuf bodies, discovery, and the client in process."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kubesim.api import protobuf
from kubesim.errors import BadRequest, Conflict, Forbidden, NotFound
from kubesim.server import Cluster
from tests.kubesim.conftest import Http, config_map

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/lab.example/v1/namespaces/default/widgets"


def definition() -> dict[str, Any]:
    spec = {
        "type": "object",
        "properties": {"size": {"type": "integer", "minimum": 1, "default": 3}, "replicas": {"type": "integer"}},
    }
    schema = {
        "type": "object",
        "properties": {"spec": spec, "status": {"type": "object", "properties": {"replicas": {"type": "integer"}}}},
    }
    scale = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}, "scale": scale},
    }
    names = {"kind": "Widget", "plural": "widgets", "shortNames": ["wd"]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.lab.example"},
        "spec": {"group": "lab.example", "scope": "Namespaced", "names": names, "versions": [version]},
    }


def widget(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "lab.example/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}


async def test_a_kind_lives_as_long_as_its_definition(http: Http) -> None:
    assert (await http("GET", WIDGETS)).status == 404
    made = await http("POST", CRDS, definition())
    assert made.status == 201
    assert [each["type"] for each in made.body["status"]["conditions"]] == ["NamesAccepted", "Established"]
    assert (await http("GET", "/apis/lab.example/v1")).body["resources"][0]["shortNames"] == ["wd"]
    assert (await http("POST", WIDGETS, widget("one"))).body["spec"] == {"size": 3}
    assert (await http("POST", WIDGETS, widget("bad", size=0))).status == 422
    assert (await http("GET", WIDGETS)).body["items"][0]["kind"] == "Widget"
    assert (await http("DELETE", f"{CRDS}/widgets.lab.example")).status == 200
    async with asyncio.timeout(5):
        while (await http("GET", "/apis/lab.example/v1")).status != 404:
            pass  # each request gives the server a turn
    await http("POST", CRDS, definition())
    assert (await http("GET", WIDGETS)).body["items"] == []


async def test_a_custom_kind_has_scale_and_status(http: Http) -> None:
    await http("POST", CRDS, definition())
    await http("POST", WIDGETS, widget("one", replicas=2))
    merge = {"Content-Type": "application/merge-patch+json"}
    status = await http("PATCH", f"{WIDGETS}/one/status", {"status": {"replicas": 1}, "spec": {"size": 9}}, merge)
    assert (status.body["status"], status.body["spec"]["size"]) == ({"replicas": 1}, 3)
    scale = (await http("GET", f"{WIDGETS}/one/scale")).body
    assert (scale["spec"], scale["status"]) == ({"replicas": 2}, {"replicas": 1})
    scale["spec"]["replicas"] = 5
    assert (await http("PUT", f"{WIDGETS}/one/scale", scale)).body["spec"] == {"replicas": 5}
    assert (await http("GET", f"{WIDGETS}/one")).body["spec"]["replicas"] == 5
    scale["spec"]["replicas"] = -1
    assert (await http("PUT", f"{WIDGETS}/one/scale", scale)).status in (409, 422)


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"ports": [{"port": 80}], **spec},
    }


async def test_services_get_addresses_and_ports(http: Http) -> None:
    path = "/api/v1/namespaces/default/services"
    one = (await http("POST", path, service("one"))).body["spec"]
    assert one["clusterIP"].startswith("127.11.")
    assert one["clusterIPs"] == [one["clusterIP"]]
    taken = await http("POST", path, service("two", clusterIP=one["clusterIP"]))
    assert (taken.status, taken.body["reason"]) == (422, "Invalid")
    assert (await http("POST", path, service("out", clusterIP="10.0.0.1"))).status == 422
    assert (await http("POST", path, service("none", clusterIP="None"))).body["spec"]["clusterIP"] == "None"
    port = (await http("POST", path, service("np", type="NodePort"))).body["spec"]["ports"][0]["nodePort"]
    assert 30000 <= port <= 32767
    same = service("np2", type="NodePort") | {"spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": port}]}}
    refused = await http("POST", path, same)
    assert (
        refused.body["details"]["causes"][0]["message"] == f"Invalid value: {port}: provided port is already allocated"
    )
    replaced = await http("PUT", f"{path}/one", service("one", selector={"a": "b"}))
    assert replaced.body["spec"]["clusterIP"] == one["clusterIP"]


async def test_the_api_is_a_service(http: Http, cluster: Cluster) -> None:
    found = (await http("GET", "/api/v1/namespaces/default/services/kubernetes")).body
    assert found["spec"]["clusterIP"].startswith("127.11.")
    ends = (await http("GET", "/api/v1/namespaces/default/endpoints/kubernetes")).body
    assert ends["subsets"][0]["ports"][0]["port"] == cluster.port


async def test_a_namespace_goes_when_its_finalizer_is_taken(http: Http) -> None:
    made = (
        await http("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}})
    ).body
    assert (made["spec"], made["status"]) == ({"finalizers": ["kubernetes"]}, {"phase": "Active"})
    gone = (await http("DELETE", "/api/v1/namespaces/x")).body
    assert gone["status"]["phase"] == "Terminating"
    refused = await http("POST", "/api/v1/namespaces/x/configmaps", config_map("late"))
    assert (refused.status, refused.body["reason"]) == (403, "Forbidden")
    gone["spec"]["finalizers"] = []
    assert (await http("PUT", "/api/v1/namespaces/x/finalize", gone)).status == 200
    assert (await http("GET", "/api/v1/namespaces/x")).status == 404


async def test_one_autoscaler_in_two_versions(http: Http) -> None:
    spec = {
        "maxReplicas": 3,
        "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"},
        "targetCPUUtilizationPercentage": 50,
    }
    body = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"}, "spec": spec}
    base = "namespaces/default/horizontalpodautoscalers"
    assert (await http("POST", f"/apis/autoscaling/v1/{base}", body)).status == 201
    second = (await http("GET", f"/apis/autoscaling/v2/{base}/h")).body
    assert second["spec"]["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 50}
    assert (await http("GET", f"/apis/autoscaling/v1/{base}/h")).body["spec"]["targetCPUUtilizationPercentage"] == 50


async def test_discovery_in_both_forms(http: Http) -> None:
    groups = [group["name"] for group in (await http("GET", "/apis")).body["groups"]]
    accept = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"}
    aggregated = await http("GET", "/apis", headers=accept)
    assert [item["metadata"]["name"] for item in aggregated.body["items"]] == groups
    assert aggregated.headers["Content-Type"].startswith("application/json;g=apidiscovery.k8s.io")


# The client in process


async def test_the_client_in_process(cluster: Cluster) -> None:
    client = cluster.client()
    made = await client.create("v1/configmaps", config_map("one"), "default")
    listed = await client.list("v1/configmaps", "default", field_selector="metadata.name=one")
    assert listed.items == [made]
    events = client.watch("v1/configmaps", "default", resource_version=listed.resource_version)
    patched = await client.patch("v1/configmaps", "one", {"data": {"b": "2"}}, "default")
    assert patched["data"] == {"a": "1", "b": "2"}
    event = await anext(events)
    assert (event.type, event.object is patched) == ("MODIFIED", True)
    with pytest.raises(Conflict):
        await client.update("v1/configmaps", made)
    await client.delete("v1/configmaps", "one", "default", uid=made["metadata"]["uid"])
    assert (await anext(events)).type == "DELETED"
    with pytest.raises(NotFound):
        await client.get("v1/configmaps", "one", "default")
    with pytest.raises(NotFound):
        await client.list("nope.example/v1/nopes")


async def test_the_client_in_process_is_authorized(cluster: Cluster) -> None:
    from kubesim.api.local import LocalClient
    from kubesim.auth.user import User

    tenant = LocalClient(cluster.server, User("tenant", groups=("system:authenticated",)))
    with pytest.raises(Forbidden):
        await tenant.list("v1/configmaps", "default")


# Protobuf


def field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def envelope(kind: str, raw: bytes) -> bytes:
    return protobuf.MAGIC + field(1, field(1, b"v1") + field(2, kind.encode())) + field(2, raw)


async def test_protobuf_bodies_are_read(http: Http) -> None:
    entry = field(1, b"a") + field(2, "ä".encode())
    body = envelope("ConfigMap", field(1, field(1, b"pb") + field(8, b"")) + field(2, entry))
    headers = {"Content-Type": "application/vnd.kubernetes.protobuf"}
    made = await http("POST", "/api/v1/namespaces/default/configmaps", body, headers)
    assert (made.status, made.body["data"]) == (201, {"a": "ä"})


def test_protobuf_of_odd_types() -> None:
    probe = field(1, field(2, field(1, b"/") + field(2, field(1, 1) + field(3, b"http")))) + field(2, 7)
    volume = field(1, b"v") + field(2, field(6, field(1, b"s")))
    container = field(1, b"c") + field(10, probe)
    pod = protobuf.decode(envelope("Pod", field(2, field(1, volume) + field(2, container))), "Pod")
    assert pod["spec"]["containers"][0]["livenessProbe"] == {
        "httpGet": {"path": "/", "port": "http"},
        "initialDelaySeconds": 7,
    }
    assert pod["spec"]["volumes"] == [{"name": "v", "secret": {"secretName": "s"}}]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"k8s\0",
        b"nonsense",
        b"k8s\0\xff\xff",
        envelope("Nope", b""),
        envelope("Pod", b"\x0a\xff\x01"),
        envelope("Pod", b"\x0b"),
    ],
)
def test_bad_protobuf(body: bytes) -> None:
    with pytest.raises(BadRequest, match="unrecognized"):
        protobuf.decode(body, "ReallyNothing")
