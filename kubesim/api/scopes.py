"""Which objects a list, a watch or a deletecollection is about."""

from __future__ import annotations

from kubesim.api.request import Request
from kubesim.api.watching import Scope
from kubesim.errors import BadRequest
from kubesim.resources import Resource
from kubesim.selectors import FieldSelector, parse_fields, parse_labels

_EVENT = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
FIELDS: dict[str, tuple[str, ...]] = {
    "v1/events": (*(f"involvedObject.{part}" for part in _EVENT), "reason", "reportingComponent", "source", "type"),
    "v1/namespaces": ("status.phase",),
    "v1/nodes": ("spec.unschedulable",),
    "v1/pods": (
        "spec.hostNetwork",
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.nominatedNodeName",
        "status.phase",
        "status.podIP",
        "status.podIPs",
    ),
    "v1/replicationcontrollers": ("status.replicas",),
    "v1/secrets": ("type",),
    "v1/services": ("spec.clusterIP", "spec.type"),
    "apps/v1/replicasets": ("status.replicas",),
    "batch/v1/jobs": ("status.successful",),
    "certificates.k8s.io/v1/certificatesigningrequests": ("spec.signerName",),
    "events.k8s.io/v1/events": (*(f"regarding.{part}" for part in _EVENT), "reason", "reportingController", "type"),
}
"""What field selectors may ask for, beside a name and a namespace."""

DEFAULTS = {"spec.unschedulable": "false", "spec.hostNetwork": "false"}


def scope(request: Request, resource: Resource) -> Scope:
    info, query = request.info, request.query
    labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
    return narrowed(resource, info.namespace if resource.namespaced else "", labels, fields, name=info.name)


def narrowed(resource: Resource, namespace: str, labels: str, fields: str, *, name: str = "") -> Scope:
    """Raises BadRequest for selectors that make no sense for this kind."""
    selector = parse_fields(fields)
    check_fields(resource, selector)
    named = name or selector.exact("metadata.name") or ""
    space = namespace or selector.exact("metadata.namespace") or ""
    return Scope(resource, space, named, parse_labels(labels), selector)


def check_fields(resource: Resource, fields: FieldSelector) -> None:
    known = FIELDS.get(resource.key)
    for field in fields.fields:
        if field in ("metadata.name", "metadata.namespace"):
            continue
        if known is None:
            raise BadRequest(f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"')
        if field not in known:
            raise BadRequest(f"field label not supported: {field}")
