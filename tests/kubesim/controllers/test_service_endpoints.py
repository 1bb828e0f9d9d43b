"""Endpoints and EndpointSlices of Services."""

from __future__ import annotations

from typing import Any

from kubesim.controllers.kinds import ENDPOINTS, PODS, SERVICES, SLICES
from kubesim.controllers.meta import labels_of
from kubesim.resources import Object
from tests.kubesim.controllers.world import World


def service(name: str = "web", *, selector: dict[str, str] | None = None, **spec: Any) -> Object:
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    chosen = {"app": "web"} if selector is None else selector
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"selector": chosen, "ports": ports} | spec}


def pod(name: str, *, port: int = 8000, ready: bool = True, app: str = "web", **spec: Any) -> Object:
    container = {"name": "main", "image": "i", "ports": [{"name": "http", "containerPort": port}]}
    notes = {"test/ready": "true" if ready else "false"}
    metadata = {"name": name, "namespace": "default", "labels": {"app": app}, "annotations": notes}
    return {"metadata": metadata, "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]} | spec}


def addresses(endpoints: Object) -> tuple[list[str], list[str]]:
    """(ready, not ready) pod names."""
    subsets = endpoints.get("subsets") or []
    return tuple(  # type: ignore[return-value]
        [a["targetRef"]["name"] for s in subsets for a in s.get(kind) or ()]
        for kind in ("addresses", "notReadyAddresses")
    )


async def slices(world: World, name: str = "web") -> list[Object]:
    found = await world.items(SLICES)
    return [s for s in found if labels_of(s).get("kubernetes.io/service-name") == name]


async def test_ready_and_unready_pods_and_named_ports(world: World) -> None:
    await world.client.create(SERVICES, service())
    await world.client.create(PODS, pod("a"))
    await world.client.create(PODS, pod("b", ready=False))
    await world.client.create(PODS, pod("other", app="x"))
    found = await world.until(ENDPOINTS, lambda e: addresses(e) == (["a"], ["b"]), name="web")
    assert found["subsets"][0]["ports"] == [{"name": "http", "port": 8000, "protocol": "TCP"}]
    assert found["subsets"][0]["addresses"][0]["nodeName"] == "node-1"
    await world.settled()
    (piece,) = await slices(world)
    assert piece["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] == "endpointslice-controller.k8s.io"
    conditions = {e["targetRef"]["name"]: e["conditions"] for e in piece["endpoints"]}
    assert conditions == {
        "a": {"ready": True, "serving": True, "terminating": False},
        "b": {"ready": False, "serving": False, "terminating": False},
    }
    assert piece["ports"] == [{"name": "http", "protocol": "TCP", "port": 8000}]


async def test_pods_with_other_numbers_for_a_name_get_a_subset_of_their_own(world: World) -> None:
    await world.client.create(SERVICES, service())
    await world.client.create(PODS, pod("a"))
    await world.client.create(PODS, pod("b", port=9000))
    found = await world.until(ENDPOINTS, lambda e: len(e.get("subsets") or ()) == 2, name="web")
    assert [(s["ports"][0]["port"], s["addresses"][0]["targetRef"]["name"]) for s in found["subsets"]] == [
        (8000, "a"),
        (9000, "b"),
    ]
    await world.settled()
    assert sorted(s["ports"][0]["port"] for s in await slices(world)) == [8000, 9000]


async def test_a_headless_service_names_its_hosts(world: World) -> None:
    await world.client.create(SERVICES, service(clusterIP="None"))
    await world.client.create(PODS, pod("a", hostname="db-0", subdomain="web"))
    found = await world.until(ENDPOINTS, lambda e: addresses(e)[0] == ["a"], name="web")
    assert found["subsets"][0]["addresses"][0]["hostname"] == "db-0"
    assert "service.kubernetes.io/headless" in found["metadata"]["labels"]


async def test_unready_addresses_are_published_on_request(world: World) -> None:
    await world.client.create(SERVICES, service(publishNotReadyAddresses=True))
    await world.client.create(PODS, pod("a", ready=False))
    await world.until(ENDPOINTS, lambda e: addresses(e) == (["a"], []), name="web")
    await world.settled()
    (piece,) = await slices(world)
    assert piece["endpoints"][0]["conditions"] == {"ready": True, "serving": False, "terminating": False}


async def test_a_pod_that_goes_leaves(world: World) -> None:
    await world.client.create(SERVICES, service())
    await world.client.create(PODS, pod("a"))
    await world.until(ENDPOINTS, lambda e: addresses(e)[0] == ["a"], name="web")
    await world.client.delete(PODS, "a", "default")
    await world.until(ENDPOINTS, lambda e: not e.get("subsets"), name="web")
    await world.settled()
    (piece,) = await slices(world)
    assert not piece.get("endpoints")


async def test_everything_goes_with_the_service(world: World) -> None:
    await world.client.create(SERVICES, service())
    await world.client.create(PODS, pod("a"))
    await world.until(ENDPOINTS, lambda e: addresses(e)[0] == ["a"], name="web")
    await world.client.delete(SERVICES, "web", "default")
    await world.gone(ENDPOINTS, "web")
    await world.settled()
    assert await slices(world) == []


async def test_endpoints_written_by_hand_are_mirrored(world: World) -> None:
    await world.client.create(SERVICES, service("db", selector={}))
    subset = {"addresses": [{"ip": "127.0.0.9"}], "ports": [{"port": 5432}]}
    await world.client.create(ENDPOINTS, {"metadata": {"name": "db", "namespace": "default"}, "subsets": [subset]})
    piece = await world.until(SLICES, lambda s: labels_of(s).get("kubernetes.io/service-name") == "db")
    assert (
        piece["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"]
        == "endpointslicemirroring-controller.k8s.io"
    )
    assert [e["addresses"] for e in piece["endpoints"]] == [["127.0.0.9"]]
    assert piece["ports"][0]["port"] == 5432
    await world.client.delete(ENDPOINTS, "db", "default")
    await world.gone(SLICES, piece["metadata"]["name"])


async def test_a_change_that_does_not_show_writes_nothing(world: World) -> None:
    await world.client.create(SERVICES, service())
    await world.client.create(PODS, pod("a"))
    await world.until(ENDPOINTS, lambda e: addresses(e)[0] == ["a"], name="web")
    await world.settled()
    world.calls.clear()
    await world.client.patch(PODS, "a", {"metadata": {"annotations": {"x": "y"}}}, "default")
    await world.client.patch(SERVICES, "web", {"metadata": {"annotations": {"x": "y"}}}, "default")
    await world.settled()
    assert world.calls == []
