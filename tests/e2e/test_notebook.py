"""A Notebook is a real JupyterLab: made by the tenant, reached by port-forward, and a cell logs to the tenant's MLflow with no set-up."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lab.kube import Cluster
from tests.conftest import given
from tests.e2e.conftest import ROOT, Lab

pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.e2e,
    pytest.mark.kubectl,
    pytest.mark.timeout(300),
    pytest.mark.skipif(find_spec("jupyterlab") is None, reason="jupyterlab is not installed"),
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl on PATH"),
]

NAMESPACE = "kubeflow-user01"
BASE = f"/notebook/{NAMESPACE}/lab-one"
CELL = """
import mlflow
mlflow.set_experiment("x")
with mlflow.start_run() as run:
    mlflow.log_metric("accuracy", 0.97)
print("logged", run.info.run_id, run.info.artifact_uri)
"""
WORKSPACE: dict[str, Any] = {  # as Kubeflow's form makes one with every Notebook
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "lab-one-workspace"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
NOTEBOOK: dict[str, Any] = {
    "apiVersion": "kubeflow.org/v1",
    "kind": "Notebook",
    "metadata": {"name": "lab-one", "labels": {"access-mlflow": "true"}},
    "spec": {
        "template": {
            "spec": {
                "serviceAccountName": "default-editor",
                "volumes": [{"name": "workspace", "persistentVolumeClaim": {"claimName": "lab-one-workspace"}}],
                "containers": [
                    {
                        "name": "lab-one",
                        "image": "mlops-lab/notebook:1",
                        "imagePullPolicy": "IfNotPresent",
                        "volumeMounts": [{"name": "workspace", "mountPath": "/home/jovyan"}],
                        "env": [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
                        "resources": {
                            "requests": {"cpu": "500m", "memory": "1Gi"},
                            "limits": {"cpu": "1", "memory": "2Gi"},
                        },
                    }
                ],
            }
        }
    },
}


@pytest.fixture(scope="module")
def shell(lab: Lab) -> dict[str, str]:
    lab.inv("up", "--tenants", "01,02,20")
    if not given():
        build = ["image", "build", "--state", str(lab.state / "cluster"), "--tag", "mlops-lab/notebook:1"]
        file = ROOT / "images" / "notebook" / "Dockerfile"
        subprocess.run([sys.executable, "-m", "kubesim", *build, "--file", str(file), str(ROOT)], cwd=ROOT, check=True)
    return lab.student("01")


def kubectl(environ: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        ["kubectl", *arguments], env=environ, capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def token(shell: dict[str, str]) -> Iterator[str]:
    """The running Notebook's token, from the log that only its tenant may read."""
    cluster = Cluster(Path(shell["KUBECONFIG"]))
    cluster.create(WORKSPACE, namespace=NAMESPACE)
    cluster.create(NOTEBOOK, namespace=NAMESPACE)
    try:
        kubectl(shell, "wait", "--for=create", "statefulset/lab-one", "--timeout=30s")
        kubectl(shell, "rollout", "status", "statefulset/lab-one", "--timeout=90s")
        with subprocess.Popen(
            ["kubectl", "logs", "-f", "lab-one-0"], env=shell, stdout=subprocess.PIPE, text=True
        ) as log:
            assert log.stdout is not None
            found = next(match for line in log.stdout if (match := re.search(r"\?token=([0-9a-f]{48})", line)))
            log.terminate()
        yield found.group(1)
    finally:
        cluster.delete("kubeflow.org/v1", "Notebook", "lab-one", NAMESPACE)
        cluster.delete("v1", "PersistentVolumeClaim", "lab-one-workspace", NAMESPACE)


