"""The Profile controller as a program. PROFILE_TEMPLATE and NAMESPACE_TEMPLATE name the namespaces (see `naming`)."""

from __future__ import annotations

from collections.abc import Mapping

from kubeflow_lite import controllers
from kubeflow_lite.kube.client import Client
from kubeflow_lite.kube.config import Access
from kubeflow_lite.profiles import naming
from kubeflow_lite.profiles.controller import ProfileController
from kubeflow_lite.watching import Kind

_RBAC = ("rbac.authorization.k8s.io", "v1")
_CHILDREN = "app.kubernetes.io/managed-by=profile-controller"
KINDS = (
    Kind("kubeflow.org", "v1", "profiles", "Profile"),
    Kind("", "v1", "namespaces", "Namespace", "app.kubernetes.io/part-of=kubeflow-profile"),
    Kind("", "v1", "serviceaccounts", "ServiceAccount", _CHILDREN),
    Kind("", "v1", "resourcequotas", "ResourceQuota", _CHILDREN),
    Kind(*_RBAC, "rolebindings", "RoleBinding", _CHILDREN),
    Kind(*_RBAC, "clusterroles", "ClusterRole", _CHILDREN),
    Kind(*_RBAC, "clusterrolebindings", "ClusterRoleBinding", _CHILDREN),
)


async def run(access: Access, environment: Mapping[str, str], *, address: str, port: int) -> None:
    names = naming.from_environment(environment)
    async with Client(access) as client:
        await controllers.run(ProfileController(client, names), client, access, KINDS, address=address, port=port)
