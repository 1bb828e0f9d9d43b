"""APIServices follow what is served."""

from __future__ import annotations

import asyncio

from kubesim.api.apiservices import KEY
from kubesim.resources import Object
from kubesim.server import Cluster

CRDS = "apiextensions.k8s.io/v1/customresourcedefinitions"


def definition() -> Object:
    schema = {"openAPIV3Schema": {"type": "object"}}
    names = {"plural": "models", "kind": "Model"}
    versions = [{"name": "v1beta1", "served": True, "storage": True, "schema": schema}]
    spec = {"group": "shop.example.com", "scope": "Namespaced", "names": names, "versions": versions}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "spec": spec} | {
        "metadata": {"name": "models.shop.example.com"}
    }


async def seen(cluster: Cluster, name: str, *, there: bool) -> Object:
    """The APIService, once it is there (or gone)."""
    client = cluster.client()
    async with asyncio.timeout(10):
        while True:
            found = await client.list(KEY)
            by_name = {each["metadata"]["name"]: each for each in found.items}
            if (name in by_name) == there:
                return by_name.get(name, {})
            async for _ in client.watch(KEY, resource_version=found.resource_version):
                break


async def test_they_come_and_go_with_the_kinds(cluster: Cluster) -> None:
    apps = await seen(cluster, "v1.apps", there=True)
    assert apps["spec"] == {"group": "apps", "version": "v1", "groupPriorityMinimum": 17800, "versionPriority": 15}
    assert [(each["type"], each["status"], each["reason"]) for each in apps["status"]["conditions"]] == [
        ("Available", "True", "Local")
    ]
    await seen(cluster, "v1.", there=True)
    client = cluster.client()
    await client.create(CRDS, definition())
    custom = await seen(cluster, "v1beta1.shop.example.com", there=True)
    assert custom["spec"]["groupPriorityMinimum"] == 1000
    await client.delete(CRDS, "models.shop.example.com")
    await seen(cluster, "v1beta1.shop.example.com", there=False)


async def test_nothing_is_forwarded_and_that_is_said(cluster: Cluster) -> None:
    spec = {
        "group": "far.example.com",
        "version": "v1",
        "groupPriorityMinimum": 100,
        "versionPriority": 10,
        "service": {"namespace": "default", "name": "far"},
    }
    made = await cluster.client().create(KEY, {"metadata": {"name": "v1.far.example.com"}, "spec": spec})
    assert made["status"]["conditions"][0]["status"] == "False"
