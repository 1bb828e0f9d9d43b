"""Conditions: stock's Failed, our Ready, and no write where nothing changed."""

from __future__ import annotations

from kubeflow_lite.objects import Object
from kubeflow_lite.profiles import status
from kubeflow_lite.profiles.desired import desired
from tests.kubeflow_lite.making import existing, profile

NAMESPACE = desired(profile(), "kubeflow-user01")[0]
THEN, NOW = "2026-11-01T00:00:00Z", "2026-11-22T00:00:00Z"


def owned_by(**annotations: str) -> Object:
    return existing(NAMESPACE, annotations=annotations, ownerReferences=[])


def test_a_namespace_of_the_same_owner_is_no_obstacle() -> None:
    assert status.obstacle(profile(), None) == ""
    assert status.obstacle(profile(), existing(NAMESPACE)) == ""
    assert status.obstacle(profile(), owned_by(owner="user01@mlops.local")) == ""


def test_another_owner_or_none_is_an_obstacle_in_stocks_words() -> None:
    expected = "namespace already exist, but not owned by profile creator user01@mlops.local"
    assert status.obstacle(profile(), owned_by(owner="user@example.com")) == expected
    assert status.obstacle(profile(), owned_by()) == expected


def test_two_profiles_cannot_share_a_namespace() -> None:
    other = profile("kubeflow-user01")
    assert (
        status.obstacle(other, existing(NAMESPACE))
        == "namespace kubeflow-user01 already belongs to Profile profile-user01"
    )


def test_status_is_written_once() -> None:
    first = status.status(profile(), "ns", status.ready("ns"), at=THEN)
    assert first is not None
    assert first["namespace"] == "ns"
    assert [(one["type"], one["status"], one["lastTransitionTime"]) for one in first["conditions"]] == [
        ("Ready", "True", THEN)
    ]
    assert status.status({**profile(), "status": first}, "ns", status.ready("ns"), at=NOW) is None


def test_a_transition_keeps_the_time_of_what_did_not_change() -> None:
    first = status.status(profile(), "ns", status.waiting("Forbidden", "exceeded quota"), at=THEN)
    second = status.status({**profile(), "status": first}, "ns", status.failed("not yours"), at=NOW)
    assert second is not None
    assert [(one["type"], one["status"], one["lastTransitionTime"]) for one in second["conditions"]] == [
        ("Failed", "True", NOW),
        ("Ready", "False", THEN),
    ]


def test_failed_goes_away_when_ready() -> None:
    first = status.status(profile(), "ns", status.failed("not yours"), at=THEN)
    second = status.status({**profile(), "status": first}, "ns", status.ready("ns"), at=NOW)
    assert second is not None
    assert [one["type"] for one in second["conditions"]] == ["Ready"]
