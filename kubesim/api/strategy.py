"""What the server owns of an object, kind by kind: Kubernetes's REST strategies. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from kubesim.admission.amounts import qos_class
from kubesim.api import services
from kubesim.api.request import Options
from kubesim.errors import ApiError, BadRequest, Cause, Invalid
from kubesim.resources import Object, Resource, clone

SERVER_METADATA = (
    "uid",
    "creationTimestamp",
    "resourceVersion",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
    "managedFields",
)
"""What a create may not bring."""

KEPT_METADATA = (
    "name",
    "generateName",
    "namespace",
    "uid",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
"""What an update may not change."""

WITHOUT_GENERATION = frozenset(
    {
        "v1/namespaces",
        "v1/nodes",
        "v1/persistentvolumeclaims",
        "v1/persistentvolumes",
        "v1/resourcequotas",
        "v1/services",
        "apiregistration.k8s.io/v1/apiservices",
        "autoscaling/v1/horizontalpodautoscalers",
        "autoscaling/v2/horizontalpodautoscalers",
        "certificates.k8s.io/v1/certificatesigningrequests",
        "networking.k8s.io/v1/servicecidrs",
        "storage.k8s.io/v1/volumeattachments",
    }
)
"""Kinds with a status whose generation Kubernetes does not count."""

WITH_GENERATION = frozenset(
    {
        "admissionregistration.k8s.io/v1/mutatingadmissionpolicies",
        "admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings",
        "admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
        "admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
        "admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
        "discovery.k8s.io/v1/endpointslices",
        "networking.k8s.io/v1/ingressclasses",
        "networking.k8s.io/v1/networkpolicies",
        "scheduling.k8s.io/v1/priorityclasses",
    }
)
"""Kinds without a status whose generation is counted all the same."""

CREATE_ON_UPDATE = frozenset(
    {
        "v1/endpoints",
        "v1/events",
        "v1/limitranges",
        "v1/services",
        "coordination.k8s.io/v1/leases",
        "events.k8s.io/v1/events",
        "rbac.authorization.k8s.io/v1/clusterrolebindings",
        "rbac.authorization.k8s.io/v1/clusterroles",
        "rbac.authorization.k8s.io/v1/rolebindings",
        "rbac.authorization.k8s.io/v1/roles",
    }
)
VERSION_REQUIRED = frozenset(
    {
        "admissionregistration.k8s.io",
        "coordination.k8s.io",
        "networking.k8s.io/ipaddresses",
        "flowcontrol.apiserver.k8s.io",
    }
)
KEEPS_STATUS = frozenset({"v1/nodes"})
"""Kinds that may be created with a status."""

STATUS_PARTS = {"approval": "status", "status": "status", "finalize": "spec"}
FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
CRD_CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
CRDS = "apiextensions.k8s.io/v1/customresourcedefinitions"


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def has_generation(resource: Resource) -> bool:
    return (
        resource.custom
        or resource.key in WITH_GENERATION
        or (resource.has("status") and resource.key not in WITHOUT_GENERATION)
    )


def create_on_update(resource: Resource) -> bool:
    """Whether a PUT of a name that is not there makes it."""
    return resource.key in CREATE_ON_UPDATE


def unconditional_update(resource: Resource) -> bool:
    """Whether a PUT may leave the resourceVersion out."""
    return not resource.custom and resource.group not in VERSION_REQUIRED


def version_required(resource: Resource, name: str) -> ApiError:
    message = "Invalid value: 0: must be specified for an update"
    return Invalid(
        f'{resource.group_resource} "{name}" is invalid: metadata.resourceVersion: {message}',
        details={"name": name, "group": resource.group, "kind": resource.plural},
        causes=[Cause("FieldValueInvalid", message, "metadata.resourceVersion")],
    )


# What comes in


def check_body(resource: Resource, body: Object, namespace: str) -> None:
    """The body's kind and namespace must be what the URL says."""
    check_type(resource, body)
    metadata = body.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise BadRequest(
            f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: metadata is no object'
        )
    if resource.namespaced and (metadata or {}).get("namespace", namespace) not in (namespace, ""):
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")


def check_type(resource: Resource, body: Object) -> None:
    kind, version = body.get("kind") or resource.kind, body.get("apiVersion") or resource.api_version
    if kind == resource.kind and version == resource.api_version:
        return
    if version != resource.api_version:
        raise BadRequest(
            f"the API version in the data ({version}) does not match the expected API version ({resource.api_version})"
        )
    what = f'{kind} in version "{resource.version}" cannot be handled as a {resource.kind}'
    raise BadRequest(f"{what}: converting (v1.{kind}) to (core.{resource.kind}): unknown conversion")


