"""What the server owns of an object, kind by kind: Kubernetes's REST strategies. Pure."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta
from typing import Any

from kubesim.api.request import Options
from kubesim.errors import BadRequest
from kubesim.resources import Object, Resource

SERVER_METADATA = ("uid", "creationTimestamp", "resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink")
KEPT_METADATA = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "namespace", "name", "generateName")

NO_GENERATION = frozenset({"v1/namespaces", "v1/nodes", "v1/services", "v1/persistentvolumes", "v1/persistentvolumeclaims", "v1/resourcequotas",
                           "autoscaling/v1/horizontalpodautoscalers", "autoscaling/v2/horizontalpodautoscalers", "certificates.k8s.io/v1/certificatesigningrequests", "storage.k8s.io/v1/volumeattachments", "apiregistration.k8s.io/v1/apiservices"})
WITH_GENERATION = frozenset({"networking.k8s.io/v1/networkpolicies", "networking.k8s.io/v1/ingressclasses", "scheduling.k8s.io/v1/priorityclasses",
    *(f"admissionregistration.k8s.io/v1/{plural}" for plural in ("mutatingadmissionpolicies", "mutatingadmissionpolicybindings", "mutatingwebhookconfigurations", "validatingadmissionpolicybindings", "validatingwebhookconfigurations")), "discovery.k8s.io/v1/endpointslices"})
KEEPS_STATUS_ON_CREATE = frozenset({"v1/nodes", "v1/persistentvolumeclaims"})
FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


def has_generation(resource: Resource) -> bool:
    if resource.custom or resource.key in WITH_GENERATION:
        return True
    return resource.has("status") and resource.key not in NO_GENERATION


def create_on_update(resource: Resource) -> bool:
    """Whether a PUT of a name that is not there makes it."""
    return resource.key in {"v1/configmaps", "v1/endpoints", "v1/events", "v1/limitranges", "v1/secrets", "v1/services", "coordination.k8s.io/v1/leases",
                            "rbac.authorization.k8s.io/v1/roles", "rbac.authorization.k8s.io/v1/rolebindings", "rbac.authorization.k8s.io/v1/clusterroles",
                            "rbac.authorization.k8s.io/v1/clusterrolebindings", "events.k8s.io/v1/events", "v1/resourcequotas"} and False or resource.key in {"v1/events", "v1/endpoints", "coordination.k8s.io/v1/leases", "v1/services", "v1/limitranges", "events.k8s.io/v1/events", "rbac.authorization.k8s.io/v1/roles", "rbac.authorization.k8s.io/v1/rolebindings", "rbac.authorization.k8s.io/v1/clusterroles", "rbac.authorization.k8s.io/v1/clusterrolebindings"}


def check_type(resource: Resource, body: Object) -> None:
    kind, version = body.get("kind", resource.kind), body.get("apiVersion", resource.api_version)
    if kind == resource.kind and version == resource.api_version:
        return
    if kind != resource.kind and version == resource.api_version:
        raise BadRequest(
            f'{kind} in version "{resource.version}" cannot be handled as a {resource.kind}: converting (v1.{kind}) to (core.{resource.kind}): '
            "unknown conversion"
        )
    raise BadRequest(f"the API version in the data ({version}) does not match the expected API version ({resource.api_version})")


def prepare_create(resource: Resource, obj: Object) -> None:
    if resource.has("status") and resource.key not in KEEPS_STATUS_ON_CREATE:
        obj.pop("status", None)
    if has_generation(resource):
        obj["metadata"]["generation"] = 1
    if resource.key == "v1/namespaces":
        finalizers = obj.setdefault("spec", {}).setdefault("finalizers", [])
        if "kubernetes" not in finalizers:
            finalizers.append("kubernetes")
        obj["status"] = {"phase": "Active"}
    elif resource.key == "v1/pods":
        obj["status"] = {"phase": "Pending", "qosClass": "BestEffort"}


def prepare_update(resource: Resource, obj: Object, before: Object, subresource: str) -> Object:
    """`obj` with everything a caller of this (sub)resource may not change put back as it was."""
    metadata = {key: value for key, value in (obj.get("metadata") or {}).items() if key not in KEPT_METADATA and key != "selfLink"}
    kept = {key: before["metadata"][key] for key in KEPT_METADATA if key in before["metadata"]}
    head: Object = {"kind": before["kind"], "apiVersion": resource.api_version, "metadata": kept | metadata}
    obj = head | {key: value for key, value in obj.items() if key not in head}
    obj["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"]
    if subresource == "status":
        return _only_status(obj, before, custom=resource.custom)
    if resource.has("status"):
        _put_back(obj, before, "status")
    if resource.key == "v1/namespaces" and subresource != "finalize":
        obj.setdefault("spec", {})["finalizers"] = (before.get("spec") or {}).get("finalizers", [])
    return obj


def _only_status(obj: Object, before: Object, *, custom: bool) -> Object:
    kept = copy.deepcopy(before)
    _put_back(kept, obj, "status")
    metadata = obj["metadata"]
    for key in ("managedFields", *(() if custom else ("labels", "annotations", "finalizers", "ownerReferences"))):
        if key in metadata:
            kept["metadata"][key] = metadata[key]
        else:
            kept["metadata"].pop(key, None)
    return kept


def _put_back(obj: Object, before: Object, key: str) -> None:
    if key in before:
        obj[key] = copy.deepcopy(before[key])
    else:
        obj.pop(key, None)


def generation(resource: Resource, obj: Object, before: Object) -> None:
    """Counts changes of everything but metadata and status."""
    if not has_generation(resource):
        return
    if _desired(obj) != _desired(before):
        obj["metadata"]["generation"] = before["metadata"].get("generation", 0) + 1


def _desired(obj: Object) -> Object:
    return {key: value for key, value in obj.items() if key not in ("metadata", "status", "apiVersion", "kind")}


def begin_delete(resource: Resource, obj: Object, options: Options, now: datetime) -> bool:
    """Marks `obj` as being deleted; True where nothing holds it and it can go at once."""
    metadata = obj["metadata"]
    _propagation(metadata, options.propagation)
    grace = _grace(resource, obj, options)
    if metadata.get("deletionTimestamp") is None or grace < (metadata.get("deletionGracePeriodSeconds") or 0):
        if resource.key == "v1/namespaces" or grace or metadata.get("finalizers"):
            metadata["deletionTimestamp"] = _stamp(now + timedelta(seconds=grace))
            metadata["deletionGracePeriodSeconds"] = grace
            if resource.key == "v1/namespaces":
                metadata.pop("deletionGracePeriodSeconds")
                obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
            elif has_generation(resource) and "generation" in metadata:
                metadata["generation"] += 1
    held = metadata.get("finalizers") or (resource.key == "v1/namespaces" and obj.get("spec", {}).get("finalizers"))
    return not held and grace == 0


def _propagation(metadata: dict[str, Any], policy: str) -> None:
    finalizers = [each for each in metadata.get("finalizers") or () if each not in (FOREGROUND, ORPHAN)] if policy else list(metadata.get("finalizers") or ())
    if policy == "Foreground":
        finalizers.append(FOREGROUND)
    elif policy == "Orphan":
        finalizers.append(ORPHAN)
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)


def _grace(resource: Resource, obj: Object, options: Options) -> int:
    """Only pods end gracefully; one that no node runs goes at once."""
    if resource.key != "v1/pods":
        return 0
    if not (obj.get("spec") or {}).get("nodeName") or (obj.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    wanted = options.grace_seconds
    if wanted is None:
        wanted = obj["metadata"].get("deletionGracePeriodSeconds")
    if wanted is None:
        wanted = (obj.get("spec") or {}).get("terminationGracePeriodSeconds", 30)
    wanted = int(wanted)
    return max(wanted, 1) if wanted < 0 else wanted


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
