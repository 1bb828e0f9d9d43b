"""The Notebook controller and ml-pipeline-ui as processes, with their own service accounts' rights."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import aiohttp

from kubeflow_lite.kube.client import Client
from kubeflow_lite.notebooks.controller import NOTEBOOKS
from kubeflow_lite.objects import Object
from tests.kubeflow_lite.conftest import Cluster, account_kubeconfig, until

SETS = "apps/v1/statefulsets"


def notebook(name: str, namespace: str, image: str = "jupyter:1") -> Object:
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "Notebook",
        "metadata": {"name": name, "namespace": namespace, "labels": {"access-mlflow": "true"}},
        "spec": {"template": {"spec": {"containers": [{"name": name, "image": image}]}}},
    }


def image_of(found: Object | None) -> str:
    return found["spec"]["template"]["spec"]["containers"][0]["image"] if found else ""


async def make_namespace(client: Client, where: str) -> None:
    await client.create("v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": where}})


async def test_a_notebook_from_first_to_last(cluster: Cluster, client: Client, tmp_path: Path) -> None:
    kubeconfig = await account_kubeconfig(cluster, "notebook-controller", tmp_path / "kubeconfig")
    await make_namespace(client, "notebooks")
    with cluster.program("notebooks", tmp_path / "log", kubeconfig):
        await client.create(NOTEBOOKS, notebook("lab", "notebooks"))
        stateful_set = await until(client, SETS, "lab", "notebooks", holds=lambda found: found is not None)
        assert stateful_set is not None
        assert stateful_set["spec"]["template"]["metadata"]["labels"]["access-mlflow"] == "true"
        service = await client.get("v1/services", "lab", "notebooks")
        assert (service["spec"]["ports"][0]["port"], service["spec"]["ports"][0]["targetPort"]) == (80, 8888)

        # Drift, a new image, a stop: each reaches the StatefulSet.
        drift = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "mine"}]
        await client.patch(SETS, "lab", drift, "notebooks", kind="json")
        await until(client, SETS, "lab", "notebooks", holds=lambda found: image_of(found) == "jupyter:1")
        newer = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "jupyter:2"}]
        await client.patch(NOTEBOOKS, "lab", newer, "notebooks", kind="json")
        await until(client, SETS, "lab", "notebooks", holds=lambda found: image_of(found) == "jupyter:2")
        stop = {"metadata": {"annotations": {"kubeflow-resource-stopped": "now"}}}
        await client.patch(NOTEBOOKS, "lab", stop, "notebooks")
        await until(
            client, SETS, "lab", "notebooks", holds=lambda found: found is not None and found["spec"]["replicas"] == 0
        )

        await client.delete("v1/services", "lab", "notebooks")
        await until(client, "v1/services", "lab", "notebooks", holds=lambda found: found is not None)


async def test_a_notebook_that_cannot_be_made_says_why(cluster: Cluster, client: Client, tmp_path: Path) -> None:
    kubeconfig = await account_kubeconfig(cluster, "notebook-controller", tmp_path / "kubeconfig")
    await make_namespace(client, "bad-notebooks")
    long = "n" * 53
    with cluster.program("notebooks", tmp_path / "log", kubeconfig):
        await client.create(NOTEBOOKS, notebook(long, "bad-notebooks"))
        found = await until(client, NOTEBOOKS, long, "bad-notebooks", holds=lambda one: bool((one or {}).get("status")))
        assert found is not None
        (condition,) = found["status"]["conditions"]
        assert (condition["status"], condition["reason"]) == ("False", "InvalidName")


async def test_the_notebooks_status_follows_its_pod(cluster: Cluster, client: Client, tmp_path: Path) -> None:
    kubeconfig = await account_kubeconfig(cluster, "notebook-controller", tmp_path / "kubeconfig")
    await make_namespace(client, "status-notebooks")
    with cluster.program("notebooks", tmp_path / "log", kubeconfig):
        await client.create(NOTEBOOKS, notebook("lab", "status-notebooks", image="no-such-image:1"))

        def waiting(found: Object | None) -> bool:
            return "waiting" in ((found or {}).get("status") or {}).get("containerState", {})

        found = await until(client, NOTEBOOKS, "lab", "status-notebooks", holds=waiting)
        assert found is not None
        assert found["status"]["readyReplicas"] == 0
        assert {one["type"] for one in found["status"]["conditions"]} >= {"PodScheduled", "Ready"}


def listening(process: subprocess.Popen[bytes], log: Path) -> int:
    """The port that a program says it listens on."""
    for _ in range(3000):
        if found := re.search(r"listening on port (\d+)", log.read_text()):
            return int(found[1])
        assert process.poll() is None, log.read_text()
        time.sleep(0.02)
    raise TimeoutError(log.read_text())


async def text_of(port: int) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as response:
        return response.status, await response.text()


async def test_the_pipelines_page_shows_jobs_while_mlflow_is_away(
    cluster: Cluster, client: Client, tmp_path: Path
) -> None:
    kubeconfig = await account_kubeconfig(cluster, "ml-pipeline-ui", tmp_path / "kubeconfig")
    await make_namespace(client, "jobs-here")
    template = {
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "training", "image": "no-such-image:1", "args": ["--run-name", "my-run"]}],
        }
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "iris-training-7", "namespace": "jobs-here", "labels": {"app": "iris-training"}},
        "spec": {"template": template},
    }
    await client.create("batch/v1/jobs", job)
    environment = {"TRAINING_NAMESPACE": "jobs-here", "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    with cluster.program("pipelines", tmp_path / "log", kubeconfig, **environment) as process:
        status, page = await text_of(listening(process, tmp_path / "log"))
    assert status == 200
    assert "iris-training-7" in page
    assert "my-run" in page
    assert "MLflow does not answer" in page
