"""Which service is where, as data: a table from a service to the one that has it, and what follows for a shell."""

from __future__ import annotations

import os
from collections.abc import Mapping

from lab.settings import Settings

TOKEN = "LOCALSTACK_AUTH_TOKEN"
DEFAULT = ""
"""The row for services that the table does not name."""

STANDIN = {DEFAULT: "standin"}
LOCALSTACK = {DEFAULT: "localstack", "ecr": "standin", "eks": "standin", "iam": "standin", "sts": "standin"}
"""LocalStack's free edition has no ECR and no usable EKS, and checks no keys. A user must be one user everywhere, so IAM and STS are with the
two that check: LocalStack takes any key."""
LOCALSTACK_PAID = {**LOCALSTACK, "ecr": "localstack"}
"""With LOCALSTACK_AUTH_TOKEN it has an ECR of its own."""
REAL: Mapping[str, str] = {}
"""The AWS tools know AWS's own addresses."""


def table(settings: Settings, environ: Mapping[str, str] = os.environ) -> Mapping[str, str]:
    """The table of the provider that `settings.aws` names; `auto` is settled before anything is asked of it."""
    paid = bool(environ.get(TOKEN))
    tables = {"standin": STANDIN, "localstack": LOCALSTACK_PAID if paid else LOCALSTACK, "real": REAL}
    return tables.get(settings.aws, STANDIN)


def endpoint(settings: Settings, service: str, environ: Mapping[str, str] = os.environ) -> str:
    """The URL at which this host reaches a service; empty for AWS's own."""
    chosen = table(settings, environ)
    return _places(settings)[chosen.get(service, chosen[DEFAULT])] if chosen else ""


def variables(settings: Settings, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The AWS tools' own variables: AWS_ENDPOINT_URL, and AWS_ENDPOINT_URL_ECR and so on for what is elsewhere."""
    chosen, places = table(settings, environ), _places(settings)
    names = {service: f"AWS_ENDPOINT_URL_{service.upper()}" if service else "AWS_ENDPOINT_URL" for service in chosen}
    return {names[service]: places[place] for service, place in sorted(chosen.items())}


def profile(settings: Settings, environ: Mapping[str, str] = os.environ) -> str:
    """The same in the words of an AWS configuration file: lines of the profile, and the section that they name."""
    chosen, places = table(settings, environ), _places(settings)
    if not chosen:
        return ""
    elsewhere = {service: places[place] for service, place in sorted(chosen.items()) if service}
    lines = [f"endpoint_url = {places[chosen[DEFAULT]]}"]
    if elsewhere:
        lines += ["services = lab", "", "[services lab]"]
        lines += [f"{service} =\n  endpoint_url = {url}" for service, url in elsewhere.items()]
    return "\n".join(lines) + "\n"


def _places(settings: Settings) -> dict[str, str]:
    ports = {"localstack": settings.ports.aws, "standin": settings.standin_port}
    return {place: f"http://127.0.0.1:{port}" for place, port in ports.items()}
