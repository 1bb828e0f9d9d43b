"""A chain over a store in memory, with a namespace to write into."""

from __future__ import annotations

import copy
from typing import Any

from kubesim.admission.chain import Chain
from kubesim.admission.request import AdmissionRequest, Operation
from kubesim.auth.rbac import Authorizer
from kubesim.auth.user import SYSTEM, User
from kubesim.resources import Object, Resource
from tests.kubesim.auth.memory import Memory

RESOURCES = {
    one.plural: one
    for one in (
        Resource("", "v1", "pods", "Pod"),
        Resource("", "v1", "services", "Service"),
        Resource("", "v1", "configmaps", "ConfigMap"),
        Resource("", "v1", "namespaces", "Namespace", namespaced=False),
        Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim"),
        Resource("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False),
        Resource("apps", "v1", "deployments", "Deployment"),
        Resource("networking.k8s.io", "v1", "ingresses", "Ingress"),
        Resource("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", namespaced=False),
        Resource("rbac.authorization.k8s.io", "v1", "roles", "Role"),
        Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False),
        Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding"),
        Resource("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
        Resource(
            "certificates.k8s.io", "v1", "certificatesigningrequests", "CertificateSigningRequest", namespaced=False
        ),
        Resource("kubeflow.org", "v1beta1", "profiles", "Profile", namespaced=False, custom=True),
        Resource("admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration"),
    )
}


class World:
    """Namespace `n` with its default service account; `create` and the rest take an object the whole way into the store."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.authorizer = Authorizer(self.memory)
        self.chain = Chain(self.authorizer)
        self.memory.put(
            "v1/namespaces", {"metadata": {"name": "n", "labels": {"team": "a"}}, "status": {"phase": "Active"}}
        )
        self.memory.put("v1/serviceaccounts", {"metadata": {"name": "default", "namespace": "n"}})
        self.warnings: list[str] = []

    async def create(self, plural: str, obj: Object, *, user: User = SYSTEM, **more: Any) -> Object:
        return await self._write("CREATE", plural, obj, None, user, more)

    async def update(self, plural: str, obj: Object, *, user: User = SYSTEM, **more: Any) -> Object:
        resource = RESOURCES[plural]
        old = self.memory.get(resource.key, "n" if resource.namespaced else "", obj["metadata"]["name"])
        return await self._write("UPDATE", plural, obj, old, user, more)

    async def delete(self, plural: str, name: str, *, user: User = SYSTEM) -> None:
        resource = RESOURCES[plural]
        namespace = "n" if resource.namespaced else ""
        old = self.memory.get(resource.key, namespace, name)
        await self._admit(AdmissionRequest(resource, "DELETE", user, namespace, name, old=old))
        self.memory.drop(resource.key, namespace, name)

    async def _write(
        self, operation: Operation, plural: str, obj: Object, old: Object | None, user: User, more: dict[str, Any]
    ) -> Object:
        resource = RESOURCES[plural]
        namespace = more.pop("namespace", "n") if resource.namespaced else ""
        obj = copy.deepcopy(obj)
        obj["metadata"] |= {"namespace": namespace} if namespace else {}
        name = obj["metadata"]["name"]
        request = AdmissionRequest(resource, operation, user, namespace, name, obj=obj, old=old, **more)
        await self._admit(request)
        assert request.obj is not None
        return request.obj if request.dry_run else self.memory.put(resource.key, request.obj)

    async def _admit(self, request: AdmissionRequest) -> None:
        await self.chain.mutate(request, self.memory)
        await self.chain.validate_webhooks(request, self.memory)
        self.chain.validate_final(request, self.memory)
        self.warnings = request.warnings


def pod(name: str, **resources: dict[str, str]) -> Object:
    """A pod of one container `main`, with requests= and limits=."""
    container: Object = {"name": "main", "image": "lab/busybox:1"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [container | ({"resources": resources} if resources else {})]},
    }


def both(cpu: str, memory: str) -> dict[str, dict[str, str]]:
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu, "memory": memory}}


def config_map(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


def quota(name: str, hard: dict[str, str], **spec: Any) -> Object:
    return {"metadata": {"name": name, "namespace": "n"}, "spec": {"hard": hard, **spec}}
