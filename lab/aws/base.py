"""What an AWS provider is: endpoints and root keys; what the lab creates there is the same code for all."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lab.clusters.base import Finding


@dataclass(frozen=True)
class Keys:
    """An access key; `secret` never shows in a repr."""

    access_key_id: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)
    """Of a temporary session (single sign-on, an assumed role); empty for a user's own keys."""


@dataclass(frozen=True)
class Capabilities:
    """How AWS stand-ins differ, as data."""

    enforces_iam: bool
    keeps_data: bool
    has_ecr: bool
    has_eks: bool
    shortcomings: str = ""
    """One line for the summary of `up`; empty where there is nothing to say."""
    images: tuple[str, ...] = ()
    """Images that it needs, pinned; a bundle has them."""


class Provider(Protocol):
    """S3, ECR, STS, IAM and EKS from somewhere."""

    @property
    def name(self) -> str: ...

    @property
    def capabilities(self) -> Capabilities: ...

    def question(self) -> str | None:
        """What somebody has to agree to before anything is created; None for what is the lab's own, or where they agreed."""
        ...

    def agree(self) -> None:
        """Somebody agreed to what `question` says; kept, for that very account."""
        ...

    def start(self, address: str = "127.0.0.1") -> str | None:
        """Until it answers, on loopback and on `address`, where a cluster's nodes find this host; returns a note for the list of steps."""
        ...

    def endpoint(self, service: str = "s3") -> str:
        """The URL at which this host reaches a service; empty where the AWS SDK knows it (real AWS)."""
        ...

    def routes(self) -> dict[str, str]:
        """The AWS tools' endpoint variables for a shell; empty where the tools know themselves."""
        ...

    def root(self) -> Keys:
        """The administrator's keys."""
        ...

    def keys(self, user: str) -> Keys | None:
        """The keys that a tenant's IAM user (`user01`) has; None where there are none."""
        ...

    def running(self) -> bool: ...

    def stop(self) -> bool: ...

    def delete(self) -> None: ...

    def folder(self) -> Path:
        """Where it keeps its data on this host."""
        ...

    def diagnose(self) -> list[Finding]: ...