@pytest.fixture
def address(shell: dict[str, str], token: str) -> Iterator[str]:
    with subprocess.Popen(
        ["kubectl", "port-forward", "svc/lab-one", "-n", NAMESPACE, ":80"], env=shell, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield f"http://127.0.0.1:{line.split(':')[1].split()[0]}{BASE}"
        process.terminate()


async def test_jupyterlab_answers_behind_its_prefix_and_only_with_its_token(address: str, token: str) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{address}/api/contents") as refused:
            assert refused.status == 403
        async with session.get(f"{address}/lab", params={"token": token}) as page:
            assert page.status == 200
            assert "jupyter-config-data" in await page.text()


async def test_a_cell_logs_to_the_tenants_mlflow_with_no_set_up(address: str, token: str) -> None:
    headers = {"Authorization": f"token {token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.post(f"{address}/api/kernels", json={"name": "python3"}) as made:
            kernel = (await made.json())["id"]
        async with session.ws_connect(f"{address}/api/kernels/{kernel}/channels") as socket:
            output = await executed(socket, CELL)
        async with session.delete(f"{address}/api/kernels/{kernel}") as ended:
            assert ended.status == 204
    assert "logged" in output, output
    assert "s3://mlops-training-user01/mlflow-artifacts/" in output


@asynccontextmanager
async def visitor(lab: Lab, *user: str) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """Somebody signed in to the dashboard as `./inv ui` says, and the dashboard's address."""
    invitation = lab.json("ui", "--no-browser", "--json", *user)
    page = f"http://127.0.0.1:{lab.environ['LAB_PORTS_DASHBOARD']}"
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.post(f"{page}/sign-in", data={"credential": invitation["code"]}) as answer:
            assert answer.status == 200, await answer.text()
        yield session, page


async def test_the_dashboard_opens_it_for_its_tenant_without_another_sign_in(lab: Lab, token: str) -> None:
    async with visitor(lab, "--user", "01") as (session, page):
        async with session.get(page) as front:
            assert f"{BASE}/lab" in await front.text()
        async with session.get(f"{page}{BASE}/lab") as opened:
            assert opened.status == 200
            assert "jupyter-config-data" in await opened.text()
        async with session.post(f"{page}{BASE}/api/kernels", json={"name": "python3"}) as made:
            assert made.status == 201, await made.text()
            kernel = (await made.json())["id"]
        async with session.ws_connect(f"{page}{BASE}/api/kernels/{kernel}/channels") as socket:
            output = await executed(socket, "print(6 * 7)")
        assert output.strip() == "42"


async def test_nobody_else_comes_in_through_the_dashboard(lab: Lab, token: str) -> None:
    for user in (("--user", "02"), ()):
        async with visitor(lab, *user) as (session, page), session.get(f"{page}{BASE}/lab") as refused:
            assert refused.status == 403
    async with visitor(lab, "--user", "01") as (session, page):
        foreign = {"Origin": "http://evil.example"}
        async with session.post(f"{page}{BASE}/api/kernels", json={}, headers=foreign) as refused:
            assert refused.status == 403
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(f"{page}{BASE}/api/events/subscribe", headers=foreign)


async def test_a_made_up_pass_opens_nothing(address: str, token: str) -> None:
    async with aiohttp.ClientSession() as session:
        for made_up in ("x", "eyJhbGciOiJub25lIn0.eyJhdWQiOiJub3RlYm9vazp4L3kifQ."):
            headers = {"X-Notebook-Visitor": made_up}
            async with session.get(f"{address}/api/contents", headers=headers) as refused:
                assert refused.status == 403


async def executed(socket: aiohttp.ClientWebSocketResponse, code: str) -> str:
    """Everything that a cell prints, errors too, until its kernel is idle again."""
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": "execute_request",
        "username": "",
        "session": "x",
        "version": "5.3",
    }
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
    message = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}
    await socket.send_str(json.dumps(message))
    printed = ""
    async for received in socket:
        answer = json.loads(received.data)
        if answer.get("parent_header", {}).get("msg_id") != header["msg_id"]:
            continue
        printed += answer["content"].get("text", "") + "\n".join(answer["content"].get("traceback", []))
        if answer["msg_type"] == "status" and answer["content"]["execution_state"] == "idle":
            break
    return printed


def test_another_tenant_reads_no_token(lab: Lab, token: str) -> None:
    done = subprocess.run(
        ["kubectl", "logs", "lab-one-0", "-n", NAMESPACE],
        env=lab.student("02"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "forbidden" in done.stderr
    assert token not in done.stdout
