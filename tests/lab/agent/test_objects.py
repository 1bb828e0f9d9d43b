"""What the agent publishes is what the dashboard reads: both sides of the agreement, without a cluster."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import cast

import pytest

from kubeflow_lite.dashboard import pressing, reports
from lab import checks, faults, messages, settings
from lab.agent import eyes, objects
from lab.agent.errands import VERBS
from lab.agent.objects import Bucket, Request
from lab.checks.base import Result
from lab.messages import t
from lab.world import World

SETTINGS = settings.load(environ={})
STUDENT = SETTINGS.one("07")


class Lab:
    """So much of a World as a fault's words need."""

    settings = SETTINGS


@pytest.fixture
def both_languages() -> Iterator[None]:
    """As the agent speaks."""
    messages.use("both")
    yield
    messages.use("en")


def result(code: str, state: str, **more: str) -> Result:
    fields = {"tenant": STUDENT.user, "part": "kubeflow", "title": "t", "title_ko": "t", "message": "m", **more}
    return Result(code=code, state=state, **fields)  # type: ignore[arg-type]


def test_a_report_arrives_as_it_was_sent() -> None:
    results = [result("KF01", "pass"), result("KF02", "fail", hint="kubectl"), result("KF03", "skip", cause="KF02")]
    sent = objects.report(SETTINGS, STUDENT, results, seconds=0.4, bucket=Bucket(3, 2048))
    found = reports.reports([sent])[STUDENT.namespace]
    assert (found.num, found.role) == ("07", "student")
    assert found.result("KF02") == reports.Result("KF02", "fail", "m", "kubectl")
    assert found.result("KF03").cause == "KF02"
    assert found.bucket == reports.Bucket("mlops-training-user07", 3, "2 KiB")
    assert "./inv env --user 07" in found.commands[0].command


def test_what_a_check_saw_arrives_in_both_languages(both_languages: None) -> None:
    why = t("nobody")
    seen = t("{namespace} is Active", namespace="kubeflow-user07")
    owner = t("namespaceAdmin is bound to {owners}, not {email}", owners=why, email="a@b")
    results = [result("KF01", "pass", message=seen), result("KF05", "fail", message=owner, hint="kubectl")]
    sent = objects.report(SETTINGS, STUDENT, results, seconds=0.4, bucket=None)
    found = reports.reports([sent])[STUDENT.namespace]
    whole = found.result("KF01")
    assert (whole.message, whole.message_ko) == ("kubeflow-user07 is Active", "kubeflow-user07: Active")
    broken = found.result("KF05")
    assert broken.message == "namespaceAdmin is bound to nobody, not a@b"
    assert re.search("[가-힣]", broken.message_ko)
    assert "nobody" not in broken.message_ko
    assert (broken.hint, broken.hint_ko) == ("kubectl", ""), "a command is the same in every language"


def test_what_became_of_a_button_is_told_in_both_languages(both_languages: None) -> None:
    told = objects.in_both(message=t("{name} of {user} is mended", name="mlflow-down", user="user07"), log="  ✗ ML06")
    assert (told["message"], told["log"]) == ("mlflow-down of user07 is mended", "  ✗ ML06")
    assert re.search("[가-힣]", told["message_ko"])
    assert "log_ko" not in told


def test_aws_that_says_nothing_is_no_empty_bucket() -> None:
    sent = objects.report(SETTINGS, STUDENT, [], seconds=0.4, bucket=None)
    assert reports.reports([sent])[STUDENT.namespace].bucket.size == ""


def test_no_report_holds_a_secret() -> None:
    sent = str(objects.report(SETTINGS, STUDENT, [], seconds=0.4, bucket=None)).lower()
    assert "secret" not in sent
    assert "aws_access_key" not in sent


def test_the_catalogue_has_every_check_and_every_fault() -> None:
    sent = objects.catalogue(checks.REGISTRY, faults.REGISTRY, SETTINGS.people)
    assert [one.code for one in reports.checks([sent])] == [check.code for check in checks.REGISTRY]
    assert [one.name for one in reports.faults([sent])] == [fault.name for fault in faults.REGISTRY]


def test_what_is_broken_comes_with_what_to_say_in_the_students_names() -> None:
    fault = faults.find("owner-mismatch")
    sent = objects.active(cast(World, Lab()), [(fault, STUDENT)])
    catalogue = objects.catalogue(checks.REGISTRY, faults.REGISTRY, SETTINGS.people)
    (found,) = reports.active([catalogue, sent])
    assert (found.fault, found.num, found.everybody) == ("owner-mismatch", "07", False)
    assert "user07@mlops.local" in found.say
    assert "user07@mlops.local" in found.say_ko


def test_the_agents_heart_is_heard() -> None:
    from datetime import UTC, datetime

    assert reports.alive([objects.lease("host-1", objects.now())], datetime.now(UTC))


@pytest.mark.parametrize("verb", ["break", "mend", "rehearse"])
def test_a_button_is_a_request_that_the_agent_knows(verb: str) -> None:
    pressed = pressing.request({"verb": verb, "fault": "mlflow-down", "user": "07"}, by="20", system="kubeflow")
    assert Request.of(pressed) == Request(pressed["metadata"]["name"], verb, "mlflow-down", "07", "")
    assert verb in VERBS
    assert pressed["metadata"]["labels"] == {objects.KIND: "request"}


@pytest.mark.parametrize(
    ("kind", "name", "namespace", "whose"),
    [
        ("Pod", "x", "kubeflow-user07", ["07"]),
        ("Pod", "x", "mlflow-system", None),
        ("Deployment", "centraldashboard", "kubeflow", None),
        ("Pod", "x", "elsewhere", []),
        ("Profile", "profile-user07", "", ["07"]),
        ("Namespace", "kubeflow-user01", "", ["01"]),
        ("Namespace", "elsewhere", "", []),
        ("ClusterRoleBinding", "anything", "", None),
    ],
)
def test_whom_a_change_concerns(kind: str, name: str, namespace: str, whose: list[str] | None) -> None:
    item = {"kind": kind, "metadata": {"name": name, "namespace": namespace}}
    assert eyes.affected(item, SETTINGS.people) == whose


def test_every_fault_has_a_korean_title() -> None:
    told = json.loads(objects.catalogue(checks.REGISTRY, faults.REGISTRY, [])["data"]["faults"])
    assert [one["name"] for one in told if not re.search("[가-힣]", one["title_ko"])] == []
