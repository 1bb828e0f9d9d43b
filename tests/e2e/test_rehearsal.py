"""What a class types and what goes wrong in it, on the lab that test_lab left up: the guides' commands unchanged, and faults with their cures."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Lab

TOOLS = all(shutil.which(tool) for tool in ("kubectl", "aws"))
pytestmark = [pytest.mark.e2e, pytest.mark.exhaustive, pytest.mark.timeout(300)]
needs_tools = pytest.mark.skipif(not TOOLS, reason="no kubectl or no aws on PATH")


@pytest.fixture(scope="module")
def running(lab: Lab) -> Lab:
    lab.inv("up")
    return lab


@pytest.fixture(scope="module")
def shell(running: Lab, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A student's shell whose KUBECONFIG is a file of the student's own, signed in to EKS as the guide says."""
    environ = running.student("01") | {"KUBECONFIG": str(tmp_path_factory.mktemp("student") / "kubeconfig")}
    told = type_in(environ, "aws eks update-kubeconfig --region ap-northeast-2 --name mlops-training-cluster")
    assert "Added new context" in told
    return environ


def type_in(environ: dict[str, str], command: str, *, code: int = 0) -> str:
    done = subprocess.run(["bash", "-c", command], env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


GUIDE = (
    ("aws sts get-caller-identity", "arn:aws:iam::123456789012:user/user01"),
    ("kubectl cluster-info", "Kubernetes control plane"),
    ("kubectl get namespace kubeflow-user01", "Active"),
    ("kubectl get profile profile-user01 -o jsonpath='{.spec.owner.name}'", "user01@mlops.local"),
    ("kubectl get serviceaccount -n kubeflow-user01", "default-editor"),
    ("kubectl get resourcequota -n kubeflow-user01", "kf-resource-quota"),
    ("kubectl get poddefaults -n kubeflow-user01", "access-mlflow"),
    (
        "kubectl get poddefault access-mlflow -n kubeflow-user01 -o yaml",
        "http://mlflow-server.kubeflow-user01.svc.cluster.local:5000",
    ),
    ("kubectl get pods -n kubeflow-user01 -l app=mlflow-server", "1/1     Running"),
    ("kubectl get pods -n mlflow-system -l app=postgres", "postgres-0"),
    ("kubectl get all -n kubeflow-user01", "deployment.apps/mlflow-server"),
    ("kubectl describe deployment mlflow-server -n kubeflow-user01", "mlops-lab/mlflow:1"),
    ("kubectl logs deployment/mlflow-server -n kubeflow-user01 --tail=5", ""),
    ("kubectl get endpoints mlflow-server -n kubeflow-user01", ":5000"),
    ("kubectl rollout history deployment/mlflow-server -n kubeflow-user01", "REVISION"),
    ("aws s3 ls s3://mlops-training-user01/", "mlflow-artifacts/"),
    ("aws s3 ls s3://mlops-training-user01/mlflow-artifacts/", ""),
    (
        "aws s3api put-bucket-encryption --bucket mlops-training-user01 --server-side-encryption-configuration "
        '\'{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"AES256"}}]}\'',
        "",
    ),
    ("aws s3api put-bucket-versioning --bucket mlops-training-user01 --versioning-configuration Status=Enabled", ""),
    (
        "aws s3api put-public-access-block --bucket mlops-training-user01 --public-access-block-configuration "
        "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true",
        "",
    ),
    (
        "aws ecr describe-repositories --repository-names mlops-training/user01",
        "dkr.ecr.ap-northeast-2.amazonaws.com/mlops-training/user01",
    ),
    (
        "aws ecr put-image-scanning-configuration --repository-name mlops-training/user01 --image-scanning-configuration scanOnPush=true",
        "scanOnPush",
    ),
    ("aws ecr get-login-password | wc -c", ""),
)


@needs_tools
@pytest.mark.kubectl
@pytest.mark.aws
@pytest.mark.parametrize(("command", "shown"), GUIDE, ids=[command[:48] for command, _ in GUIDE])
def test_a_command_of_the_guides(shell: dict[str, str], command: str, shown: str) -> None:
    assert shown in type_in(shell, command)


@needs_tools
@pytest.mark.kubectl
def test_another_tenants_namespace_is_refused(shell: dict[str, str]) -> None:
    assert "Error from server (Forbidden)" in type_in(shell, "kubectl get pods -n kubeflow-user02", code=1)


@pytest.fixture
def forwarded(shell: dict[str, str]) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = ["kubectl", "port-forward", "svc/mlflow-server", "-n", "kubeflow-user01", f"{port}:5000"]
    process = subprocess.Popen(command, env=shell, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "Forwarding from" in process.stdout.readline()
    yield port
    process.terminate()
    process.wait(10)
    process.stdout.close()


@needs_tools
@pytest.mark.kubectl
def test_port_forward_to_the_tenants_mlflow(forwarded: int) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{forwarded}/health", timeout=20) as answer:
        assert answer.read() == b"OK"


@needs_tools
@pytest.mark.kubectl
def test_the_files_of_the_split_stand_alone_under_kubectl(running: Lab) -> None:
    environ = dict(running.environ) | {"KUBECONFIG": str(running.state / "kubeconfig")}
    folder = Path(__file__).resolve().parents[2] / "k8s"
    for name in ("01-namespaces", "02-storage", "04-training-job"):
        type_in(environ, f"kubectl apply -f {folder}/{name}.yaml")
    type_in(environ, "kubectl wait --for=condition=complete job/iris-training -n mlops-training --timeout=90s")
    assert "iris-training" in type_in(environ, "kubectl get pods -n mlops-training -l app=iris-training")
    assert "champion" in type_in(environ, "kubectl logs job/iris-training -n mlops-training")
    type_in(environ, f"kubectl delete -f {folder}/04-training-job.yaml")


def test_a_rehearsal_breaks_notices_mends_and_proves(running: Lab) -> None:
    for fault in ("owner-mismatch", "mlflow-down", "cross-tenant-access", "quota-exhausted", "bucket-missing"):
        shown = running.inv("rehearse", "--user", "07", "--fault", fault).stdout
        assert "1 of 1 as expected" in shown
    assert "nothing is broken" in running.inv("faults", "--active").stdout


@needs_tools
@pytest.mark.kubectl
def test_the_guides_own_cure_counts_as_mended(running: Lab) -> None:
    running.inv("break", "mlflow-down", "--user", "05")
    assert "mlflow-down (user05)" in running.inv("faults", "--active").stdout
    cure = "kubectl scale deployment mlflow-server -n kubeflow-user05 --replicas=1"
    type_in(
        running.student("05"),
        f"{cure} && kubectl rollout status deployment/mlflow-server -n kubeflow-user05 --timeout=60s",
    )
    assert "nothing is broken" in running.inv("faults", "--active").stdout
    running.inv("verify", "--user", "05")


def test_a_killed_cluster_comes_back_with_the_same_pods(running: Lab) -> None:
    """kill -9 of the simulator: its containers live on and are adopted, nothing is lost."""
    pid = int((running.state / "run" / "kubesim.pid").read_text().split()[0])
    before = (running.state / "cluster").exists()
    os.kill(pid, 9)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}/stat").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert before
    running.inv("up")
    running.inv("verify")
