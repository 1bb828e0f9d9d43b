"""AdmissionReview in, AdmissionReview out. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

from kubeflow_lite.objects import Object
from kubeflow_lite.poddefaults.applying import Refusal, apply, excluded, matching


def new_pod(request: Object) -> bool:
    """Whether this request creates a pod itself, not one of its subresources (binding, eviction)."""
    kind = request.get("resource") or {}
    is_pod = (kind.get("group"), kind.get("resource")) == ("", "pods") and not request.get("subResource")
    return is_pod and request.get("operation") == "CREATE"


def wants(request: Object) -> bool:
    """Whether PodDefaults may change what this request creates."""
    return new_pod(request) and not excluded(request["object"])


def answer(request: Object, defaults: Sequence[Object]) -> Object:
    """The response for one pod, given every PodDefault of its namespace."""
    pod = request["object"]
    changed = apply(pod, matching(pod, request["namespace"], defaults))
    if isinstance(changed, Refusal):
        return refuse(request, changed.message)
    patch = difference(pod, changed)
    return allow(request) if not patch else allow(request) | {"patchType": "JSONPatch", "patch": _encoded(patch)}


def allow(request: Object) -> Object:
    return {"uid": request["uid"], "allowed": True}


def refuse(request: Object, message: str, *, code: int = 403) -> Object:
    return {"uid": request["uid"], "allowed": False, "status": {"code": code, "message": message}}


def review(response: Object) -> Object:
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}


def difference(before: Object, after: Object) -> list[Object]:
    """A JSON patch of whole fields of metadata and spec (`add` of a member that is there replaces it)."""
    return [
        {"op": "add", "path": f"/{part}/{field}", "value": value}
        for part in ("metadata", "spec")
        for field, value in after[part].items()
        if before[part].get(field) != value
    ]


def _encoded(patch: list[Object]) -> str:
    return base64.b64encode(json.dumps(patch).encode()).decode()
