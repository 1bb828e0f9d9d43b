"""What a check is: a code, titles, what it requires, and a function from a subject to an outcome.

A check looks at the lab as the tenant does: with the tenant's own kubeconfig and AWS keys. It returns `passed(...)` with what it saw or raises
`Failed` with what is wrong and the guide's cure in the tenant's own names. It changes nothing: probes that would write are dry runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lab.aws.clients import Clients
from lab.checks.answers import Answers
from lab.kube import Cluster
from lab.messages import language
from lab.settings import Settings, Tenant

State = Literal["pass", "fail", "skip"]
Part = Literal["kubeflow", "mlflow", "storage"]


@dataclass(frozen=True)
class Subject:
    """One tenant under test: `cluster` and `aws` act as the tenant; `other` is a tenant it must be kept apart from; `answers` are of one run."""

    settings: Settings
    tenant: Tenant
    other: Tenant
    cluster: Cluster
    aws: Clients
    answers: Answers = field(default_factory=Answers, compare=False, repr=False)

    @property
    def namespace(self) -> str:
        return self.tenant.namespace


class Failed(Exception):
    """A check's verdict: what is wrong with which object, and what to type."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class Check:
    """`run` returns what it saw, in words; `requires` are codes that must have passed first."""

    code: str
    part: Part
    title: str
    title_ko: str
    run: Callable[[Subject], str]
    requires: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """What one check said of one tenant. `seconds` is wall time; `cause` the code of the failed check a skipped one waited for."""

    tenant: str
    code: str
    part: Part
    title: str
    title_ko: str
    state: State
    message: str
    hint: str = ""
    cause: str = ""
    seconds: float = 0.0

    @property
    def named(self) -> str:
        """The title in the user's language."""
        return self.title_ko if language() == "ko" else self.title


def names(objects: Sequence[dict[str, Any]]) -> set[str]:
    return {str(item["metadata"]["name"]) for item in objects}


def require(found: bool, message: str, hint: str = "") -> None:
    if not found:
        raise Failed(message, hint)
