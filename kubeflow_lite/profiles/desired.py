"""What a Profile stands for, as a list of objects in the order they are made. Pure: the same Profile always gives the same list.

Departures from stock Kubeflow: no Istio AuthorizationPolicy (there is no Istio); the pod-security label of its optional overlay, always; and
one ClusterRole with its binding per Profile, so that the owner may read the Profile itself (stock shows it to nobody but administrators; the
course has tenants run `kubectl get profile`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeflow_lite.objects import Object, metadata, name, owner_reference

FINALIZER = "profile-finalizer"
QUOTA = "kf-resource-quota"
EDITOR = "default-editor"
VIEWER = "default-viewer"
ADMIN_BINDING = "namespaceAdmin"
ROLE_ARN = "eks.amazonaws.com/role-arn"
OWNER = "owner"
AWS_PLUGIN = "AwsIamForServiceAccount"
MANAGED_BY = {"app.kubernetes.io/managed-by": "profile-controller"}
"""Marks the children, so that the controller watches these and not every service account of the cluster."""
NAMESPACE_LABELS: Mapping[str, str] = {
    "istio-injection": "enabled",
    "app.kubernetes.io/part-of": "kubeflow-profile",
    "katib.kubeflow.org/metrics-collector-injection": "enabled",
    "pipelines.kubeflow.org/enabled": "true",
    "serving.kubeflow.org/inferenceservice": "enabled",
    # As Kubeflow's own pod-security overlay has it: a pod of one tenant that mounts the node's folders would read every tenant's volumes.
    "pod-security.kubernetes.io/enforce": "baseline",
}
_RBAC = "rbac.authorization.k8s.io"


def desired(profile: Object, namespace: str) -> list[Object]:
    """Everything the Profile owns, the namespace first."""
    parts = [
        _namespace(profile, namespace),
        _service_account(EDITOR, namespace, _account_annotations(profile)),
        _account_binding(EDITOR, "kubeflow-edit", namespace),
        _service_account(VIEWER, namespace, {}),
        _account_binding(VIEWER, "kubeflow-view", namespace),
        _admin_binding(profile, namespace),
        *_quota(profile, namespace),
        *_own_profile(profile),
    ]
    return [_owned(part, profile) for part in parts]


def owner(profile: Mapping[str, Any]) -> Object:
    """spec.owner as RBAC writes a subject: with the API group that the server would fill in."""
    subject = dict((profile.get("spec") or {}).get("owner") or {})
    if subject.get("kind") in ("User", "Group"):
        subject["apiGroup"] = subject.get("apiGroup") or _RBAC
    return subject


def owner_name(profile: Mapping[str, Any]) -> str:
    return str(owner(profile).get("name") or "")


def wants_quota(profile: Mapping[str, Any]) -> bool:
    return bool(((profile.get("spec") or {}).get("resourceQuotaSpec") or {}).get("hard"))


def role_arn(profile: Mapping[str, Any]) -> str:
    """The IAM role that the AWS plug-in gives to default-editor, or ''."""
    for plugin in (profile.get("spec") or {}).get("plugins") or []:
        if plugin.get("kind") == AWS_PLUGIN:
            return str((plugin.get("spec") or {}).get("awsIamRole") or "")
    return ""


def role_of(profile_name: str) -> str:
    """The name of the ClusterRole through which the owner reads the Profile."""
    return f"kubeflow-profile-{profile_name}"


def _owned(part: Object, profile: Object) -> Object:
    return {**part, "metadata": {**metadata(part), "ownerReferences": [owner_reference(profile)]}}


def _object(
    kind: str, object_name: str, namespace: str = "", *, version: str = "v1", **meta: Mapping[str, str]
) -> Object:
    where = {"namespace": namespace} if namespace else {}
    filled = {key: dict(value) for key, value in meta.items() if value}
    return {"apiVersion": version, "kind": kind, "metadata": {"name": object_name, **where, **filled}}


def _namespace(profile: Object, namespace: str) -> Object:
    return _object("Namespace", namespace, labels=NAMESPACE_LABELS, annotations={OWNER: owner_name(profile)})


def _service_account(account: str, namespace: str, annotations: Mapping[str, str]) -> Object:
    return _object("ServiceAccount", account, namespace, labels=MANAGED_BY, annotations=annotations)


def _account_annotations(profile: Object) -> Mapping[str, str]:
    arn = role_arn(profile)
    return {ROLE_ARN: arn} if arn else {}


def _account_binding(account: str, role: str, namespace: str) -> Object:
    return {
        **_object("RoleBinding", account, namespace, version=f"{_RBAC}/v1", labels=MANAGED_BY),
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    }


def _admin_binding(profile: Object, namespace: str) -> Object:
    notes = {"user": owner_name(profile), "role": "admin"}
    return {
        **_object("RoleBinding", ADMIN_BINDING, namespace, version=f"{_RBAC}/v1", labels=MANAGED_BY, annotations=notes),
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "kubeflow-admin"},
        "subjects": [owner(profile)],
    }


def _quota(profile: Object, namespace: str) -> list[Object]:
    if not wants_quota(profile):
        return []
    return [
        {**_object("ResourceQuota", QUOTA, namespace, labels=MANAGED_BY), "spec": profile["spec"]["resourceQuotaSpec"]}
    ]


def _own_profile(profile: Object) -> list[Object]:
    role = role_of(name(profile))
    rule = {
        "apiGroups": ["kubeflow.org"],
        "resources": ["profiles"],
        "resourceNames": [name(profile)],
        "verbs": ["get"],
    }
    return [
        {**_object("ClusterRole", role, version=f"{_RBAC}/v1", labels=MANAGED_BY), "rules": [rule]},
        {
            **_object("ClusterRoleBinding", role, version=f"{_RBAC}/v1", labels=MANAGED_BY),
            "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
            "subjects": [owner(profile)],
        },
    ]
