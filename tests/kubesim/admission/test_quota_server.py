"""Quota and webhooks in the real server: checks that hold while other requests wait."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kubesim.errors import Forbidden, InternalError
from kubesim.resources import Object
from kubesim.server import Cluster
from tests.kubesim.admission.hookserver import annotate, serving
from tests.kubesim.admission.world import both, pod

QUOTA: Object = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "kf-resource-quota", "namespace": "n"},
    "spec": {"hard": {"cpu": "2", "memory": "2Gi", "pods": "3"}},
}
WEBHOOK: Object = {
    "name": "annotate.example.com",
    "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
}


async def prepare(cluster: Cluster) -> None:
    client = cluster.client()
    await client.create("v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "n"}}
    await client.create("v1/serviceaccounts", account, "n")
    await client.create("v1/resourcequotas", QUOTA, "n")


async def install(cluster: Cluster, url: str, bundle: str) -> None:
    body = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "annotate"},
        "webhooks": [WEBHOOK | {"clientConfig": {"url": url, "caBundle": bundle}}],
    }
    await cluster.client().create("admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", body)


async def test_pods_that_wait_for_a_webhook_together_do_not_pass_the_quota_together(
    cluster: Cluster, tmp_path: Path
) -> None:
    """All wait in the webhook at once, so each has seen an empty namespace; only as many as fit are stored."""
    await prepare(cluster)
    client = cluster.client()
    async with serving(tmp_path, lambda _: annotate("seen", "yes")) as server:
        await install(cluster, server.url, server.bundle)
        server.pause = asyncio.Barrier(12)  # no answer before all have asked
        creating = (client.create("v1/pods", pod(f"p{number}", **both("500m", "64Mi")), "n") for number in range(12))
        outcomes = await asyncio.gather(*creating, return_exceptions=True)
    made = [one for one in outcomes if isinstance(one, dict)]
    refused = [one for one in outcomes if isinstance(one, Forbidden)]
    assert (len(made), len(refused)) == (3, 9)
    assert all(one["metadata"]["annotations"]["seen"] == "yes" for one in made)
    assert len((await client.list("v1/pods", "n")).items) == 3
    assert {one.message.partition("is forbidden: ")[2] for one in refused} == {
        "exceeded quota: kf-resource-quota, requested: pods=1, used: pods=3, limited: pods=3"
    }


async def test_a_webhook_that_is_gone_stops_pods_and_can_be_removed(cluster: Cluster, tmp_path: Path) -> None:
    await prepare(cluster)
    client = cluster.client()
    async with serving(tmp_path, lambda _: {"allowed": True}) as server:
        await install(cluster, server.url, server.bundle)
    with pytest.raises(
        InternalError, match=r'failed calling webhook "annotate\.example\.com": failed to call webhook: Post '
    ):
        await client.create("v1/pods", pod("p", **both("1", "64Mi")), "n")
    await client.delete("admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", "annotate")
    await client.create("v1/pods", pod("p", **both("1", "64Mi")), "n")


async def test_what_is_deleted_is_given_back_at_once(cluster: Cluster) -> None:
    await prepare(cluster)
    client = cluster.client()
    await client.create("v1/pods", pod("a", **both("2", "64Mi")), "n")
    with pytest.raises(Forbidden, match="exceeded quota"):
        await client.create("v1/pods", pod("b", **both("1m", "64Mi")), "n")
    await client.delete("v1/pods", "a", "n", grace_seconds=0)
    await client.create("v1/pods", pod("b", **both("2", "64Mi")), "n")
