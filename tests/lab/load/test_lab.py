"""A load on a whole lab, while everything happens to the service that may happen: nothing is lost, and replicas rise and fall."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.kube import Cluster
from tests.e2e.conftest import ROOT, Lab, fresh_lab

pytestmark = [pytest.mark.exhaustive, pytest.mark.e2e, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with fresh_lab(tmp_path_factory.mktemp("load"), offset=60) as made:
        made.inv("up", "--tenants", "01")
        yield made


def test_without_a_model_the_load_says_what_to_do(lab: Lab) -> None:
    done = lab.inv("load", code=1)
    assert "./inv train" in done.stderr
    assert "Traceback" not in done.stderr


def test_releases_come_and_go_and_pods_and_mlflow_die_and_no_request_fails(lab: Lab, tmp_path: Path) -> None:
    lab.inv("train", "--n-estimators", "50")
    lab.inv("predict", "--features", "5.1,3.5,1.4,0.2")
    log = tmp_path / "load.log"
    argv = ["load", "--rps", "400", "--seconds", "150", "--kill-mlflow-at", "20", "--kill-pod-at", "30,120"]
    with log.open("wb") as output:
        load = subprocess.Popen([str(ROOT / "inv"), *argv], env=dict(lab.environ), stdout=output, stderr=output)
    try:
        while b"/s" not in log.read_bytes():
            assert load.poll() is None, log.read_text()
            time.sleep(0.2)
        assert "runs ops-demo:serving-v2" in lab.inv("rollout").stdout
        assert lab.inv("rollback").stdout.endswith("✓ iris-serving runs ops-demo:serving\n")
        code = load.wait(500)
    finally:
        load.kill()
        load.wait()
    assert code == 0, log.read_text()
    found = json.loads((lab.state / "reports" / "load.json").read_text())
    assert found["total"]["failed"] == 0
    assert found["total"]["answered"] == found["total"]["sent"] > 10_000
    assert {name for second in found["seconds"] for name in second["releases"]} == {"v1", "v2"}
    replicas = found["replicas"]
    assert replicas["first"] == replicas["last"] == 2 < replicas["most"]
    assert len([one for one in found["happened"] if one["what"].startswith("killed ")]) == 3
    assert (lab.state / "reports" / "load.svg").read_text().startswith("<svg")


def test_an_image_that_cannot_be_had_stops_the_rollout_and_nothing_else(lab: Lab) -> None:
    done = lab.inv("rollout", "--image", "example.invalid/iris:v9", code=4)
    assert "the old pods go on answering" in done.stderr
    assert "./inv rollback" in done.stderr
    lab.inv("predict", "--features", "5.1,3.5,1.4,0.2")
    lab.inv("rollback")
    assert images(lab) == {"ops-demo:serving"}


def images(lab: Lab) -> set[str]:
    pods = Cluster(lab.state / "kubeconfig").list("v1", "Pod", "mlops-serving")
    return {pod["spec"]["containers"][0]["image"] for pod in pods if "deletionTimestamp" not in pod["metadata"]}
