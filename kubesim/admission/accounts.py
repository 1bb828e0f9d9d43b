"""ServiceAccount: every pod runs as a service account that exists, and finds its token where clients look for it."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

from kubesim.admission.request import AdmissionRequest, Plugin
from kubesim.auth.reader import Reader
from kubesim.resources import Object

PODS = "v1/pods"
SERVICE_ACCOUNTS = "v1/serviceaccounts"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME_PREFIX = "kube-api-access-"
MIRROR = "kubernetes.io/config.mirror"
TOKEN_SECONDS = 3607
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""What Kubernetes makes name suffixes of: no vowels, nothing that looks like something else."""
_PATIENCE = 1.0
"""Seconds a pod waits for its namespace's default service account, which a controller makes a moment after the namespace."""


class ServiceAccount(Plugin):
    kinds = (PODS,)

    def mutate(self, request: AdmissionRequest, reader: Reader) -> None:
        if not request.creates(PODS) or _is_mirror(request.body):
            return
        spec = request.body.setdefault("spec", {})
        spec["serviceAccountName"] = spec["serviceAccount"] = account_name(request.body)
        account = _account(request, reader)
        if _automounts(spec, account):
            _mount(spec)
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [dict(secret) for secret in account["imagePullSecrets"]]

    def validate(self, request: AdmissionRequest, reader: Reader) -> None:
        if request.creates(PODS) and not _is_mirror(request.body):
            _account(request, reader)


async def patience(request: AdmissionRequest, reader: Reader) -> None:
    """Give the controller a moment to make the default service account of a namespace that is new."""
    if not request.creates(PODS) or account_name(request.body) != "default" or _is_mirror(request.body):
        return
    deadline = asyncio.get_running_loop().time() + _PATIENCE
    while reader.get(SERVICE_ACCOUNTS, request.namespace, "default") is None:
        if asyncio.get_running_loop().time() >= deadline:
            return
        await asyncio.sleep(0.01)


def account_name(pod: Object) -> str:
    spec = pod.get("spec") or {}
    return str(spec.get("serviceAccountName") or spec.get("serviceAccount") or "default")


def _account(request: AdmissionRequest, reader: Reader) -> Object:
    name = account_name(request.body)
    account = reader.get(SERVICE_ACCOUNTS, request.namespace, name)
    if account is None:
        where = f"{request.namespace}/{name}"
        raise request.forbid(f'error looking up service account {where}: serviceaccount "{name}" not found')
    return account


def _is_mirror(pod: Object) -> bool:
    return MIRROR in (pod["metadata"].get("annotations") or {})


def _automounts(spec: dict[str, Any], account: Object) -> bool:
    for holder in (spec, account):
        if holder.get("automountServiceAccountToken") is not None:
            return bool(holder["automountServiceAccountToken"])
    return True


def _mount(spec: dict[str, Any]) -> None:
    """Mount the token into each container that has nothing at that path; one volume serves all."""
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    bare = [one for one in containers if all(m.get("mountPath") != MOUNT_PATH for m in one.get("volumeMounts") or ())]
    if not bare:
        return
    volumes = spec["volumes"] = list(spec.get("volumes") or ())
    name = next((v["name"] for v in volumes if str(v.get("name", "")).startswith(VOLUME_PREFIX)), "")
    if not name:
        name = VOLUME_PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(5))
        volumes.append(token_volume(name))
    for container in bare:
        mount = {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}
        container["volumeMounts"] = [*(container.get("volumeMounts") or ()), mount]


def token_volume(name: str) -> Object:
    """The projected volume: a token that is renewed, the cluster's CA, the namespace."""
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return {
        "name": name,
        "projected": {
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [namespace]}},
            ],
            "defaultMode": 420,
        },
    }
