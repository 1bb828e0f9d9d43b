"""What `verify` says in bad situations: the guide's message, and the cure in the tenant's own names.

On a real simulator and a real stand-in without the rest of the lab: the tenant is only half made, as after an `up` that was interrupted.
"""

from __future__ import annotations

import datetime
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubeflow_lite.profiles import desired
from lab import faults, fresh, settings, verify
from lab.aws import resources
from lab.aws.standin import StandIn
from lab.checks.base import Result
from lab.checks.probes import CLOCK
from lab.clusters.sim import Sim
from lab.errors import LabError
from lab.kube import Cluster, manifests
from lab.settings import ROOT, Tenant
from lab.tenancy import tenants, users
from lab.world import World


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def world_in(state: Path) -> World:
    environ = {
        "LAB_STATE": str(state),
        "LAB_CLUSTER": "sim",
        "LAB_AWS": "standin",
        "LAB_PORTS_API": str(free_port()),
        "LAB_PORTS_AWS": str(free_port()),
    }
    loaded = settings.load(environ=environ)
    return World(loaded, Sim(loaded), "", StandIn(loaded), "")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = world_in(tmp_path_factory.mktemp("lab"))
    made.provider.create()
    made.aws.start()
    users.write_private(made.kubeconfig, made.provider.kubeconfig().read_text())
    half_make(made, made.settings.one("01"))
    fresh.remember(made, [made.settings.one("01")])
    yield made
    made.provider.delete()
    made.aws.delete()


def half_make(world: World, tenant: Tenant) -> None:
    """Everything that the Profile controller and AWS give, and nothing that comes after: no PodDefaults, no MLflow."""
    cluster = world.cluster
    for name in ("crds", "cluster-roles"):
        for item in manifests.ordered(manifests.read(manifests.K8S / "kubeflow" / f"{name}.yaml")):
            cluster.apply(item)
    profile = cluster.apply(tenants.profile(tenant))
    for item in (*desired.desired(profile, tenant.namespace), *tenants.own_rights(tenant)):
        cluster.apply(item)
    ready = {"type": "Ready", "status": "True", "reason": "Ready", "message": ""}
    cluster.patch(
        "kubeflow.org/v1", "Profile", tenant.profile, {"status": {"conditions": [ready]}}, subresource="status"
    )
    users.provide_kubeconfig(cluster, world.settings, tenant, tenants.groups(tenant))
    keys = resources.provide_tenant(
        world.root,
        world.settings,
        tenant,
        groups=tenants.groups(tenant),
        known=users.read_keys(world.settings, tenant.user),
        there=resources.inventory(world.root, world.settings),
    )
    users.write_keys(world.settings, tenant.user, keys)


def results(world: World, user: str = "01") -> dict[str, Result]:
    return {result.code: result for result in verify.verify(world, user=user)}


def test_a_half_made_tenant(world: World) -> None:
    found = results(world)
    assert found["KF02"].message == "profile-user01, owner user01@mlops.local, Ready"
    assert found["KF06"].message == "PodDefault missing in kubeflow-user01: access-ml-pipeline, access-mlflow"
    assert found["KF06"].hint == "the instructor recreates it: ./inv up --tenants 01"
    assert found["ML05"].message == 'poddefaults.kubeflow.org "access-mlflow" not found'
    assert found["ML05"].hint == "the instructor recreates it: ./inv up --tenants 01"
    assert found["ML06"].message == 'services "mlflow-server" not found'
    assert "kubectl get pods -n kubeflow-user01 -l app=mlflow-server" in found["ML06"].hint
    assert found["KF10"].state == "skip"
    for code in ("KF01", "KF03", "KF04", "KF05", "KF07", "ML03", "ML04", "ST01", "ST02", "ST03", "ST04", "ST05"):
        assert found[code].state == "pass", found[code]
    assert [code for code, result in found.items() if result.state == "fail" and not result.hint] == []


def test_one_digit_is_read_as_the_courses_scripts_read_it(world: World) -> None:
    assert {result.tenant for result in results(world, "1").values()} == {"user01"}


@pytest.mark.parametrize("number", ["00", "0", "abc", "001", "01;02"])
def test_what_is_no_user_number(world: World, number: str) -> None:
    with pytest.raises(LabError, match="is not a user number") as refusal:
        verify.verify(world, user=number)
    assert refusal.value.hint == "user numbers are two digits, 01 to 99; a range is 01..15"


def test_a_user_who_is_not_of_this_class(world: World) -> None:
    with pytest.raises(LabError, match=r"no tenant user99 in lab\.yaml") as refusal:
        verify.verify(world, user="99")
    assert "known: 01, 02" in refusal.value.hint


def test_a_user_who_was_not_started(world: World) -> None:
    with pytest.raises(LabError, match="tenant user03 has not been started") as refusal:
        verify.verify(world, user="03")
    assert refusal.value.hint == "./inv up --tenants 03"


