"""Every fault by hand: broken, told by exactly the expected checks with the guide's hint, mended by the command that the guide has somebody type.

`./inv mend` is not used: the lab has to notice by itself. What one command cannot bring back (the objects of a bucket that was made anew) is
looked at too.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import clusters, faults, settings, verify
from lab.aws.standin import StandIn
from lab.checks.base import Result
from lab.faults import rehearse
from lab.world import World
from tests.conftest import given
from tests.e2e.conftest import ROOT, Lab

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.exhaustive,
    pytest.mark.kubectl,
    pytest.mark.aws,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not all(shutil.which(tool) for tool in ("kubectl", "aws")), reason="no kubectl or no aws on PATH"
    ),
]

BY_STUDENT = {
    "unauthorized-kubeconfig": "aws eks update-kubeconfig --region ap-northeast-2 --name mlops-training-cluster",
    "mlflow-down": "kubectl scale deployment mlflow-server -n kubeflow-user02 --replicas=1",
    "quota-exhausted": "kubectl delete deployment quota-hog -n kubeflow-user02",
    "image-not-found": "kubectl rollout undo deployment/mlflow-server -n kubeflow-user02",
    "pvc-unbound": "kubectl delete pvc unbound-claim -n kubeflow-user02",
    "ecr-missing": "aws ecr create-repository --repository-name mlops-training/user02/iris-api --region ap-northeast-2",
    "bucket-missing": "aws s3 mb s3://mlops-training-user02",
}
BY_INSTRUCTOR = {
    "owner-mismatch": 'kubectl patch profile profile-user02 --type=merge -p \'{"spec":{"owner":{"name":"user02@mlops.local"}}}\'',
    "cross-tenant-access": "kubectl delete rolebinding mlops-lab-open-door -n kubeflow-user20",
    "postgres-down": "kubectl scale statefulset postgres -n mlflow-system --replicas=1",
    "poddefault-missing": "./inv up --tenants 02",
    "s3-access-denied": "./inv up --tenants 02",
}


@pytest.fixture(scope="module")
def running(lab: Lab) -> Lab:
    lab.inv("up", "--tenants", "01,02,20")
    return lab


@pytest.fixture(scope="module")
def world(running: Lab) -> World:
    loaded = settings.load(environ=running.environ)
    provider, why = clusters.detect(loaded)
    return World(loaded, provider, why, StandIn(loaded), "as the lab")


def type_in(command: str, environ: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-c", command], env=environ, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def until_green(world: World, *, seconds: float = 120) -> list[Result]:
    """The checks' verdict once the cure has taken effect; what is red when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        results = verify.verify(world, user="02")
        if all(result.state == "pass" for result in results) or time.monotonic() > deadline:
            return [result for result in results if result.state != "pass"]
        time.sleep(0.5)


def broken_and_told(world: World, name: str, cure: Callable[[], str]) -> None:
    fault, tenant = faults.find(name), world.settings.one("02")
    hint = fault.words(fault.hint, world, tenant)
    try:
        fault.break_it(world, tenant)
        red = {result.code: result for result in verify.verify(world, user="02") if result.state == "fail"}
        assert set(red) == set(fault.reddens), red
        assert [code for code, result in red.items() if hint not in result.hint] == []
        assert [(one.name, who.num) for one, who in rehearse.active(world, verify.started(world)) if one == fault] != []
        cure()
        assert not fault.active(world, tenant), "the lab does not notice the cure"
    finally:
        if fault.active(world, tenant) or name == "bucket-missing":
            fault.mend_it(world, tenant)
    assert until_green(world) == []


def test_every_fault_has_its_command() -> None:
    assert {*BY_STUDENT, *BY_INSTRUCTOR} == {fault.name for fault in faults.REGISTRY}


@pytest.mark.parametrize("name", BY_STUDENT)
def test_the_student_mends_it(world: World, running: Lab, name: str, tmp_path: Path) -> None:
    """In a shell of the lab's; where the kubeconfig itself is broken, the command writes into it."""
    if name == "unauthorized-kubeconfig" and given():
        pytest.skip("the cure signs in with aws eks get-token, which wants the lab's webhook in the API server")
    environ = running.student("02")
    broken_and_told(world, name, lambda: type_in(BY_STUDENT[name], environ))


@pytest.mark.parametrize("name", BY_INSTRUCTOR)
def test_the_instructor_mends_it(world: World, running: Lab, name: str) -> None:
    environ = dict(running.environ) | {"KUBECONFIG": str(running.state / "kubeconfig")}
    broken_and_told(world, name, lambda: type_in(BY_INSTRUCTOR[name], environ))


def test_nothing_is_left_broken(world: World) -> None:
    assert list(rehearse.active(world, verify.started(world))) == []
