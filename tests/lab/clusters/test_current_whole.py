"""A whole lab on a cluster of somebody else's, with pods that do not want to end; afterwards the cluster has what it had before, object by object.

That cluster is a simulator of its own, reached by nothing but its kubeconfig; the lab's images are on its nodes already.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab.clusters.base import IMAGES
from lab.kube import Cluster
from tests.e2e.conftest import ROOT, Lab, free_port
from tests.e2e.test_up import started, until
from tests.lab.clusters.test_survives import running_in

pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(1800)]

STUBBORN = """
apiVersion: v1
kind: Pod
metadata: {name: stubborn, namespace: mlops-serving}
spec:
  terminationGracePeriodSeconds: 3
  containers:
    - name: deaf
      image: ops-demo:serving
      command: [python, -c, "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(3600)"]
---
apiVersion: v1
kind: Pod
metadata: {name: nowhere, namespace: mlops-training}
spec:
  nodeSelector: {there-is: none}
  containers: [{name: c, image: "ops-demo:training"}]
---
apiVersion: batch/v1
kind: Job
metadata: {name: endless, namespace: mlops-training}
spec:
  parallelism: 2
  template:
    spec:
      restartPolicy: Never
      containers: [{name: c, image: "ops-demo:training", command: [python, -c, "import time; time.sleep(3600)"]}]
"""


@pytest.fixture(scope="module")
def theirs() -> Iterator[Cluster]:
    # unix sockets under the state folder must have short names, which pytest's folders are not
    with tempfile.TemporaryDirectory(prefix="theirs-") as name:
        folder = Path(name)
        for image in IMAGES:
            build = ["image", "build", "--state", name, "--tag", image.tag, "--file", str(image.dockerfile)]
            subprocess.run([sys.executable, "-m", "kubesim", *build, str(image.context)], check=True, cwd=ROOT)
        command = [sys.executable, "-m", "kubesim", "serve", "--state", name, "--port", "0", "--name", "theirs"]
        with (folder / "serve.log").open("w") as log:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT)
        assert process.stdout is not None
        assert "ready at" in process.stdout.readline(), (folder / "serve.log").read_text()
        try:
            yield Cluster(folder / "admin.kubeconfig")
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)
            process.stdout.close()


@pytest.fixture(scope="module")
def visitor(theirs: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """`./inv` as somebody with that kubeconfig as their own has it."""
    folder = tmp_path_factory.mktemp("visitor")
    (folder / "home" / ".kube").mkdir(parents=True)
    (folder / "home" / ".kube" / "config").write_text(theirs.kubeconfig.read_text())
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("LAB_", "AWS_", "KUBE"))}
    low = {"AWS": 14966, "MLFLOW": 31460, "SERVING": 31465, "DASHBOARD": 31470, "PIPELINES": 31475}
    ports = {f"LAB_PORTS_{name}": str(free_port(port, port + 5)) for name, port in low.items()}
    own = {"LAB_STATE": str(folder / "lab"), "HOME": str(folder / "home")}
    made = Lab({**kept, **ports, **own}, folder / "lab")
    yield made
    made.inv("down", "--purge")


def everything(cluster: Cluster) -> set[str]:
    """Every object of every kind that is served, custom ones too. Events and leases of a living cluster come and go."""
    found = set()
    groups = [f"/apis/{item['preferredVersion']['groupVersion']}" for item in cluster.request("GET", "/apis")["groups"]]
    for root in ("/api/v1", *groups):
        for kind in cluster.request("GET", root)["resources"]:
            if "list" in kind.get("verbs", ()) and kind["kind"] not in ("Event", "Lease", "PodMetrics", "NodeMetrics"):
                for item in cluster.request("GET", f"{root}/{kind['name']}")["items"]:
                    meta = item["metadata"]
                    found.add(f"{kind['name']} {meta.get('namespace', '')}/{meta['name']}")
    return found


def settled(cluster: Cluster, wanted: set[str], *, seconds: float = 120) -> set[str]:
    """What is there when the cluster's own collectors are through, or time is up."""
    deadline = time.monotonic() + seconds
    while (found := everything(cluster)) != wanted and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


def test_nothing_is_left_and_nothing_of_theirs_is_gone(theirs: Cluster, visitor: Lab) -> None:
    theirs.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "their-own"}})
    theirs.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "keep", "namespace": "their-own"}})
    before = settled(theirs, set(), seconds=3)
    refused = visitor.inv("up", "--cluster", "current", "--tenants", "01", code=1)
    assert "nobody agreed" in refused.stderr
    assert settled(theirs, before) == before
    visitor.inv("up", "--cluster", "current", "--tenants", "01", "--yes")
    assert json.loads(visitor.inv("status", "--json").stdout)["good"] is True
    trained = visitor.inv("train", "--tenant", "01", "--n-estimators", "20")
    assert "s3://mlops-training-user01/" in trained.stdout
    visitor.inv("verify", "--user", "01")
    for item in yaml.safe_load_all(STUBBORN):
        theirs.create(item)
    theirs.wait(lambda: _running(theirs), seconds=120, cancelled=threading.Event())
    visitor.inv("down")
    assert len(everything(theirs)) > len(before), "down leaves what runs there"
    visitor.inv("down", "--purge")
    assert settled(theirs, before) == before
    assert not (visitor.state / "current").exists()


@pytest.mark.parametrize("moment", ["cluster: ", "namespaces and storage", "PostgreSQL", "1 tenant"])
def test_of_an_up_that_is_killed_nothing_is_left_either(theirs: Cluster, visitor: Lab, moment: str) -> None:
    """The record is written before anything is made, so `down --purge` knows more than what there was time for."""
    before = settled(theirs, set(), seconds=3)
    process = started(visitor, "--cluster", "current", "--yes")
    until(process, moment)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    visitor.inv("down", "--purge")
    assert settled(theirs, before) == before
    assert running_in(visitor) == []
    assert not (visitor.state / "current").exists()


def _running(cluster: Cluster) -> str | None:
    pods = cluster.list("v1", "Pod", "mlops-training") + cluster.list("v1", "Pod", "mlops-serving")
    phases = {pod["metadata"]["name"]: pod["status"].get("phase") for pod in pods}
    endless = [phase for name, phase in phases.items() if name.startswith("endless")]
    good = phases.get("stubborn") == "Running" and phases.get("nowhere") == "Pending" and endless == ["Running"] * 2
    return None if good else f"pods are {phases}"