@pytest.mark.parametrize(("number", "told"), [("1", "of 23 checks passed"), ("00", "✗ '00' is not a user number")])
def test_the_task_takes_the_user_from_the_students_shell(world: World, number: str, told: str) -> None:
    """USER_NUM, as the course's scripts do; a bad one is told in one line."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("LAB_", "AWS_"))}
    ports = world.settings.ports
    environ = {
        "LAB_STATE": str(world.settings.state),
        "LAB_PORTS_API": str(ports.api),
        "LAB_PORTS_AWS": str(ports.aws),
        "USER_NUM": number,
    }
    command = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), "verify"]
    done = subprocess.run(
        command, cwd=ROOT, env=kept | environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode > 0
    assert told in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_no_aws_keys(world: World) -> None:
    """Only the checks that need keys fail, each with the cure; the shell's own keys are not taken instead."""
    path = users.folder(world.settings, world.settings.one("01")) / "aws.ini"
    kept = path.read_text()
    path.unlink()
    try:
        found = results(world)
    finally:
        users.write_private(path, kept)
    for code in ("ML03", "ML04", "ML07", "ST01"):
        assert found[code].state == "fail"
        assert found[code].message.startswith("Unable to locate credentials of user01")
        assert found[code].hint.startswith("aws configure; aws sts get-caller-identity")
    assert {found[code].cause for code in ("ST02", "ST03", "ST04", "ST05")} == {"ST01"}
    assert found["KF05"].state == "pass"


def test_keys_that_aws_does_not_know(world: World) -> None:
    path = users.folder(world.settings, world.settings.one("01")) / "aws.ini"
    kept = path.read_text()
    users.write_private(path, kept.replace("aws_access_key_id = ", "aws_access_key_id = AKIAUNKNOWN"))
    try:
        found = results(world)
    finally:
        users.write_private(path, kept)
    assert "InvalidClientTokenId" in found["ST01"].message
    assert found["ST01"].hint == "aws configure; aws sts get-caller-identity"


@pytest.mark.parametrize("minutes", [-20, 20])
def test_a_clock_that_is_wrong(world: World, monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    """AWS refuses signatures more than 15 minutes off; the cure is the clock, not the keys."""
    import botocore.auth

    wrong = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda remove_tzinfo=True: wrong.replace(tzinfo=None))
    found = results(world)
    for code in ("ML04", "ST01"):
        assert found[code].state == "fail"
        assert found[code].hint == CLOCK, found[code]
    assert found["KF05"].state == "pass"


def results_while_broken(world: World, name: str) -> dict[str, Result]:
    fault, tenant = faults.find(name), world.settings.one("01")
    fault.break_it(world, tenant)
    try:
        return results(world)
    finally:
        fault.mend_it(world, tenant)


def test_a_kubeconfig_that_the_cluster_does_not_accept(world: World) -> None:
    found = results_while_broken(world, "unauthorized-kubeconfig")
    assert found["KF01"].message == "Unauthorized"
    assert found["KF01"].hint == "aws eks update-kubeconfig --region ap-northeast-2 --name mlops-training-cluster"
    assert {found[f"KF{n:02}"].cause for n in range(2, 11)} == {"KF01"}


def test_a_cure_that_does_not_work_is_reported_and_ends_nothing(world: World) -> None:
    """The rehearsal of a lab of one: nobody beside the tenant is asked, and what was half made stays red."""
    from lab.faults.rehearse import rehearse

    fault, tenant = faults.find("unauthorized-kubeconfig"), world.settings.one("01")

    def fail(_: World, __: Tenant) -> None:
        raise LabError("no signer", "./inv doctor")

    said: list[str] = []
    try:
        unmended, mended = rehearse(world, tenant, [replace(fault, mend_it=fail), fault], say=said.append)
    finally:
        fault.mend_it(world, tenant)
    assert unmended.red == mended.red == ("KF01", "ML01")
    assert unmended.problems[0] == "it could not be mended: no signer (./inv doctor)"
    assert "KF01 is still fail after the cure: Unauthorized" in unmended.problems
    assert not [problem for problem in mended.problems if "KF01" in problem or "mended" in problem]
    assert said.count("  ✗ KF01, ML01") == 2


def test_a_kubeconfig_with_two_contexts_is_broken_too(world: World) -> None:
    """A student who has typed `aws eks update-kubeconfig` before: that context is the current one."""

    fault, tenant = faults.find("unauthorized-kubeconfig"), world.settings.one("01")
    path = users.kubeconfig_path(world.settings, tenant)
    config = yaml.safe_load(path.read_text())
    config["users"].append({"name": "eks", "user": dict(config["users"][0]["user"])})
    config["contexts"].append({"name": "eks", "context": config["contexts"][0]["context"] | {"user": "eks"}})
    users.write_private(path, yaml.safe_dump(config | {"current-context": "eks"}))
    assert results(world)["KF01"].state == "pass"
    fault.break_it(world, tenant)
    try:
        assert fault.active(world, tenant)
        assert results(world)["KF01"].message == "Unauthorized"
    finally:
        fault.mend_it(world, tenant)
    assert results(world)["KF01"].state == "pass"


