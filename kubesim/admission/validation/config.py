"""ConfigMaps, Secrets, Namespaces, ServiceAccounts, ResourceQuotas, LimitRanges, Events, Nodes."""

from __future__ import annotations

import base64
import json

from kubesim import quantity
from kubesim.admission.validation import names, pods, resources
from kubesim.admission.validation.fields import Problems
from kubesim.resources import Object

MAX_SIZE = 1024 * 1024
IMMUTABLE = "field is immutable when `immutable` is set"


def config_map(problems: Problems, obj: Object) -> None:
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    for key in data:
        for message in names.config_key(key):
            problems.invalid(f"data[{key}]", key, message)
        if key in binary:
            problems.invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
    for key in binary:
        for message in names.config_key(key):
            problems.invalid(f"binaryData[{key}]", key, message)
    if sum(map(_size, data.values())) + sum(_decoded(value) for value in binary.values()) > MAX_SIZE:
        problems.too_long("[]", MAX_SIZE)


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _decoded(text: str) -> int:
    return len(text) // 4 * 3 - text[-2:].count("=")


def config_map_update(problems: Problems, obj: Object, old: Object) -> None:
    if old.get("immutable"):
        if not obj.get("immutable"):
            problems.forbidden("immutable", IMMUTABLE)
        for field in ("data", "binaryData"):
            if (obj.get(field) or {}) != (old.get(field) or {}):
                problems.forbidden(field, IMMUTABLE)
    config_map(problems, obj)


SECRET_KEYS = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
"""What a Secret of a type must hold."""

ACCOUNT = "kubernetes.io/service-account.name"


def secret(problems: Problems, obj: Object) -> None:
    data, kind = obj.get("data") or {}, obj.get("type") or ""
    for key in data:
        for message in names.config_key(key):
            problems.invalid(f"data[{key}]", key, message)
    if sum(map(_decoded, data.values())) > MAX_SIZE:
        problems.too_long("data", MAX_SIZE)
    if kind == "kubernetes.io/service-account-token" and not (obj["metadata"].get("annotations") or {}).get(ACCOUNT):
        problems.required(f"metadata.annotations[{ACCOUNT}]")
    for key in SECRET_KEYS.get(kind, ()):
        if key not in data:
            problems.required(f"data[{key}]")
        elif kind.startswith("kubernetes.io/docker") and not _is_json(data[key]):
            problems.invalid(f"data[{key}]", "<secret contents redacted>", "invalid character")
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & data.keys():
        problems.required("data[username]")
        problems.required("data[password]")


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(base64.b64decode(text)), dict)
    except ValueError:
        return False


def secret_update(problems: Problems, obj: Object, old: Object) -> None:
    problems.immutable("type", obj.get("type"), old.get("type"))
    if old.get("immutable"):
        if not obj.get("immutable"):
            problems.forbidden("immutable", IMMUTABLE)
        if (obj.get("data") or {}) != (old.get("data") or {}):
            problems.forbidden("data", IMMUTABLE)
    secret(problems, obj)


def namespace(problems: Problems, obj: Object) -> None:
    for at, finalizer in enumerate((obj.get("spec") or {}).get("finalizers") or ()):
        for message in names.qualified(finalizer):
            problems.invalid(f"spec.finalizers[{at}]", finalizer, message)


def namespace_update(problems: Problems, obj: Object, old: Object) -> None:
    name = obj["metadata"].get("name")
    label = (obj["metadata"].get("labels") or {}).get("kubernetes.io/metadata.name")
    if label != name:
        problems.invalid("metadata.labels[kubernetes.io/metadata.name]", label, f"must equal {name}")


HARD_PREFIXES = ("requests.", "limits.", "count/", "hugepages-")
SCOPES = (
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
)


def resource_quota(problems: Problems, obj: Object) -> None:
    spec = obj.get("spec") or {}
    for name, amount in (spec.get("hard") or {}).items():
        here = f"spec.hard[{name}]"
        _quota_name(problems, name, here)
        if (
            resources.not_negative(problems, here, amount)
            and name in resources.INTEGERS
            and quantity.parse(amount).denominator != 1
        ):
            problems.invalid(here, amount, "must be an integer")
    for scope in spec.get("scopes") or ():
        if scope not in SCOPES:
            problems.invalid("spec.scopes", spec["scopes"], "unsupported scope")


