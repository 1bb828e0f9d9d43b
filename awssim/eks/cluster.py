"""The lab's cluster in ministack's EKS: its endpoint and CA are the real ones, read when asked; no other cluster can be made.

ministack would start a container for a cluster, and its CA is empty without one. It also lets an access entry name
``system:masters``, or somebody who does not exist, and says of nodes and add-ons that it makes them.
"""

import base64
import json
import time
from typing import Any

from awssim.overrides.policies import exists, is_principal
from awssim.overrides.replace import replace
from awssim.settings import Settings

VERSION = "1.36"
_RESERVED_GROUPS = ("system:", "eks:", "aws:", "amazon:", "iam:")
_RESERVED_NAMES = _RESERVED_GROUPS
_NODES = ("nodegroup", "addon", "pod_identity_association")


def apply(eks: Any, settings: Settings) -> None:
    """Put the cluster in the store where it is not there yet, and correct what is said about it."""
    if eks._clusters.get_scoped(settings.account, settings.region, settings.eks_cluster) is None:
        eks._clusters.set_scoped(settings.account, settings.region, settings.eks_cluster, _record(settings))
    replace(eks, "_sanitize", lambda original: lambda cluster: original(_current(cluster, settings)))
    replace(eks, "_create_cluster", lambda _: lambda *_a, **_k: _refused(eks, settings))
    replace(eks, "_delete_cluster", lambda _: lambda *_a, **_k: _refused(eks, settings))
    for name in _NODES:
        replace(eks, f"_create_{name}", lambda _: lambda *_a, **_k: _refused(eks, settings))
    replace(eks, "_schedule_access_policy_reconcile", lambda _: lambda *_a, **_k: None)
    replace(eks, "_create_access_entry", lambda original: _checked(eks, _for_somebody(eks, original)))
    replace(
        eks, "_update_access_entry", lambda original: _checked(eks, lambda name, arn, body: original(name, arn, body))
    )


def _record(settings: Settings) -> dict[str, Any]:
    name, account, region = settings.eks_cluster, settings.account, settings.region
    return {
        "name": name,
        "arn": f"arn:aws:eks:{region}:{account}:cluster/{name}",
        "createdAt": time.time(),
        "version": VERSION,
        "roleArn": f"arn:aws:iam::{account}:role/{name}",
        "resourcesVpcConfig": {
            "subnetIds": [],
            "securityGroupIds": [],
            "endpointPublicAccess": True,
            "endpointPrivateAccess": False,
        },
        "kubernetesNetworkConfig": {"serviceIpv4Cidr": "127.11.0.0/16", "ipFamily": "ipv4"},
        "logging": {"clusterLogging": []},
        "identity": {"oidc": {"issuer": settings.eks_endpoint}},
        "status": "ACTIVE",
        "platformVersion": "eks.1",
        "tags": {},
        "encryptionConfig": [],
        "accessConfig": {"authenticationMode": "API"},
    }


def _current(cluster: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """A cluster as it is now: where the lab's API server is, and the CA that has signed its certificate."""
    return {**cluster, "endpoint": settings.eks_endpoint, "certificateAuthority": {"data": _authority(settings)}}


def _authority(settings: Settings) -> str:
    try:
        return base64.b64encode(settings.eks_ca.read_bytes()).decode() if settings.eks_ca else ""
    except OSError:
        return ""  # the API server has not made it yet


def _refused(eks: Any, settings: Settings) -> Any:
    return eks._error(
        400,
        "InvalidRequestException",
        f"This lab has the one cluster {settings.eks_cluster}; clusters, their nodes and add-ons are not made or deleted here.",
    )


def _for_somebody(eks: Any, original: Any) -> Any:
    """Refuse an entry for a user or role that there is not; ministack makes one, which then is nobody's."""

    def create(name: str, body: Any) -> Any:
        arn = str((json.loads(body or "{}") if isinstance(body, (bytes, str)) else body).get("principalArn", ""))
        if not is_principal(arn, exists) or ":assumed-role/" in arn:
            said = "The specified principalArn is invalid: invalid principal."
            return eks._error(400, "InvalidParameterException", said)
        return original(name, body)

    return create


def _checked(eks: Any, operation: Any) -> Any:
    """Refuse names and groups that AWS keeps for itself."""

    def run(*arguments: Any) -> Any:
        body = arguments[-1]
        if isinstance(body, (bytes, str)):
            body = json.loads(body or "{}")
        for group in body.get("kubernetesGroups") or []:
            if str(group).startswith(_RESERVED_GROUPS):
                return eks._error(
                    400,
                    "InvalidParameterException",
                    f"The kubernetes group name {group} is invalid, it cannot start with a reserved prefix",
                )
        username = str(body.get("username") or "")
        if username.startswith(_RESERVED_NAMES):
            return eks._error(
                400,
                "InvalidParameterException",
                f"The username {username} is invalid, it cannot start with a reserved prefix",
            )
        return operation(*arguments)

    return run