def prepare_create(resource: Resource, obj: Object) -> None:
    """What the server sets, whatever the caller or admission said."""
    if resource.has("status") and resource.key not in KEEPS_STATUS:
        obj.pop("status", None)
    if has_generation(resource):
        obj["metadata"]["generation"] = 1
    if resource.key == "v1/namespaces":
        spec = obj.setdefault("spec", {})
        spec["finalizers"] = list(dict.fromkeys([*(spec.get("finalizers") or ()), "kubernetes"]))
        obj["status"] = {"phase": "Active"}
    elif resource.key == "v1/pods":
        obj["status"] = {"phase": "Pending", "qosClass": qos_class(obj)}
    elif resource.key == "v1/persistentvolumes":
        obj["status"] = {"phase": "Pending", "lastPhaseTransitionTime": obj["metadata"]["creationTimestamp"]}
    elif resource.key == "batch/v1/jobs":
        _own_pods(obj)
    if resource.key in _EMPTY_STATUS:
        obj["status"] = clone(_EMPTY_STATUS[resource.key])


def _own_pods(job: Object) -> None:
    """A Job finds its pods by its uid, unless it was told to use a selector of its own."""
    # Validation comes after this: what it will refuse may be missing still.
    spec, metadata = job.setdefault("spec", {}), job["metadata"]
    name = metadata.get("name", "")
    labels = {"batch.kubernetes.io/job-name": name, "job-name": name}
    if not spec.get("manualSelector"):
        uid = {"batch.kubernetes.io/controller-uid": metadata["uid"]}
        spec.setdefault("selector", {"matchLabels": uid})
        labels = uid | {"controller-uid": metadata["uid"]} | labels
    template = spec.setdefault("template", {}).setdefault("metadata", {})
    template["labels"] = (template.get("labels") or {}) | labels
    metadata.setdefault("labels", template["labels"])


_EMPTY_STATUS: dict[str, Object] = {
    "apps/v1/deployments": {},
    "apps/v1/replicasets": {"replicas": 0},
    "apps/v1/statefulsets": {"replicas": 0, "availableReplicas": 0},
    "apps/v1/daemonsets": {
        "currentNumberScheduled": 0,
        "numberMisscheduled": 0,
        "desiredNumberScheduled": 0,
        "numberReady": 0,
    },
    "v1/replicationcontrollers": {"replicas": 0},
    "v1/services": {"loadBalancer": {}},
    "v1/persistentvolumeclaims": {"phase": "Pending"},
    "v1/resourcequotas": {},
    "batch/v1/jobs": {},
    "batch/v1/cronjobs": {},
    "autoscaling/v2/horizontalpodautoscalers": {"desiredReplicas": 0, "currentMetrics": None},
    "autoscaling/v1/horizontalpodautoscalers": {"desiredReplicas": 0, "currentMetrics": None},
    "networking.k8s.io/v1/ingresses": {"loadBalancer": {}},
    "policy/v1/poddisruptionbudgets": {
        "disruptionsAllowed": 0,
        "currentHealthy": 0,
        "desiredHealthy": 0,
        "expectedPods": 0,
    },
    "certificates.k8s.io/v1/certificatesigningrequests": {},
}
"""How an empty status of Kubernetes's types prints."""


# What changes


def prepare_update(resource: Resource, obj: Object, before: Object, subresource: str) -> Object:
    """`obj` with everything a caller of this (sub)resource may not change put back as it was."""
    sent = obj.get("metadata") or {}
    kept = {key: before["metadata"][key] for key in KEPT_METADATA if key in before["metadata"]}
    metadata = kept | {key: value for key, value in sent.items() if key not in KEPT_METADATA and key != "selfLink"}
    metadata["resourceVersion"] = before["metadata"]["resourceVersion"]
    head: Object = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
    obj = head | {key: value for key, value in obj.items() if key not in head}
    if subresource == "resize":
        return _resized(obj, before)
    if subresource in STATUS_PARTS:
        return _only(STATUS_PARTS[subresource], obj, before, custom=resource.custom)
    if resource.has("status") and subresource != "binding":
        _take(obj, before, "status")
    if resource.key == "v1/services" and isinstance(obj.get("spec"), dict):
        services.keep(obj["spec"], before["spec"])
    if resource.key == "v1/namespaces":
        obj.setdefault("spec", {})["finalizers"] = list((before.get("spec") or {}).get("finalizers") or ())
    return obj


