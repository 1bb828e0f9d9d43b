"""TokenReview: an IAM user becomes a Kubernetes user through its access entry, or nobody.

An access policy associated with the entry becomes a group, because Kubernetes has no access policies: AmazonEKSClusterAdminPolicy on the
cluster is ``system:masters``, any other ``eks:access-policy:NAME``, with ``:NAMESPACE`` where its scope is one. The account's root is the
cluster's maker, so it has AmazonEKSClusterAdminPolicy without an entry.
"""

import logging
from typing import Any

from awssim.eks import tokens
from awssim.errors import Refused
from awssim.settings import Settings

log = logging.getLogger("awssim.eks")
_ADMIN = "AmazonEKSClusterAdminPolicy"


def review(body: dict[str, Any], stand: Any) -> dict[str, Any]:
    """Answer a TokenReview."""
    spec = body.get("spec") if isinstance(body.get("spec"), dict) else {}
    assert isinstance(spec, dict)
    status = _status(str(spec.get("token") or ""), stand)
    if status["authenticated"] and spec.get("audiences"):
        status["audiences"] = spec["audiences"]
    return {"apiVersion": body.get("apiVersion", "authentication.k8s.io/v1"), "kind": "TokenReview", "status": status}


def _status(token: str, stand: Any) -> dict[str, Any]:
    settings: Settings = stand.settings
    try:
        credential = tokens.verify(token, settings.eks_cluster, stand.credential)
    except Refused as refusal:
        log.info("token refused: %s", refusal)
        return {"authenticated": False, "error": refusal.message}
    user = _user(credential, stand.module("eks"), settings)
    if user is None:
        return {
            "authenticated": False,
            "error": f"{credential.principal_arn} has no access entry in {settings.eks_cluster}",
        }
    return {"authenticated": True, "user": user}


def _user(credential: Any, eks: Any, settings: Settings) -> dict[str, Any] | None:
    entry = eks._access_entry_for_principal(
        settings.eks_cluster, settings.account, settings.region, credential.principal_arn
    )
    if entry is None and credential.principal_type != "Root":
        return None
    entry = entry or {"principalArn": credential.principal_arn}
    groups = [
        "system:authenticated",
        *(entry.get("kubernetesGroups") or []),
        *_policy_groups(entry["principalArn"], eks, settings),
    ]
    if credential.principal_type == "Root":
        groups.append("system:masters")
    return {
        "username": entry.get("username") or credential.principal_arn,
        "uid": f"aws-iam-authenticator:{settings.account}:{credential.principal_id}",
        "groups": list(dict.fromkeys(groups)),
        "extra": {
            "arn": [credential.principal_arn],
            "canonicalArn": [entry["principalArn"]],
            "accessKeyId": [credential.access_key_id],
        },
    }


def _policy_groups(principal_arn: str, eks: Any, settings: Settings) -> list[str]:
    groups = []
    for owner, policy, association in eks._access_policy_associations(
        settings.eks_cluster, settings.account, settings.region
    ):
        if owner != principal_arn:
            continue
        name, scope = policy.rpartition("/")[2], association["accessScope"]
        if scope["type"] == "cluster":
            groups.append("system:masters" if name == _ADMIN else f"eks:access-policy:{name}")
        else:
            groups += [f"eks:access-policy:{name}:{namespace}" for namespace in scope["namespaces"]]
    return groups
