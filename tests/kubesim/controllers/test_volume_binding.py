"""PersistentVolumes and claims: binding, provisioning, release, protection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubesim.controllers import binding
from kubesim.controllers.kinds import CLAIMS, PODS, STORAGE_CLASSES, VOLUMES
from kubesim.controllers.meta import annotations_of
from kubesim.errors import Forbidden
from kubesim.resources import Object
from tests.kubesim.controllers.world import World


def volume(name: str = "pv", *, size: str = "5Gi", modes: tuple[str, ...] = ("ReadWriteMany",), **spec: Any) -> Object:
    body = {
        "capacity": {"storage": size},
        "accessModes": list(modes),
        "hostPath": {"path": "/tmp/pv"},
        "storageClassName": "manual",
        "persistentVolumeReclaimPolicy": "Retain",
    }
    return {"metadata": {"name": name, "labels": {"name": name}}, "spec": body | spec}


def claim(name: str = "data", *, size: str = "1Gi", modes: tuple[str, ...] = ("ReadWriteMany",), **spec: Any) -> Object:
    body = {"accessModes": list(modes), "resources": {"requests": {"storage": size}}, "storageClassName": "manual"}
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {k: v for k, v in (body | spec).items() if v is not None},
    }


def pod(name: str = "user", claim_name: str = "data") -> Object:
    spec = {
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "main", "image": "i"}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim_name}}],
    }
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec}


def phase(wanted: str) -> Any:
    return lambda obj: (obj.get("status") or {}).get("phase") == wanted


@pytest.mark.parametrize(
    ("wanted", "volumes", "expected"),
    [
        (claim(), [volume("big", size="9Gi"), volume("small", size="2Gi")], "small"),
        (claim(size="6Gi"), [volume(size="5Gi")], None),
        (claim(modes=("ReadWriteOnce",)), [volume()], None),
        (claim(storageClassName="other"), [volume()], None),
        (claim(storageClassName=""), [volume(storageClassName="")], "pv"),
        (claim(volumeMode="Block"), [volume()], None),
        (claim(selector={"matchLabels": {"name": "b"}}), [volume("a"), volume("b")], "b"),
        (
            claim(),
            [volume("free"), volume("mine", size="9Gi", claimRef={"namespace": "default", "name": "data"})],
            "mine",
        ),
        (claim(), [volume(claimRef={"namespace": "default", "name": "other"})], None),
        (claim(), [volume(claimRef={"namespace": "default", "name": "data", "uid": "before"})], None),
    ],
)
def test_which_volume_fits(wanted: Object, volumes: list[Object], expected: str | None) -> None:
    wanted["metadata"]["uid"] = "now"
    found = binding.best(wanted, volumes)
    assert (found["metadata"]["name"] if found else None) == expected


async def test_a_claim_is_bound_to_a_volume_that_fits(world: World) -> None:
    await world.client.create(CLAIMS, claim())
    await world.until(CLAIMS, phase("Pending"))
    await world.settled()
    assert ("PersistentVolumeClaim", "ProvisioningFailed") in await world.reasons()
    await world.client.create(VOLUMES, volume())
    bound = await world.until(CLAIMS, phase("Bound"))
    assert bound["spec"]["volumeName"] == "pv"
    assert bound["status"] == {"phase": "Bound", "accessModes": ["ReadWriteMany"], "capacity": {"storage": "5Gi"}}
    assert annotations_of(bound) == {
        "pv.kubernetes.io/bind-completed": "yes",
        "pv.kubernetes.io/bound-by-controller": "yes",
    }
    found = await world.client.get(VOLUMES, "pv")
    assert found["status"]["phase"] == "Bound"
    assert found["spec"]["claimRef"]["uid"] == bound["metadata"]["uid"]


async def test_a_volume_is_given_to_one_claim_only(world: World) -> None:
    await world.client.create(VOLUMES, volume())
    for name in ("a", "b", "c"):
        await world.client.create(CLAIMS, claim(name))
    await world.until(CLAIMS, phase("Bound"))
    await world.settled()
    phases = sorted(c["status"]["phase"] for c in await world.items(CLAIMS))
    assert phases == ["Bound", "Pending", "Pending"]


async def test_retain_keeps_a_released_volume(world: World) -> None:
    await world.client.create(VOLUMES, volume())
    await world.client.create(CLAIMS, claim())
    await world.until(CLAIMS, phase("Bound"))
    await world.client.delete(CLAIMS, "data", "default")
    await world.until(VOLUMES, phase("Released"), "")
    await world.client.create(CLAIMS, claim())
    await world.settled()
    assert (await world.client.get(CLAIMS, "data", "default"))["status"]["phase"] == "Pending"
    await world.client.patch(VOLUMES, "pv", {"spec": {"claimRef": None}})
    await world.until(CLAIMS, phase("Bound"))


async def test_a_claim_without_a_class_gets_the_default_and_waits_for_its_pod(world: World) -> None:
    await world.until(STORAGE_CLASSES, lambda s: s["metadata"]["name"] == "standard", "")
    await world.client.create(CLAIMS, claim(storageClassName=None, modes=("ReadWriteOnce",)))
    waiting = await world.until(CLAIMS, lambda c: c["spec"].get("storageClassName") == "standard")
    await world.settled()
    assert waiting["status"]["phase"] == "Pending"
    assert ("PersistentVolumeClaim", "WaitForFirstConsumer") in await world.reasons()
    await world.client.create(PODS, pod())
    bound = await world.until(CLAIMS, phase("Bound"))
    assert annotations_of(bound)["volume.kubernetes.io/selected-node"] == "node-1"
    await world.until(PODS, phase("Running"))
    found = await world.client.get(VOLUMES, bound["spec"]["volumeName"])
    path = Path(found["spec"]["hostPath"]["path"])
    assert path.is_dir()
    await world.client.delete(PODS, "user", "default")
    await world.gone(PODS, "user")
    await world.client.delete(CLAIMS, "data", "default")
    await world.gone(VOLUMES, found["metadata"]["name"], "")
    assert not path.exists()


async def test_an_immediate_class_is_provisioned_without_a_pod(world: World) -> None:
    quick = {
        "metadata": {"name": "quick"},
        "provisioner": "kubesim.dev/local",
        "volumeBindingMode": "Immediate",
        "reclaimPolicy": "Retain",
    }
    await world.client.create(STORAGE_CLASSES, quick)
    await world.client.create(CLAIMS, claim(storageClassName="quick"))
    bound = await world.until(CLAIMS, phase("Bound"))
    await world.client.delete(CLAIMS, "data", "default")
    found = await world.until(VOLUMES, phase("Released"), "")
    assert Path(found["spec"]["hostPath"]["path"]).is_dir()
    assert found["metadata"]["name"] == bound["spec"]["volumeName"] == f"pvc-{bound['metadata']['uid']}"


@pytest.mark.parametrize("allowed", [True, False])
async def test_a_claim_grows_where_its_class_allows_it(world: World, allowed: bool) -> None:
    growing = {
        "metadata": {"name": "growing"},
        "provisioner": "kubesim.dev/local",
        "volumeBindingMode": "Immediate",
        "allowVolumeExpansion": allowed,
    }
    await world.client.create(STORAGE_CLASSES, growing)
    await world.client.create(CLAIMS, claim(storageClassName="growing"))
    await world.until(CLAIMS, phase("Bound"))
    larger = {"spec": {"resources": {"requests": {"storage": "3Gi"}}}}
    if not allowed:
        with pytest.raises(Forbidden, match="the storageclass that provisions the pvc must support resize"):
            await world.client.patch(CLAIMS, "data", larger, "default")
        return
    await world.client.patch(CLAIMS, "data", larger, "default")
    grown = await world.until(CLAIMS, lambda obj: obj["status"]["capacity"] == {"storage": "3Gi"})
    volume = await world.client.get(VOLUMES, grown["spec"]["volumeName"])
    assert volume["spec"]["capacity"] == {"storage": "3Gi"}


async def test_a_used_claim_is_not_deleted_under_its_pod(world: World) -> None:
    await world.client.create(VOLUMES, volume())
    await world.client.create(CLAIMS, claim())
    await world.client.create(PODS, pod())
    await world.until(PODS, phase("Running"))
    await world.client.delete(CLAIMS, "data", "default")
    await world.settled()
    held = await world.client.get(CLAIMS, "data", "default")
    assert held["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    await world.client.delete(PODS, "user", "default")
    await world.gone(CLAIMS, "data")


async def test_a_lost_volume_shows(world: World) -> None:
    await world.client.create(VOLUMES, volume())
    await world.client.create(CLAIMS, claim())
    await world.until(CLAIMS, phase("Bound"))
    await world.client.patch(VOLUMES, "pv", {"metadata": {"finalizers": None}})
    await world.client.delete(VOLUMES, "pv")
    await world.until(CLAIMS, phase("Lost"))
    await world.settled()
    assert ("PersistentVolumeClaim", "ClaimLost") in await world.reasons()


async def test_ephemeral_volumes_get_a_claim_of_the_pod(world: World) -> None:
    template = {
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "standard",
        }
    }
    body = pod()
    body["spec"]["volumes"] = [{"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}}]
    await world.client.create(PODS, body)
    await world.until(CLAIMS, phase("Bound"), name="user-scratch")
    await world.until(PODS, phase("Running"))
    await world.client.delete(PODS, "user", "default")
    await world.gone(CLAIMS, "user-scratch")
