"""Every command that the course's guides have people type, unchanged, in a shell set up by `eval "$(./inv env --user 01)"`.

The commands run in their order, each test one command; what was typed and answered is kept in `test-output/guides-transcript.txt`. Not among
them is `docker login ... 123456789012.dkr.ecr.ap-northeast-2.amazonaws.com`: that name is Amazon's own on every machine, and the lab does not
change name resolution. The same pipe is typed with the stand-in's address instead.
"""

from __future__ import annotations

import shutil
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import given
from tests.e2e.conftest import ROOT, Lab, free_port

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.exhaustive,
    pytest.mark.kubectl,
    pytest.mark.aws,
    pytest.mark.timeout(500),
    pytest.mark.skipif(
        not all(shutil.which(tool) for tool in ("kubectl", "aws")), reason="no kubectl or no aws on PATH"
    ),
]

AES256 = '{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"AES256"}}]}'
CLOSED = "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true"
TLS_ONLY = (
    '{"Version":"2012-10-17","Statement":[{"Sid":"DenyUnencrypted","Effect":"Deny","Principal":"*","Action":"s3:DeleteBucketPolicy",'
    '"Resource":"arn:aws:s3:::mlops-training-user01","Condition":{"StringEquals":{"aws:PrincipalType":"Anonymous"}}}]}'
)
KEEP_TEN = (
    '{"rules":[{"rulePriority":1,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":10},'
    '"action":{"type":"expire"}}]}'
)
REFUSED = -1
"""Any exit code but 0: aws 1 and aws 2 have different ones."""
OWN, MINE = "kubeflow-user01", "mlops-training-user01"


@dataclass
class Shell:
    """A shell in which one command after another is typed; `written` is its transcript."""

    environ: Mapping[str, str]
    written: list[str] = field(default_factory=list)

    def type(self, command: str, *, code: int = 0) -> str:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            env=dict(self.environ),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        told = done.stdout + done.stderr
        self.written.append(
            f"$ {command}\n{told.rstrip()}\n" + (f"(exit code {done.returncode})\n" if done.returncode else "")
        )
        as_expected = done.returncode != 0 if code == REFUSED else done.returncode == code
        assert as_expected, f"{command} ended with {done.returncode}\n{told}"
        return told


@pytest.fixture(scope="module")
def running(lab: Lab) -> Lab:
    lab.inv("up", "--tenants", "01,02,20")
    return lab


@pytest.fixture(scope="module")
def transcript() -> Iterator[list[str]]:
    lines: list[str] = []
    yield lines
    folder = ROOT / "test-output"
    folder.mkdir(exist_ok=True)
    (folder / "guides-transcript.txt").write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture(scope="module")
