"""Experiments as a person types them, on one lab: a sweep that is killed and goes on, champions there and back, the same model twice, a table of
one's own. The tests run in their order."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import ROOT, Lab

pytestmark = [pytest.mark.e2e, pytest.mark.exhaustive, pytest.mark.timeout(900)]

GRID = ("--grid", "n_estimators=10,20", "--grid", "max_depth=1,none", "--parallel", "2")


def listed(lab: Lab, *arguments: str) -> list[dict[str, Any]]:
    found = json.loads(lab.inv("runs", "--json", *arguments).stdout)
    assert isinstance(found, list)
    return found


@pytest.fixture(scope="module", autouse=True)
def up(lab: Lab) -> None:
    lab.inv("up", "--tenants", "01,20")


def test_a_sweep_that_is_killed_goes_on_without_repeating(lab: Lab) -> None:
    command = [str(ROOT / "inv"), "sweep", *GRID, "--tenant", "01"]
    with subprocess.Popen(
        command, env=dict(lab.environ), stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as first:
        assert first.stdout is not None
        for line in first.stdout:
            if "1 of 4 finished" in line or "2 of 4 finished" in line:
                break
        first.send_signal(signal.SIGKILL)
    found = json.loads(lab.inv("sweep", *GRID, "--tenant", "01", "--json").stdout)
    assert found["repeated"] >= 1
    assert [row["state"] for row in found["rows"]] == ["finished"] * 4
    runs = listed(lab, "--tenant", "01", "--sweep", found["name"])
    assert len(runs) == 4, "every point was trained once"
    assert {run["tags"]["mlflow.parentRunId"] for run in runs} == {found["parent_run"]}
    assert found["promoted"]["moved"]
    assert found["promoted"]["run_id"] == found["best"]


def test_a_sweep_past_nobody_leaves_the_champion(lab: Lab) -> None:
    found = json.loads(
        lab.inv("sweep", "--grid", "n_estimators=1", "--grid", "max_depth=1", "--tenant", "01", "--json").stdout
    )
    assert (found["promoted"]["moved"], found["promoted"]["before"]) == (False, "1")


def test_champions_there_and_back(lab: Lab) -> None:
    assert json.loads(lab.inv("promote", "2", "--tenant", "01", "--json").stdout)["before"] == "1"
    back = json.loads(lab.inv("rollback-model", "--tenant", "01", "--json").stdout)
    assert (back["version"], back["moved"]) == ("1", True)
    refused = lab.inv("rollback-model", "--tenant", "01", code=1)
    assert "no champion before version 1" in refused.stderr
    assert "→" in refused.stderr
    assert "there is no version 99" in lab.inv("promote", "99", "--tenant", "01", code=1).stderr


def test_a_run_is_reproduced_byte_for_byte(lab: Lab) -> None:
    first, second, *_ = listed(lab, "--tenant", "01", "--experiment", "iris")
    shown = lab.inv("compare", first["id"][:12], second["id"][:12], "--tenant", "01").stdout
    assert "n_estimators" in shown
    run = next(one for one in listed(lab, "--tenant", "01") if one["tags"].get("model_digest"))
    assert run["tags"]["image_digest"].startswith("sha256:")
    found = json.loads(lab.inv("reproduce", run["id"], "--tenant", "01", "--json").stdout)
    assert found["same"] is True
    assert [form for form, _, _ in found["forms"]] == ["ONNX", "skops"]


def asked(lab: Lab, row: dict[str, float], *, version: str) -> dict[str, Any]:
    """The iris service's answer once this version is in service."""
    url = f"http://127.0.0.1:{lab.environ['LAB_PORTS_SERVING']}/predict"
    request = urllib.request.Request(url, json.dumps(row).encode(), {"Content-Type": "application/json"})
    last: object = None
    for _ in range(300):
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                last = json.load(answer)
        except (OSError, ValueError) as error:
            last = error
        if isinstance(last, dict) and last["model"]["version"] == version:
            return last
        time.sleep(0.2)
    raise AssertionError(f"version {version} is not in service: {last!r}")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    chance = random.Random(1)
    rows = [
        f"{chance.gauss(mean, 1):.2f},{chance.gauss(-mean, 1):.2f},{kind}"
        for kind, mean in (("low", 0), ("high", 6))
        for _ in range(40)
    ]
    path = tmp_path / "heights.csv"
    path.write_text("\n".join(["up,down,kind", *rows]))
    return path


def test_a_table_of_ones_own_is_served_by_its_own_names(lab: Lab, table: Path) -> None:
    lab.inv("train", "--n-estimators", "10")
    before = json.loads(lab.inv("train", "--n-estimators", "10", "--json").stdout)
    own = json.loads(lab.inv("train", "--n-estimators", "10", "--data", str(table), "--json").stdout)
    assert own["champion"] is False
    assert own["champion_reason"].startswith(f"version {before['version']} has other columns or classes")
    lab.inv("promote", own["version"])
    served = asked(lab, {"up": 6.1, "down": -5.8}, version=own["version"])
    assert (served["prediction"], set(served["probabilities"])) == ("high", {"low", "high"})
    found = json.loads(lab.inv("rollback-model", "--json").stdout)
    assert found["version"] == before["version"]


def test_a_table_that_cannot_be_used_registers_nothing(lab: Lab, table: Path) -> None:
    before = len(listed(lab))
    table.write_text(table.read_text().replace(",low", ",high"))
    refused = lab.inv("train", "--data", str(table), code=1)
    assert "every row is of the class 'high'" in refused.stderr
    assert "own-data.md" in refused.stderr
    assert len(listed(lab)) == before


def test_a_training_that_is_killed_does_not_stay_running(lab: Lab) -> None:
    lab.inv("train", "--n-estimators", "5000", "--run-name", "to-be-killed", "--no-follow")
    kubectl = ["-c", _KILL, str(lab.state / "kubeconfig")]
    subprocess.run([str(ROOT / ".venv/bin/python"), *kubectl], cwd=ROOT, check=True, env=dict(lab.environ))
    (run,) = [one for one in listed(lab) if one["name"] == "to-be-killed"]
    assert run["status"] == "FAILED"
    assert "its pod ended without a word: Job" in run["tags"]["failure"]


_KILL = """
import sys, time
from pathlib import Path
from lab.kube import Cluster
from lab.experiments.mlflow import Mlflow
cluster = Cluster(Path(sys.argv[1]))
mlflow = Mlflow(cluster, "mlops-training", "mlflow-service")
while not mlflow.runs(list(mlflow.experiments()), "attributes.run_name = 'to-be-killed' and attributes.status = 'RUNNING'"):
    time.sleep(0.2)
for job in cluster.list("batch/v1", "Job", "mlops-training", labels="app=iris-training"):
    if not any(c["status"] == "True" for c in job["status"].get("conditions") or []):
        cluster.patch("batch/v1", "Job", job["metadata"]["name"], {"spec": {"backoffLimit": 0}}, "mlops-training")
        for pod in cluster.list("v1", "Pod", "mlops-training", labels="batch.kubernetes.io/job-name=" + job["metadata"]["name"]):
            path = cluster.kind("v1", "Pod").path("mlops-training", pod["metadata"]["name"])
            cluster.request("DELETE", path, {"gracePeriodSeconds": 0})
        cluster.delete("batch/v1", "Job", job["metadata"]["name"], "mlops-training")
"""
