"""However a rehearsal ends, nothing stays broken: Ctrl-C, twice, SIGTERM; and what it writes for the instructor."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from lab.kube import Cluster
from tests.e2e.conftest import ROOT, Lab

pytestmark = [pytest.mark.e2e, pytest.mark.exhaustive, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def running(lab: Lab) -> Lab:
    lab.inv("up", "--tenants", "01,02,20")
    return lab


@pytest.fixture(scope="module")
def cluster(running: Lab) -> Cluster:
    return Cluster(running.state / "kubeconfig")


@contextmanager
def rehearsing(lab: Lab, fault: str) -> Iterator[subprocess.Popen[str]]:
    """`./inv rehearse` in a process group of its own, as a terminal has it."""
    command = [str(ROOT / "inv"), "rehearse", "--user", "02", "--fault", fault]
    process = subprocess.Popen(
        command,
        env=dict(lab.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def until(seen: Callable[[], bool], *, seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline, "it did not break"
        time.sleep(0.05)


def is_stopped(cluster: Cluster) -> bool:
    return bool(cluster.get("apps/v1", "Deployment", "mlflow-server", "kubeflow-user02")["spec"]["replicas"] == 0)


def has_no_pod_default(cluster: Cluster) -> bool:
    return cluster.find("kubeflow.org/v1alpha1", "PodDefault", "access-mlflow", "kubeflow-user02") is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(("fault", "broken"), [("mlflow-down", is_stopped), ("poddefault-missing", has_no_pod_default)])
def test_a_signal_mends_first(
    running: Lab, cluster: Cluster, number: signal.Signals, fault: str, broken: Callable[[Cluster], bool]
) -> None:
    with rehearsing(running, fault) as process:
        until(lambda: broken(cluster))
        os.killpg(process.pid, number)
        told, _ = process.communicate(timeout=90)
    assert process.returncode == 130, told
    assert "Traceback" not in told
    assert not broken(cluster)
    assert "nothing is broken" in running.inv("faults", "--active").stdout


def test_a_second_ctrl_c_does_not_stop_the_mend(running: Lab, cluster: Cluster) -> None:
    with rehearsing(running, "mlflow-down") as process:
        until(lambda: is_stopped(cluster))
        os.killpg(process.pid, signal.SIGINT)
        until(lambda: process.poll() is not None or not is_stopped(cluster))
        os.killpg(process.pid, signal.SIGINT)
        told, _ = process.communicate(timeout=90)
    assert process.returncode == 130, told
    assert "mending first" in told
    assert "nothing is broken" in running.inv("faults", "--active").stdout
    running.inv("verify", "--user", "02")


def test_the_report_can_be_printed(running: Lab) -> None:
    running.inv("rehearse", "--user", "02", "--fault", "poddefault-missing")
    page = (running.state / "reports" / "rehearsal.md").read_text()
    assert page.startswith("# Rehearsal\n\n1 of 1 faults went as the course teaches")
    assert "| 1 | PodDefault access-mlflow is gone | KF06, ML05 | instructor | as expected |" in page
    assert "> 파드에 MLFLOW_TRACKING_URI를" in page
    assert "\n```\nthe instructor recreates it: ./inv up --tenants 02\n```\n" in page
    assert re.search(r"user02 green again, user01, user\d\d untouched\.", page), "whichever other is up"
