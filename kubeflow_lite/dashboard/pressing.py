"""What a button leaves in the cluster: a ConfigMap that the lab's agent carries out. Pure; the agent checks every word of it again."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime

from kubeflow_lite.dashboard.reports import KIND
from kubeflow_lite.objects import Object

VERBS = ("verify", "break", "mend", "rehearse")
TENANTS_VERBS = ("verify",)
"""What a tenant may ask for, and only for the tenant's own."""
_FIELDS = {"fault": re.compile(r"[a-z0-9-]{0,60}"), "user": re.compile(r"(\d\d)?")}


class Unusable(ValueError):
    """The form says something that no form of ours says."""


def request(fields: Mapping[str, str], *, by: str, system: str) -> Object:
    """The object to create. Raises Unusable for what is not one of our buttons."""
    verb = fields.get("verb", "")
    if verb not in VERBS:
        raise Unusable(f"no verb {verb[:20]!r}")
    data = {"verb": verb, "by": by, "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
    for field, pattern in _FIELDS.items():
        value = fields.get(field, "")
        if not pattern.fullmatch(value):
            raise Unusable(f"{field} {value[:20]!r} is not one")
        data[field] = value
    if verb in ("break", "mend") and not (data["fault"] and data["user"]):
        raise Unusable(f"{verb} needs a fault and a user")
    if verb == "rehearse" and not data["user"]:
        raise Unusable("rehearse needs a user")
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": f"lab-request-{secrets.token_hex(6)}",
            "namespace": system,
            "labels": {KIND: "request"},
        },
        "data": data,
    }