def test_a_sign_in_program_gets_the_tenants_keys(world: World, tmp_path: Path) -> None:
    """As `aws eks get-token` needs them; the shell of whoever runs the checks has none of this tenant's."""
    tenant = world.settings.one("01")
    path, noted = users.kubeconfig_path(world.settings, tenant), tmp_path / "noted"
    kept = path.read_text()
    config = yaml.safe_load(kept)
    program = tmp_path / "sign-in"
    answer = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "kind": "ExecCredential",
        "status": {"token": "k8s-aws-v1.nobody"},
    }
    program.write_text(f"#!/bin/sh\necho $AWS_ACCESS_KEY_ID >> {noted}\necho '{json.dumps(answer)}'\n")
    program.chmod(0o700)
    sign_in = {"apiVersion": answer["apiVersion"], "command": str(program), "interactiveMode": "Never"}
    config["users"][0]["user"] = {"exec": sign_in}
    users.write_private(path, yaml.safe_dump(config))
    try:
        found = results(world)
    finally:
        users.write_private(path, kept)
    keys = users.read_keys(world.settings, tenant.user)
    assert keys is not None
    assert set(noted.read_text().split()) == {keys.access_key_id}
    assert found["KF01"].hint == "aws eks update-kubeconfig --region ap-northeast-2 --name mlops-training-cluster"


def test_aws_alone_is_down(world: World) -> None:
    """Every check that needs it says so; isolation is not taken for granted because nothing answers."""
    world.aws.stop()
    try:
        found = results(world)
    finally:
        world.aws.start()
    for code in ("ML03", "ML04", "ML07", "ST01"):
        assert found[code].state == "fail"
        assert found[code].message == "AWS does not answer: EndpointConnectionError"
        assert found[code].hint == "./inv status; ./inv up"
    assert found["KF05"].state == "pass"


def test_iam_that_denies_the_own_bucket(world: World) -> None:
    """The bucket is there: making one is not the cure."""
    found = results_while_broken(world, "s3-access-denied")
    assert [code for code in ("ML03", "ML04", "ST01") if found[code].state == "fail"] == ["ML03", "ST01"]
    for code in ("ML03", "ST01"):
        assert found[code].hint.startswith("aws configure; aws sts get-caller-identity; the IAM policy")
        assert "aws s3 mb" not in found[code].hint


def test_a_tenant_who_was_not_started_cannot_be_broken(world: World) -> None:
    with pytest.raises(LabError, match="tenant user03 has not been started") as refusal:
        verify.started_one(world, "03")
    assert refusal.value.hint == "./inv up --tenants 03"


def test_a_thing_is_asked_for_once_in_a_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is the tenant's own; what must be refused is tried each time."""
    asked: list[str] = []
    send = Cluster._send

    def noted(self: Cluster, method: str, path: str, body: object, **options: Any) -> Any:
        asked.append(f"{method} {path} {body if method == 'POST' else ''} {options.get('query') or ''}")
        return send(self, method, path, body, **options)

    monkeypatch.setattr(Cluster, "_send", noted)
    found = results(world)
    own = [line for line in asked if "/kubeflow-user01/" in line or "/profiles/" in line]
    assert len(own) == len(set(own)) > 8
    other = verify.other(world, world.settings.one("01")).namespace
    assert sum(line.startswith(f"GET /api/v1/namespaces/{other}/pods ") for line in asked) == 2
    assert found["KF08"].state == found["ML07"].state == "pass"
    before = len(asked)
    results(world)
    assert len(asked) == 2 * before, "the next run asks again"


def test_nothing_was_ever_started(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no tenant has been started") as refusal:
        verify.verify(world_in(tmp_path))
    assert refusal.value.hint == "./inv up"


def test_the_cluster_and_aws_are_down(world: World) -> None:
    """Last, because it stops them: one root cause each, with the address that does not answer."""
    world.provider.stop()
    world.aws.stop()
    found = results(world)
    assert found["KF01"].message.startswith(
        f"the cluster at https://127.0.0.1:{world.settings.ports.api} does not answer"
    )
    assert found["KF01"].hint == "is the lab up? ./inv up"
    assert found["ST01"].message == "AWS does not answer: EndpointConnectionError"
    assert found["ST01"].hint == "./inv status; ./inv up"
    assert {result.state for result in found.values()} == {"fail", "skip"}