def shell(running: Lab, transcript: list[str], tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """What `eval` really leaves in a shell; KUBECONFIG names a file of the student's own, which does not exist yet."""
    if given():
        pytest.skip("students sign in with aws eks get-token, which wants the lab's webhook in the API server")
    set_up = 'eval "$(./inv env --user 01)" && env -0'
    done = subprocess.run(["bash", "-c", set_up], env=dict(running.environ), cwd=ROOT, capture_output=True, check=True)
    environ = dict(pair.split("=", 1) for pair in done.stdout.decode().split("\0") if pair)
    transcript.append('$ eval "$(./inv env --user 01)"\n')
    return Shell(environ | {"KUBECONFIG": str(tmp_path_factory.mktemp("student") / "kubeconfig")}, transcript)


@pytest.fixture(scope="module")
def instructor(running: Lab, transcript: list[str]) -> Shell:
    """The person who brought the lab up."""
    return Shell(dict(running.environ) | {"KUBECONFIG": str(running.state / "kubeconfig")}, transcript)


STUDENT: tuple[tuple[str, str, int], ...] = (
    ("aws sts get-caller-identity", "arn:aws:iam::123456789012:user/user01", 0),
    ("aws eks update-kubeconfig --region ap-northeast-2 --name mlops-training-cluster", "Added new context", 0),
    ("kubectl cluster-info", "Kubernetes control plane", 0),
    (f"kubectl get namespace {OWN}", "Active", 0),
    ("kubectl get profile profile-user01 -o jsonpath='{.spec.owner.name}'", "user01@mlops.local", 0),
    (f"kubectl get serviceaccount -n {OWN}", "default-editor", 0),
    (f"kubectl get resourcequota -n {OWN}", "kf-resource-quota", 0),
    (f"kubectl get poddefaults -n {OWN}", "access-mlflow", 0),
    (f"kubectl get poddefault access-mlflow -n {OWN} -o yaml", f"http://mlflow-server.{OWN}.svc.cluster.local:5000", 0),
    ("kubectl get pods -n kubeflow-user02", "Error from server (Forbidden)", 1),
    (f"kubectl get pods -n {OWN} -l app=mlflow-server", "1/1     Running", 0),
    ("kubectl get pods -n mlflow-system -l app=postgres", "1/1     Running", 0),
    (f"aws s3 ls s3://{MINE}/", "mlflow-artifacts/", 0),
    (f"aws s3 ls s3://{MINE}/mlflow-artifacts/", "", 0),
    ("aws s3 ls s3://mlops-training-user02/", "AccessDenied", REFUSED),
    (f"aws s3api put-bucket-encryption --bucket {MINE} --server-side-encryption-configuration '{AES256}'", "", 0),
    (f"aws s3api put-bucket-versioning --bucket {MINE} --versioning-configuration Status=Enabled", "", 0),
    (f"aws s3api put-public-access-block --bucket {MINE} --public-access-block-configuration {CLOSED}", "", 0),
    (f"aws s3api put-bucket-policy --bucket {MINE} --policy '{TLS_ONLY}'", "", 0),
    ("aws ecr describe-repositories --repository-names mlops-training/user01/iris-api", "mlops-training/user01", 0),
    (
        "aws ecr put-image-scanning-configuration --repository-name mlops-training/user01 --image-scanning-configuration scanOnPush=true",
        "scanOnPush",
        0,
    ),
    (
        f"aws ecr put-lifecycle-policy --repository-name mlops-training/user01 --lifecycle-policy-text '{KEEP_TEN}'",
        "lifecyclePolicyText",
        0,
    ),
    ("aws ecr get-login-password | wc -c", "", 0),
    (f"kubectl get all -n {OWN}", "deployment.apps/mlflow-server", 0),
    (f"kubectl logs deployment/mlflow-server -n {OWN} --tail=5", "", 0),
    (f"kubectl describe deployment mlflow-server -n {OWN}", "mlops-lab/mlflow:1", 0),
    (f"kubectl get endpoints mlflow-server -n {OWN}", ":5000", 0),
    (f"kubectl top pods -n {OWN}", "mlflow-server-", 0),
    (f"kubectl exec -n {OWN} deployment/mlflow-server -- python --version", "Python 3", 0),
    (f"kubectl set image deployment/mlflow-server '*=mlops-lab/mlflow:typo' -n {OWN}", "image updated", 0),
    (f"kubectl rollout undo deployment/mlflow-server -n {OWN}", "rolled back", 0),
    (f"kubectl rollout status deployment/mlflow-server -n {OWN} --timeout=300s", "successfully rolled out", 0),
    (f"kubectl rollout history deployment/mlflow-server -n {OWN}", "REVISION", 0),
    ("echo $USER_NUM $NAMESPACE $S3_BUCKET $AWS_REGION", f"01 {OWN} {MINE} ap-northeast-2", 0),
)

INSTRUCTOR: tuple[tuple[str, str, int], ...] = (
    (
        'kubectl patch profile profile-user01 --type=merge -p \'{"spec":{"owner":{"name":"user01@mlops.local"}}}\'',
        "profile-user01",
        0,
    ),
    ("kubectl get pods -n kubeflow-user01", "mlflow-server", 0),
    ("kubectl top nodes", "CPU", 0),
    ("kubectl apply -f k8s/01-namespaces.yaml", "namespace/mlops-training", 0),
    ("kubectl apply -f k8s/02-storage.yaml", "persistentvolumeclaim/mlops-models", 0),
    ("kubectl apply -f k8s/03-mlflow.yaml", "mlflow-service", 0),
    (
        "kubectl wait --for=condition=available deployment/mlflow-server -n mlops-training --timeout=300s",
        "condition met",
        0,
    ),
    ("kubectl apply -f k8s/04-training-job.yaml", "job.batch/iris-training", 0),
    ("kubectl wait --for=condition=complete job/iris-training -n mlops-training --timeout=300s", "condition met", 0),
    ("kubectl logs -f job/iris-training -n mlops-training", "champion", 0),
    ("kubectl get pods -n mlops-training -l app=iris-training", "Completed", 0),
    ("kubectl apply -f k8s/05-serving.yaml", "iris-serving", 0),
    (
        "kubectl wait --for=condition=available deployment/iris-serving -n mlops-serving --timeout=300s",
        "condition met",
        0,
    ),
    ("kubectl get hpa iris-serving-hpa -n mlops-serving", "iris-serving", 0),
    ("kubectl get endpoints iris-serving-service -n mlops-serving", ":8000", 0),
    ("kubectl set image deployment/iris-serving serving=ops-demo:typo -n mlops-serving", "image updated", 0),
    ("kubectl rollout undo deployment/iris-serving -n mlops-serving --to-revision=1", "rolled back", 0),
    ("kubectl rollout status deployment/iris-serving -n mlops-serving --timeout=300s", "successfully rolled out", 0),
    ("kubectl delete job iris-training -n mlops-training", "deleted", 0),
    ("kubectl delete -f k8s/04-training-job.yaml --ignore-not-found", "", 0),
)


def name(typed: tuple[str, str, int]) -> str:
    return typed[0][:60]


@pytest.mark.parametrize(("command", "shown", "code"), STUDENT, ids=map(name, STUDENT))
def test_a_student_types(shell: Shell, command: str, shown: str, code: int) -> None:
    assert shown in shell.type(command, code=code)


def test_only_the_file_that_kubeconfig_names_was_written(shell: Shell, running: Lab) -> None:
    """And kubectl signed in as the IAM user, by the token of `aws eks get-token`."""
    assert "get-token" in Path(shell.environ["KUBECONFIG"]).read_text()
    assert not (Path(running.environ["HOME"]) / ".kube" / "config").exists()
    assert "user01@mlops.local" in shell.type("kubectl auth whoami")


def test_what_is_missing_is_made_again(shell: Shell, running: Lab) -> None:
    """`aws ecr create-repository` and `aws s3 mb`, which the guides have typed where there is none."""
    running.inv("break", "ecr-missing", "--user", "01")
    shell.type("aws ecr describe-repositories --repository-names mlops-training/user01/iris-api", code=REFUSED)
    shell.type("aws ecr create-repository --repository-name mlops-training/user01/iris-api")
    running.inv("break", "bucket-missing", "--user", "01")
    assert "NoSuchBucket" in shell.type(f"aws s3 ls s3://{MINE}/", code=REFUSED)
    assert f"make_bucket: {MINE}" in shell.type(f"aws s3 mb s3://{MINE}")
    assert "nothing is broken" in running.inv("faults", "--active").stdout
    running.inv("mend", "bucket-missing", "--user", "01")


def test_port_forward_to_mlflow(shell: Shell) -> None:
    """The guide's port is 5000 on both sides; a test takes a free one on this side."""
    port = free_port(31390, 31399)
    command = ["kubectl", "port-forward", "svc/mlflow-server", "-n", OWN, f"{port}:5000"]
    with subprocess.Popen(command, env=dict(shell.environ), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "Forwarding from" in process.stdout.readline()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=60) as answer:
            assert answer.read() == b"OK"
        process.terminate()
    shell.written.append(f"$ {' '.join(command)}\nForwarding from 127.0.0.1:{port} -> 5000\n")


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="no skopeo on PATH")
def test_sign_in_to_the_registry(shell: Shell, running: Lab, tmp_path: Path) -> None:
    """`docker login`'s pipe; skopeo needs no engine."""
    registry = f"127.0.0.1:{running.environ['LAB_PORTS_AWS']}"
    login = (
        f"skopeo login --tls-verify=false --authfile {tmp_path}/auth.json --username AWS --password-stdin {registry}"
    )
    assert "Login Succeeded" in shell.type(f"aws ecr get-login-password | {login}")
    assert "invalid username/password" in shell.type(f"echo wrong | {login}", code=1)


@pytest.mark.parametrize(("command", "shown", "code"), INSTRUCTOR, ids=map(name, INSTRUCTOR))
def test_the_instructor_types(instructor: Shell, command: str, shown: str, code: int) -> None:
    assert shown in instructor.type(command, code=code)


def test_afterwards_the_checks_are_green(running: Lab) -> None:
    """Nothing that the guides have typed harms a tenant."""
    running.inv("verify", "--user", "01,02,20")
