"""The tags of what a call is about, for conditions: ``aws:ResourceTag/KEY`` and the service's own ``ecr:ResourceTag/KEY``.

ministack knows them of other services' resources, and of IAM's under the first name only.
"""

import sys
from typing import Any


def context(arn: str) -> dict[str, str]:
    """The condition keys of a repository, a cluster, a user or a role."""
    parts = arn.split(":", 5)
    if len(parts) < 6:
        return {}
    service, kind, name = parts[2], parts[5].partition("/")[0], parts[5].partition("/")[2]
    found = _tags(service, kind, name, arn)
    return {f"{prefix}:ResourceTag/{key}": value for key, value in found.items() for prefix in ("aws", service)}


def _tags(service: str, kind: str, name: str, arn: str) -> dict[str, str]:
    module: Any = sys.modules.get(f"ministack.services.{service}")
    if service == "eks" and module:
        return dict(module._tags.get(arn) or {})
    if service == "ecr" and module:
        return _pairs((module._repositories.get(name) or {}).get("tags"))
    if service == "iam" and kind in ("user", "role") and module:
        store = module._users if kind == "user" else module._roles
        return _pairs((store.get(name.rpartition("/")[2]) or {}).get("Tags"))
    return {}


def _pairs(tags: Any) -> dict[str, str]:
    return {str(tag["Key"]): str(tag.get("Value", "")) for tag in tags or []}
