"""A tenant in lab.yaml -> the objects that make it one on a cluster. Pure functions."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import quote

from lab.aws.base import Keys
from lab.kube import Object, manifests
from lab.settings import Settings, Tenant

POSTGRES = "postgres.mlflow-system.svc.cluster.local:5432"
RBAC = "rbac.authorization.k8s.io/v1"
TENANTS_GROUP = "mlops:tenants"
INSTRUCTORS_GROUP = "mlops:instructors"


def profile(tenant: Tenant) -> Object:
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "Profile",
        "metadata": {"name": tenant.profile, "labels": {"mlops-lab/user": tenant.num, "mlops-lab/role": tenant.role}},
        "spec": {
            "owner": {"kind": "User", "name": tenant.email, "apiGroup": "rbac.authorization.k8s.io"},
            "resourceQuotaSpec": {"hard": {"cpu": tenant.cpu, "memory": tenant.memory}},
        },
    }


def own_rights(tenant: Tenant) -> list[Object]:
    """A tenant may read the tenant's own Profile and Namespace whoever owns the Profile: the guides' checks find a wrong owner by reading it."""
    rules = [
        {"apiGroups": ["kubeflow.org"], "resources": ["profiles"], "resourceNames": [tenant.profile], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["namespaces"], "resourceNames": [tenant.namespace], "verbs": ["get"]},
    ]
    meta = {"name": f"mlops-tenant-{tenant.user}"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": meta["name"]}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": tenant.email}
    return [
        {"apiVersion": RBAC, "kind": "ClusterRole", "metadata": meta, "rules": rules},
        {"apiVersion": RBAC, "kind": "ClusterRoleBinding", "metadata": meta, "roleRef": role, "subjects": [subject]},
    ]


def groups(tenant: Tenant) -> tuple[str, ...]:
    """The groups of a tenant's certificate."""
    return (TENANTS_GROUP, INSTRUCTORS_GROUP) if tenant.role == "instructor" else (TENANTS_GROUP,)


def placeholders(settings: Settings, tenant: Tenant) -> dict[str, str]:
    """What the templates under k8s/tenant/ are filled in with."""
    return {
        "USER_NUM": tenant.num,
        "NAMESPACE": tenant.namespace,
        "BUCKET": tenant.bucket,
        "REGION": settings.region,
        "PROFILE": tenant.profile,
        "EMAIL": tenant.email,
    }


def pod_defaults(settings: Settings, tenant: Tenant) -> list[Object]:
    return manifests.read(manifests.K8S / "tenant" / "poddefaults.yaml", placeholders(settings, tenant))


def mlflow(settings: Settings, tenant: Tenant) -> list[Object]:
    return manifests.read(manifests.K8S / "tenant" / "mlflow.yaml", placeholders(settings, tenant))


def database(tenant: Tenant) -> str:
    """The name of a tenant's database and of the user that owns it."""
    return f"mlflow_{tenant.user}"


def aws_secret(namespace: str, keys: Keys) -> Object:
    return secret(
        "aws-credentials", namespace, {"AWS_ACCESS_KEY_ID": keys.access_key_id, "AWS_SECRET_ACCESS_KEY": keys.secret}
    )


def database_secret(namespace: str, name: str, password: str) -> Object:
    return secret(
        "mlflow-database",
        namespace,
        {"uri": f"postgresql+pg8000://{name}:{quote(password, safe='')}@{POSTGRES}/{name}"},
    )


def secret(name: str, namespace: str, values: Mapping[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "Opaque",
        "data": {key: b64encode(value.encode()).decode() for key, value in values.items()},
    }
