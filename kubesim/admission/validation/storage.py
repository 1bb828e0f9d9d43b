"""PersistentVolumes, PersistentVolumeClaims and StorageClasses."""

from __future__ import annotations

from kubesim import quantity
from kubesim.admission.validation import meta, names, resources
from kubesim.admission.validation.fields import Problems, difference
from kubesim.resources import Object

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")
RECLAIM = ("Delete", "Recycle", "Retain")
BINDING = ("Immediate", "WaitForFirstConsumer")
NOT_SOURCES = frozenset(
    {
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "nodeAffinity",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeAttributesClassName",
        "volumeMode",
    }
)
FROZEN = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"


def _modes(problems: Problems, spec: Object, path: str) -> None:
    modes = spec.get("accessModes") or ()
    if not modes:
        problems.required(f"{path}.accessModes", "at least 1 access mode is required")
    for mode in modes:
        if mode not in ACCESS_MODES:
            problems.unsupported(f"{path}.accessModes", mode, ACCESS_MODES)
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        problems.forbidden(f"{path}.accessModes", "may not use ReadWriteOncePod with other access modes")
    if spec.get("volumeMode") not in (None, *VOLUME_MODES):
        problems.unsupported(f"{path}.volumeMode", spec["volumeMode"], VOLUME_MODES)


def claim(problems: Problems, obj: Object) -> None:
    claim_spec(problems, obj.get("spec") or {}, "spec")


def claim_spec(problems: Problems, spec: Object, path: str) -> None:
    _modes(problems, spec, path)
    meta.selector(problems, spec.get("selector"), f"{path}.selector")
    storage = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if storage is None:
        problems.required(f"{path}.resources[storage]")
    elif quantity.parse(storage) <= 0:
        problems.invalid(f"{path}.resources[storage]", storage, "must be greater than zero")
    if spec.get("storageClassName"):
        for message in names.subdomain(spec["storageClassName"]):
            problems.invalid(f"{path}.storageClassName", spec["storageClassName"], message)


def claim_update(problems: Problems, obj: Object, old: Object) -> None:
    claim(problems, obj)
    spec, was = obj.get("spec") or {}, old.get("spec") or {}
    fixed = dict(spec)
    if not was.get("volumeName"):
        fixed.pop("volumeName", None)
    bound = (old.get("status") or {}).get("phase") == "Bound"
    if bound and "resources" in fixed:
        _growth(problems, spec, was)
        fixed["resources"] = was.get("resources")
    if fixed != {key: value for key, value in was.items() if key != "volumeName" or was.get("volumeName")}:
        problems.forbidden("spec", f"{FROZEN}\n{difference(was, spec)}")


def _growth(problems: Problems, spec: Object, was: Object) -> None:
    new, before = ((each.get("resources") or {}).get("requests", {}).get("storage", "0") for each in (spec, was))
    if quantity.parse(new) < quantity.parse(before):
        problems.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")


def volume(problems: Problems, obj: Object) -> None:
    spec = obj.get("spec") or {}
    _modes(problems, spec, "spec")
    capacity = spec.get("capacity") or {}
    if not capacity:
        problems.required("spec.capacity")
    elif "storage" not in capacity or len(capacity) > 1:
        problems.unsupported("spec.capacity", capacity, ["storage"])
    for name, amount in capacity.items():
        if resources.not_negative(problems, f"spec.capacity[{name}]", amount) and quantity.parse(amount) == 0:
            problems.invalid(f"spec.capacity[{name}]", amount, "must be greater than zero")
    if spec.get("persistentVolumeReclaimPolicy") not in (None, *RECLAIM):
        problems.unsupported("spec.persistentVolumeReclaimPolicy", spec["persistentVolumeReclaimPolicy"], RECLAIM)
    _source(problems, spec)


def _source(problems: Problems, spec: Object) -> None:
    sources = [key for key in spec if key not in NOT_SOURCES and spec[key] is not None]
    if not sources:
        problems.required("spec", "must specify a volume type")
    for extra in sources[1:]:
        problems.forbidden(f"spec.{extra}", "may not specify more than 1 volume type")
    host = spec.get("hostPath")
    if host is not None:
        if not host.get("path"):
            problems.required("spec.hostPath.path")
        elif ".." in host["path"].split("/"):
            problems.invalid("spec.hostPath.path", host["path"], "must not contain '..'")
        if (host.get("path") or "") == "/" and spec.get("persistentVolumeReclaimPolicy") == "Recycle":
            problems.forbidden("spec.persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'")


def volume_update(problems: Problems, obj: Object, old: Object) -> None:
    volume(problems, obj)
    spec, was = obj.get("spec") or {}, old.get("spec") or {}
    sources = {key for key in (*spec, *was) if key not in NOT_SOURCES}
    if {key: spec.get(key) for key in sources} != {key: was.get(key) for key in sources}:
        problems.forbidden("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation")
    problems.immutable("spec.volumeMode", spec.get("volumeMode"), was.get("volumeMode"))
    if was.get("nodeAffinity") is not None:
        problems.immutable("spec.nodeAffinity", spec.get("nodeAffinity"), was.get("nodeAffinity"))


def storage_class(problems: Problems, obj: Object) -> None:
    if not obj.get("provisioner"):
        problems.required("provisioner")
    else:
        for message in names.qualified(obj["provisioner"].lower()):
            problems.invalid("provisioner", obj["provisioner"], message)
    if obj.get("reclaimPolicy") and obj["reclaimPolicy"] not in ("Delete", "Retain"):
        problems.unsupported("reclaimPolicy", obj["reclaimPolicy"], ["Delete", "Retain"])
    mode = obj.get("volumeBindingMode")
    if not mode:
        problems.required("volumeBindingMode")
    elif mode not in BINDING:
        problems.unsupported("volumeBindingMode", mode, BINDING)


def storage_class_update(problems: Problems, obj: Object, old: Object) -> None:
    storage_class(problems, obj)
    if (obj.get("parameters") or {}) != (old.get("parameters") or {}):
        problems.forbidden("parameters", "updates to parameters are forbidden.")
    if obj.get("provisioner") != old.get("provisioner"):
        problems.forbidden("provisioner", "updates to provisioner are forbidden.")
    if obj.get("reclaimPolicy") != old.get("reclaimPolicy"):
        problems.forbidden("reclaimPolicy", "updates to reclaimPolicy are forbidden.")
    if obj.get("volumeBindingMode") != old.get("volumeBindingMode"):
        problems.invalid("volumeBindingMode", obj.get("volumeBindingMode"), "field is immutable")
