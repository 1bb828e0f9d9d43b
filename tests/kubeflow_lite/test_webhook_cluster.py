"""The PodDefault webhook with a real API server calling it over TLS, and its registration with its own service account's rights."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from kubeflow_lite import health
from kubeflow_lite.errors import ApiError
from kubeflow_lite.kube.client import Client
from kubeflow_lite.kube.config import from_kubeconfig
from kubeflow_lite.objects import Object, annotation, name
from kubeflow_lite.poddefaults import certificate, registration, webhook
from kubeflow_lite.poddefaults.program import Served
from tests.kubeflow_lite.conftest import Cluster, account_kubeconfig, read_manifests, until
from tests.kubeflow_lite.making import pod, pod_default

CONFIGURATION = registration.CONFIGURATION
PART_OF = {"app.kubernetes.io/part-of": "kubeflow-profile"}
MLFLOW = [{"name": "MLFLOW_TRACKING_URI", "value": "http://mlflow-server:5000"}]


def manifest() -> Object:
    (found,) = (
        one for one in read_manifests("admission-webhook.yaml") if one["kind"] == "MutatingWebhookConfiguration"
    )
    return found


@asynccontextmanager
async def registered(client: Client, body: Object) -> AsyncIterator[Object]:
    """The configuration exists while inside, and is gone afterwards: with failurePolicy Fail it would stop every later pod."""
    await client.delete(registration.CONFIGURATIONS, CONFIGURATION)
    yield await client.create(registration.CONFIGURATIONS, body)
    await client.delete(registration.CONFIGURATIONS, CONFIGURATION)


@pytest.fixture
async def called(cluster: Cluster, client: Client, tmp_path: Path) -> AsyncIterator[None]:
    """The manifest's configuration, but calling a webhook served here, which reads PodDefaults as its own service account."""
    kubeconfig = await account_kubeconfig(cluster, "admission-webhook", tmp_path / "kubeconfig")
    served = Served(certificate.make(["localhost"], at=certificate.now()))
    async with (
        Client(from_kubeconfig(kubeconfig)) as reader,
        health.serving(webhook.application(reader), "127.0.0.1", 0, served.context) as port,
    ):
        body = manifest()
        body["webhooks"][0]["clientConfig"] = {"url": f"https://localhost:{port}{webhook.PATH}"}
        patch = registration.correction(body, served.authority())
        body["webhooks"][0]["clientConfig"]["caBundle"] = patch[1]["value"]
        async with registered(client, body):
            yield


async def make_namespace(client: Client, where: str, labels: dict[str, str]) -> None:
    await client.create(
        "v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": where, "labels": labels}}
    )
    await until(client, "v1/serviceaccounts", "default", where, holds=lambda found: found is not None)


async def make_pod(client: Client, where: str, body: Object) -> Object:
    return await client.create("v1/pods", {**body, "metadata": {**body["metadata"], "namespace": where}})


async def make_default(client: Client, default: Object) -> Object:
    meta = {"name": name(default), "namespace": default["metadata"]["namespace"]}
    return await client.create(webhook.POD_DEFAULTS, {**default, "metadata": meta})


async def test_a_poddefault_made_a_moment_ago_is_in_the_pod(called: None, client: Client) -> None:
    await make_namespace(client, "hooked", PART_OF)
    selector = {"matchLabels": {"access-mlflow": "true"}}
    made = await make_default(client, pod_default("access-mlflow", "hooked", selector=selector, env=MLFLOW))
    created = await make_pod(client, "hooked", pod(labels={"access-mlflow": "true"}))
    assert created["spec"]["containers"][0]["env"] == MLFLOW
    assert (
        annotation(created, "poddefault.admission.kubeflow.org/poddefault-access-mlflow")
        == made["metadata"]["resourceVersion"]
    )
    plain = pod()
    plain["metadata"]["name"] = "plain"
    assert "env" not in (await make_pod(client, "hooked", plain))["spec"]["containers"][0]


async def test_a_conflict_refuses_the_pod_in_stocks_words(called: None, client: Client) -> None:
    await make_namespace(client, "conflicted", PART_OF)
    await make_default(client, pod_default("access-mlflow", "conflicted", env=MLFLOW))
    own = pod({"name": "main", "image": "i", "env": [{"name": "MLFLOW_TRACKING_URI", "value": "mine"}]})
    with pytest.raises(
        ApiError, match="conflict occurred while applying poddefaults: access-mlflow on pod: train err: merging env for"
    ) as refusal:
        await make_pod(client, "conflicted", own)
    assert refusal.value.status == 403
    assert 'admission webhook "admission-webhook-deployment.kubeflow.org" denied the request' in refusal.value.message
    assert (await client.list("v1/pods", "conflicted")).items == []


async def test_other_namespaces_are_left_alone(called: None, client: Client) -> None:
    await make_namespace(client, "unhooked", {})
    await make_default(client, pod_default("everything", "unhooked", env=MLFLOW))
    assert "env" not in (await make_pod(client, "unhooked", pod()))["spec"]["containers"][0]


async def test_nonsense_is_a_client_error(client: Client) -> None:
    async with health.serving(webhook.application(client), "127.0.0.1", 0) as port, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{port}{webhook.PATH}"
        for body, status in ((b"{", 400), (b"[]", 400), (b'{"kind": "AdmissionReview"}', 400)):
            async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as response:
                assert response.status == status
        async with session.post(url, data=b"x=1", headers={"Content-Type": "text/plain"}) as response:
            assert response.status == 415


async def test_the_program_registers_itself_and_stays_registered(
    cluster: Cluster, client: Client, tmp_path: Path
) -> None:
    kubeconfig = await account_kubeconfig(cluster, "admission-webhook", tmp_path / "kubeconfig")

    def trusted(found: Object | None) -> bool:
        return bool(found and found["webhooks"][0]["clientConfig"].get("caBundle"))

    # It matches nothing here: no namespace of this test has pods made in it while the webhook's Service leads nowhere.
    async with registered(client, manifest()):
        with cluster.program("webhook", tmp_path / "log", kubeconfig, POD_NAMESPACE="kubeflow"):
            first = await until(client, registration.CONFIGURATIONS, CONFIGURATION, holds=trusted)
            assert first is not None
            held = registration.from_secret(await client.get("v1/secrets", registration.SECRET, "kubeflow"))
            assert held is not None
            await handshake(port_in(tmp_path / "log"), held.authority)
            await client.delete(registration.CONFIGURATIONS, CONFIGURATION)
            await client.create(registration.CONFIGURATIONS, manifest())
            await until(client, registration.CONFIGURATIONS, CONFIGURATION, holds=trusted)
        # Begun anew it uses the same certificate: nobody has to trust another one.
        with cluster.program("webhook", tmp_path / "log", kubeconfig, POD_NAMESPACE="kubeflow"):
            await client.delete(registration.CONFIGURATIONS, CONFIGURATION)
            await client.create(registration.CONFIGURATIONS, manifest())
            again = await until(client, registration.CONFIGURATIONS, CONFIGURATION, holds=trusted)
            assert again is not None
            assert again["webhooks"] == first["webhooks"]


def port_in(log: Path) -> int:
    found = re.search(r"serving /apply-poddefault on port (\d+)", log.read_text())
    assert found is not None
    return int(found[1])


async def handshake(port: int, authority: str) -> None:
    context = ssl.create_default_context(cadata=authority)
    names = registration.server_names("kubeflow")
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=names[0])
    writer.close()
    await writer.wait_closed()
