"""From a Profile's name to its namespace's."""

from __future__ import annotations

import pytest

from kubeflow_lite.errors import ConfigurationError
from kubeflow_lite.profiles.naming import Naming, from_environment

COURSE = Naming("profile-user{num}", "kubeflow-user{num}")


@pytest.mark.parametrize(
    ("naming", "profile", "namespace"),
    [
        (COURSE, "profile-user01", "kubeflow-user01"),
        (COURSE, "profile-user20", "kubeflow-user20"),
        (COURSE, "team-a", "team-a"),
        (COURSE, "profile-user", "profile-user"),
        (COURSE, "profile-user01-x", "profile-user01-x"),
        (Naming("kubeflow-user{num}", "kubeflow-user{num}"), "kubeflow-user03", "kubeflow-user03"),
        (Naming(), "profile-user01", "profile-user01"),
        (Naming("p.{num}", "ns-{num}"), "px01", "px01"),
    ],
)
def test_namespace_of(naming: Naming, profile: str, namespace: str) -> None:
    assert naming.namespace_of(profile) == namespace


@pytest.mark.parametrize(
    "environment",
    [
        {"PROFILE_TEMPLATE": "profile-user{num}"},
        {"NAMESPACE_TEMPLATE": "kubeflow-user{num}"},
        {"PROFILE_TEMPLATE": "profile", "NAMESPACE_TEMPLATE": "kubeflow-{num}"},
        {"PROFILE_TEMPLATE": "{num}{num}", "NAMESPACE_TEMPLATE": "kubeflow-{num}"},
    ],
)
def test_half_a_rule_is_refused(environment: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="must both hold"):
        from_environment(environment)


def test_nothing_set_is_stocks_rule() -> None:
    assert from_environment({}) == Naming()
