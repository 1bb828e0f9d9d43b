"""From a Profile's name to its namespace's.

Stock Kubeflow names the namespace as the Profile. The course does not (Profile profile-user01, namespace kubeflow-user01), so the lab gives
two templates with the same placeholder; a Profile that does not fit the first follows stock's rule.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from kubeflow_lite.errors import ConfigurationError

PLACEHOLDER = "{num}"


@dataclass(frozen=True)
class Naming:
    """Both templates hold `{num}` once, or both are empty: stock's rule alone."""

    profile: str = ""
    namespace: str = ""

    def __post_init__(self) -> None:
        given = [template for template in (self.profile, self.namespace) if template]
        if len(given) == 1 or any(template.count(PLACEHOLDER) != 1 for template in given):
            raise ConfigurationError(
                f"PROFILE_TEMPLATE={self.profile!r} and NAMESPACE_TEMPLATE={self.namespace!r} must both hold {PLACEHOLDER} once, or both be unset"
            )

    def namespace_of(self, profile: str) -> str:
        if not self.profile:
            return profile
        before, _, after = self.profile.partition(PLACEHOLDER)
        match = re.fullmatch(f"{re.escape(before)}([a-z0-9]+){re.escape(after)}", profile)
        return self.namespace.replace(PLACEHOLDER, match[1]) if match else profile


def from_environment(environment: Mapping[str, str]) -> Naming:
    return Naming(environment.get("PROFILE_TEMPLATE", ""), environment.get("NAMESPACE_TEMPLATE", ""))
