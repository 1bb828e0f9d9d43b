"""What the lab puts on a cluster beside its own namespaces' contents: what must not be there before, and what goes at the end.

Everything else lies in a namespace of this list and goes with it. Pure but for reading manifests.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lab.kube import Object, manifests
from lab.messages import t
from lab.settings import Settings

_CLUSTER_SCOPED = {
    "Namespace",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "PersistentVolume",
    "StorageClass",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
    "Profile",
}
_LAST = ("Namespace", "PersistentVolume", "CustomResourceDefinition")


@dataclass(frozen=True, order=True)
class Ref:
    """An object by its name."""

    api_version: str
    kind: str
    name: str
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + (t(" in {namespace}", namespace=self.namespace) if self.namespace else "")


def footprint(settings: Settings) -> list[Ref]:
    """For every tenant of the settings, started or not."""
    from lab.tenancy import tenants

    shared = _shared()
    namespaces = {item["metadata"]["name"] for item in shared if item["kind"] == "Namespace"}
    refs = [_ref(item) for item in shared if _counts(item, namespaces)]
    for tenant in settings.people:
        refs.append(Ref("v1", "Namespace", tenant.namespace))
        refs += [_ref(item) for item in (tenants.profile(tenant), *tenants.own_rights(tenant))]
    return sorted(set(refs))


def ordered(refs: Iterable[Ref]) -> list[list[Ref]]:
    """In groups, in the order to delete them: Profiles while their operator runs, definitions when nothing of their kind is left."""
    known = list(refs)
    others = [ref for ref in known if ref.kind not in ("Profile", *_LAST)]
    groups = {kind: [ref for ref in known if ref.kind == kind] for kind in ("Profile", *_LAST)}
    return [group for group in (groups["Profile"], others, *(groups[kind] for kind in _LAST)) if group]


def _shared() -> Sequence[Object]:
    k8s = manifests.K8S
    return [
        *manifests.read(k8s / "01-namespaces.yaml"),
        *manifests.read(k8s / "system.yaml", {"AWS_ADDRESS": "", "AWS_PORT": "1"}),
        *manifests.read(k8s / "postgres.yaml"),
        *manifests.read(k8s / "02-storage.yaml"),
        *manifests.read(k8s / "kubeflow"),
    ]


def _counts(item: Object, namespaces: set[str]) -> bool:
    return item["kind"] in _CLUSTER_SCOPED or item["metadata"].get("namespace", "default") not in namespaces


def _ref(item: Object) -> Ref:
    namespace = "" if item["kind"] in _CLUSTER_SCOPED else item["metadata"].get("namespace", "default")
    return Ref(item["apiVersion"], item["kind"], item["metadata"]["name"], namespace)