def _quota_name(problems: Problems, name: str, path: str) -> None:
    found = names.qualified(name)
    for message in found:
        problems.invalid(path, name, message)
    if not found and "/" not in name and name not in resources.STANDARD and not name.startswith(HARD_PREFIXES):
        problems.invalid(path, name, "must be a standard resource type or fully qualified")
        problems.invalid(path, name, "must be a standard resource for quota")


def resource_quota_update(problems: Problems, obj: Object, old: Object) -> None:
    resource_quota(problems, obj)
    scopes, before = (obj.get("spec") or {}).get("scopes") or [], (old.get("spec") or {}).get("scopes") or []
    problems.immutable("spec.scopes", sorted(scopes), sorted(before))


LIMIT_FIELDS = ("min", "max", "default", "defaultRequest", "maxLimitRequestRatio")


def limit_range(problems: Problems, obj: Object) -> None:
    seen: set[str] = set()
    for at, item in enumerate((obj.get("spec") or {}).get("limits") or ()):
        here, kind = f"spec.limits[{at}]", item.get("type") or ""
        if kind in seen:
            problems.duplicate(f"{here}.type", kind)
        seen.add(kind)
        if kind == "Pod":
            for field in ("default", "defaultRequest"):
                if item.get(field):
                    problems.forbidden(f"{here}.{field}", "may not be specified when `type` is 'Pod'")
        if kind == "PersistentVolumeClaim" and not (
            (item.get("min") or {}).get("storage") or (item.get("max") or {}).get("storage")
        ):
            problems.required(
                f"{here}.limits", "either minimum or maximum storage value is required, but neither was provided"
            )
        _limit_order(problems, item, here)


def _limit_order(problems: Problems, item: Object, path: str) -> None:
    for name in dict.fromkeys(name for field in LIMIT_FIELDS for name in item.get(field) or ()):
        at = {field: quantity.parse(item[field][name]) for field in LIMIT_FIELDS if name in (item.get(field) or {})}
        for field, low, high, text in LIMIT_ORDER:
            if low in at and high in at and at[low] > at[high]:
                value = item[low][name] if field == low else item[field][name]
                problems.invalid(f"{path}.{field}[{name}]", value, text.format(item[low][name], item[high][name]))
        if "maxLimitRequestRatio" in at and at["maxLimitRequestRatio"] < 1:
            ratio = item["maxLimitRequestRatio"][name]
            problems.invalid(f"{path}.maxLimitRequestRatio[{name}]", ratio, f"ratio {ratio} is less than 1")


LIMIT_ORDER = (
    ("min", "min", "max", "min value {} is greater than max value {}"),
    ("defaultRequest", "min", "defaultRequest", "min value {} is greater than default request value {}"),
    ("defaultRequest", "defaultRequest", "max", "default request value {} is greater than max value {}"),
    ("defaultRequest", "defaultRequest", "default", "default request value {} is greater than default limit value {}"),
    ("default", "min", "default", "min value {} is greater than default value {}"),
    ("default", "default", "max", "default value {} is greater than max value {}"),
)


def node(problems: Problems, obj: Object) -> None:
    for at, taint in enumerate((obj.get("spec") or {}).get("taints") or ()):
        here = f"spec.taints[{at}]"
        for message in names.qualified(taint.get("key", "")):
            problems.invalid(f"{here}.key", taint.get("key", ""), message)
        for message in names.label_value(taint.get("value") or ""):
            problems.invalid(f"{here}.value", taint.get("value"), message)
        problems.choice(f"{here}.effect", taint.get("effect"), pods.EFFECTS)


def node_update(problems: Problems, obj: Object, old: Object) -> None:
    node(problems, obj)


def event(problems: Problems, obj: Object) -> None:
    involved = obj.get("involvedObject") or obj.get("regarding") or {}
    space, own = involved.get("namespace") or "", obj["metadata"].get("namespace") or ""
    if space != own and not (not space and own in ("default", "kube-system")):
        problems.invalid("involvedObject.namespace", space, "does not match event.namespace")


def no_update(problems: Problems, obj: Object, old: Object) -> None:
    """Nothing but metadata is checked on a change."""
