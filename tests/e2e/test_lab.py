"""The lab's main job, as a person types it: up, train, predict, verify, down, up again. The tests run in their order, on one lab."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from tests.conftest import given
from tests.e2e.conftest import ROOT, Lab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture(scope="module", autouse=True)
def from_nothing(lab: Lab) -> None:
    """Whatever modules before this one left."""
    lab.begin()


def test_up_brings_the_whole_lab(lab: Lab) -> None:
    shown = lab.inv("up").stdout
    assert "✗" not in shown
    assert "16 servers" in shown
    assert "./inv train --n-estimators 200" in shown
    status = lab.json("status", "--json")
    assert status["good"] is True
    assert len(status["tenants"]) == 16  # type: ignore[arg-type]


def test_up_again_has_nothing_to_do(lab: Lab) -> None:
    assert "nothing to do" in lab.inv("up").stdout


def test_before_any_model_the_service_says_so(lab: Lab) -> None:
    done = lab.inv("predict", "--features", "5.1,3.5,1.4,0.2", code=1)
    assert "./inv train" in done.stderr
    assert "Traceback" not in done.stderr


def test_train_registers_a_champion(lab: Lab) -> None:
    shown = lab.inv("train", "--n-estimators", "200", "--run-name", "experiment-001").stdout
    assert "champion" in shown
    assert "s3://mlops-training-shared/mlflow-artifacts/" in shown


def test_predict_answers_setosa(lab: Lab) -> None:
    assert "setosa" in lab.inv("predict", "--features", "5.1,3.5,1.4,0.2").stdout


@pytest.mark.parametrize("features", ["1,2,3", "a,b,c,d", "nan,1,1,1", "inf,1,1,1", "1e308,1,1,1", ""])
def test_bad_features_are_told_without_a_traceback(lab: Lab, features: str) -> None:
    done = lab.inv("predict", "--features", features, code=1)
    assert done.stderr.startswith("✗ ")
    assert "Traceback" not in done.stderr


def test_a_tenant_trains_in_the_tenants_own_namespace(lab: Lab) -> None:
    shown = lab.inv("train", "--n-estimators", "20", "--tenant", "07").stdout
    assert "s3://mlops-training-user07/mlflow-artifacts/" in shown


def test_every_check_passes_for_every_tenant(lab: Lab) -> None:
    results = json.loads(lab.inv("verify", "--json").stdout)
    assert results["summary"] == {"pass": 16 * 23, "fail": 0, "skip": 0}


def test_verify_notices_what_is_broken(lab: Lab) -> None:
    admin = ["--kubeconfig", str(lab.state / "kubeconfig")]
    script = "from pathlib import Path; from lab.kube import Cluster; import sys; Cluster(Path(sys.argv[1])).delete(*sys.argv[2:])"
    delete = ["kubeflow.org/v1alpha1", "PodDefault", "access-mlflow", "kubeflow-user03"]
    subprocess.run(
        [str(ROOT / ".venv/bin/python"), "-c", script, admin[1], *delete], cwd=ROOT, check=True, env=dict(lab.environ)
    )
    done = lab.inv("verify", "--user", "03", code=2)
    assert "✗ KF06" in done.stdout
    assert "✗ ML05" in done.stdout
    lab.inv("up", "--tenants", "03", LAB_ACCOUNT="123456789012")
    assert lab.inv("verify", "--user", "02,04").returncode == 0


@pytest.mark.kubectl
@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl on PATH")
def test_a_students_shell_has_kubectl(lab: Lab) -> None:
    environ = lab.student("01")

    def kubectl(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["kubectl", *arguments], env=environ, capture_output=True, text=True, timeout=30, check=False
        )

    assert (
        kubectl("get", "profile", "profile-user01", "-o", "jsonpath={.spec.owner.name}").stdout == "user01@mlops.local"
    )
    assert "Running" in kubectl("get", "pods", "-n", "kubeflow-user01", "-l", "app=mlflow-server").stdout
    assert "Running" in kubectl("get", "pods", "-n", "mlflow-system", "-l", "app=postgres").stdout
    refused = kubectl("get", "pods", "-n", "kubeflow-user02")
    assert refused.returncode == 1
    assert "pods is forbidden" in refused.stderr


@pytest.mark.aws
@pytest.mark.skipif(shutil.which("aws") is None, reason="no aws on PATH")
def test_a_students_shell_has_aws(lab: Lab) -> None:
    environ = lab.student("01")

    def aws(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["aws", *arguments], env=environ, capture_output=True, text=True, timeout=60, check=False)

    assert "user/user01" in aws("sts", "get-caller-identity").stdout
    assert "mlflow-artifacts/" in aws("s3", "ls", "s3://mlops-training-user01/").stdout
    assert "AccessDenied" in aws("s3", "ls", "s3://mlops-training-user02/").stderr


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("up", "--tenants", "16"), 1, "no tenant user16 in lab.yaml"),
        (("verify", "--user", "00"), 1, "'00' is not a user number"),
        (("verify", "--part", "nothing"), 1, "one of: kubeflow, mlflow, storage"),
        (("env", "--user", "99"), 1, "no tenant user99"),
        (("logs", "nothing-here"), 1, "no pod whose name starts with"),
        (("train", "--n-estimators", "0"), 1, "n-estimators"),
    ],
)
def test_mistakes_are_told_with_the_cure(lab: Lab, arguments: tuple[str, ...], code: int, told: str) -> None:
    done = lab.inv(*arguments, code=code)
    assert told in done.stderr
    assert "→" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_setting_is_told(lab: Lab) -> None:
    done = lab.inv("status", code=2, LAB_PORTS_API="99999")
    assert "ports.api" in done.stderr


def test_down_and_up_bring_the_same_lab_back(lab: Lab) -> None:
    before = lab.inv("predict", "--features", "6.2,2.9,4.3,1.3", "--json").stdout
    lab.inv("down")
    stopped = 1 if given() else 2  # somebody else's cluster goes on, AWS's stand-in is the lab's own
    assert lab.inv("status", code=1).stdout.count("is down") == stopped
    lab.inv("up")
    after = lab.inv("predict", "--features", "6.2,2.9,4.3,1.3", "--json").stdout
    assert json.loads(after) == json.loads(before)
