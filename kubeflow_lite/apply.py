"""The thin layer that carries a `Change` out."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from kubeflow_lite.changes import Create, Patch, Replace, change
from kubeflow_lite.errors import ApiError
from kubeflow_lite.kube.client import Client
from kubeflow_lite.objects import Object, metadata, name, namespace

log = logging.getLogger(__name__)

_RBAC = "rbac.authorization.k8s.io/v1"
RESOURCES: Mapping[str, str] = {
    "Namespace": "v1/namespaces",
    "ServiceAccount": "v1/serviceaccounts",
    "ResourceQuota": "v1/resourcequotas",
    "Service": "v1/services",
    "Secret": "v1/secrets",
    "StatefulSet": "apps/v1/statefulsets",
    "RoleBinding": f"{_RBAC}/rolebindings",
    "ClusterRole": f"{_RBAC}/clusterroles",
    "ClusterRoleBinding": f"{_RBAC}/clusterrolebindings",
}


async def ensure(client: Client, desired: Object, *, existing: Object | None) -> Object:
    """Make one object as desired, given what is there now; returns what is there afterwards. A refusal says which object it was about."""
    resource = RESOURCES[desired["kind"]]
    try:
        match change(existing, desired):
            case None:
                return existing or desired
            case Create(body):
                made = await client.create(resource, body)
            case Patch(known, patch):
                made = await client.patch(resource, name(known), patch, namespace(known))
            case Replace(known, body):
                await client.delete(resource, name(known), namespace(known), uid=metadata(known)["uid"])
                made = await client.create(resource, body)
    except ApiError as error:
        where = f" in {namespace(desired)}" if namespace(desired) else ""
        raise type(error)(
            error.status, error.reason, f"{desired['kind']} {name(desired)}{where}: {error.message}"
        ) from error
    log.info("%s %s: as it should be", desired["kind"], "/".join(filter(None, (namespace(desired), name(desired)))))
    return made


async def find_and_ensure(client: Client, desired: Object) -> Object:
    existing = await client.find(RESOURCES[desired["kind"]], name(desired), namespace(desired))
    return await ensure(client, desired, existing=existing)