def _resized(obj: Object, before: Object) -> Object:
    """`before` with the resources of `obj`'s containers: a resize changes nothing else, whatever it says."""
    kept = clone(before)
    _take(kept["metadata"], obj["metadata"], "managedFields")
    for kind in ("containers", "initContainers"):
        wanted = {each.get("name"): each for each in (obj.get("spec") or {}).get(kind) or ()}
        for container in kept["spec"].get(kind) or ():
            for field in ("resources", "resizePolicy"):
                _take(container, wanted.get(container["name"], container), field)
    return kept


def _only(part: str, obj: Object, before: Object, *, custom: bool) -> Object:
    """`before` with one part of `obj`, and with what of its metadata such a view may change."""
    kept = clone(before)
    _take(kept, obj, part)
    writable = (
        ("managedFields",) if custom else ("managedFields", "labels", "annotations", "finalizers", "ownerReferences")
    )
    for key in writable:
        if key in obj["metadata"]:
            kept["metadata"][key] = obj["metadata"][key]
        else:
            kept["metadata"].pop(key, None)
    return kept


def _take(obj: Object, source: Object, key: str) -> None:
    if key in source:
        obj[key] = clone(source[key])
    else:
        obj.pop(key, None)


def complete_update(resource: Resource, obj: Object, before: Object) -> None:
    """Counts a change of what is desired: everything but metadata and status."""
    if has_generation(resource) and _desired(obj) != _desired(before):
        obj["metadata"]["generation"] = before["metadata"].get("generation", 0) + 1


def _desired(obj: Object) -> Object:
    return {key: value for key, value in obj.items() if key not in ("metadata", "status", "apiVersion", "kind")}


# What goes


def begin_delete(resource: Resource, obj: Object, options: Options, now: datetime) -> bool:
    """Marks `obj` as being deleted; True where nothing holds it and it can go at once."""
    metadata = obj["metadata"]
    _propagate(metadata, options.propagation)
    if resource.key == CRDS:
        metadata["finalizers"] = list(dict.fromkeys([*(metadata.get("finalizers") or ()), CRD_CLEANUP]))
    grace = _grace(resource, obj, options)
    spec_finalizers = resource.key == "v1/namespaces" and bool((obj.get("spec") or {}).get("finalizers"))
    held = bool(metadata.get("finalizers")) or spec_finalizers
    gone = not held and grace == 0
    if gone and resource.key != "v1/pods":
        return True
    if "deletionTimestamp" not in metadata:
        _mark(resource, obj, now, grace)
    elif grace < metadata.get("deletionGracePeriodSeconds", 0):
        metadata["deletionTimestamp"], metadata["deletionGracePeriodSeconds"] = (
            stamp(now + timedelta(seconds=grace)),
            grace,
        )
    return gone


def _mark(resource: Resource, obj: Object, now: datetime, grace: int) -> None:
    metadata = obj["metadata"]
    metadata["deletionTimestamp"] = stamp(now + timedelta(seconds=grace))
    if resource.key == "v1/namespaces":
        obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
        return
    if resource.key != CRDS:
        metadata["deletionGracePeriodSeconds"] = grace
    if "generation" in metadata and resource.key != CRDS:
        metadata["generation"] += 1


def _propagate(metadata: dict[str, Any], policy: str) -> None:
    """Foreground and Orphan are finalizers that the garbage collector takes off; Background takes none."""
    if not policy:
        return
    finalizers = [each for each in metadata.get("finalizers") or () if each not in (FOREGROUND, ORPHAN)]
    finalizers += {"Foreground": [FOREGROUND], "Orphan": [ORPHAN]}.get(policy, [])
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)


def _grace(resource: Resource, obj: Object, options: Options) -> int:
    """Only pods end gracefully; one that no node runs, or that has ended, goes at once."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    if resource.key != "v1/pods" or not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
        return 0
    current = obj["metadata"].get("deletionGracePeriodSeconds")
    wanted = options.grace_seconds
    if wanted is None:
        wanted = spec.get("terminationGracePeriodSeconds", 30) if current is None else current
    wanted = 1 if wanted < 0 else wanted
    return int(wanted if current is None else min(wanted, current))
