"""Metadata: names, labels, annotations, owners, finalizers, and what of it may not change."""

from __future__ import annotations

from collections.abc import Callable

from kubesim.admission.validation import names
from kubesim.admission.validation.fields import Problems
from kubesim.resources import Object

NameCheck = Callable[[str], list[str]]
MAX_ANNOTATIONS = 256 * 1024
STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")


def metadata(
    problems: Problems,
    meta: Object,
    *,
    namespaced: bool,
    name: NameCheck = names.subdomain,
    path: str = "metadata",
    custom: bool = False,
) -> None:
    """Metadata of a new object."""
    prefix = meta.get("generateName") or ""
    if prefix:
        _checked(problems, f"{path}.generateName", prefix, name(prefix.rstrip("-.") if len(prefix) > 1 else prefix))
    if not meta.get("name"):
        problems.required(f"{path}.name", "name or generateName is required")
    else:
        _checked(problems, f"{path}.name", meta["name"], name(meta["name"]))
    if namespaced:
        if not meta.get("namespace"):
            problems.required(f"{path}.namespace")
        else:
            _checked(problems, f"{path}.namespace", meta["namespace"], names.label(meta["namespace"]))
    elif meta.get("namespace"):
        problems.forbidden(f"{path}.namespace", "not allowed on this type")
    common(problems, meta, path, custom=custom)


def common(problems: Problems, meta: Object, path: str = "metadata", *, custom: bool = False) -> None:
    """What any metadata must be. Custom kinds may have finalizers without a domain (Kubernetes only warns of them)."""
    if meta.get("ownerReferences"):
        _owners(problems, meta["ownerReferences"], f"{path}.ownerReferences")
    if meta.get("finalizers"):
        _finalizers(problems, meta["finalizers"], f"{path}.finalizers", custom=custom)
    if meta.get("labels"):
        labels(problems, meta["labels"], f"{path}.labels")
    if meta.get("annotations"):
        _annotations(problems, meta["annotations"], f"{path}.annotations")


def _checked(problems: Problems, path: str, value: str, found: list[str]) -> None:
    for message in found:
        problems.invalid(path, value, message)


def labels(problems: Problems, values: dict[str, str], path: str) -> None:
    for key, value in values.items():
        for message in names.qualified(key):
            problems.invalid(path, key, message)
        for message in names.label_value(value):
            problems.invalid(path, value, message)


def _annotations(problems: Problems, values: dict[str, str], path: str) -> None:
    for key in values:
        for message in names.qualified(key.lower()):
            problems.invalid(path, key, message)
    if sum(len(key.encode()) + len(value.encode()) for key, value in values.items()) > MAX_ANNOTATIONS:
        problems.too_long(path, MAX_ANNOTATIONS)


def _finalizers(problems: Problems, values: list[str], path: str, *, custom: bool) -> None:
    for at, value in enumerate(values):
        for message in names.qualified(value):
            problems.invalid(path, value, message)
        if "/" not in value and value not in STANDARD_FINALIZERS and not custom:
            problems.invalid(
                f"{path}[{at}]", value, "name is neither a standard finalizer name nor is it fully qualified"
            )
    if "orphan" in values and "foregroundDeletion" in values:
        problems.invalid(path, values, "finalizer orphan and foregroundDeletion cannot be both set")


def _owners(problems: Problems, owners: list[Object], path: str) -> None:
    controllers = []
    for at, owner in enumerate(owners):
        here = f"{path}[{at}]"
        if not owner.get("apiVersion"):
            problems.invalid(f"{here}.apiVersion", "", "version must not be empty")
        for field in ("kind", "name", "uid"):
            if not owner.get(field):
                problems.invalid(f"{here}.{field}", "", "must not be empty")
        if owner.get("controller"):
            controllers.append(f"{owner.get('kind')}/{owner.get('name')}")
            if len(controllers) > 1:
                detail = 'Only one reference can have Controller set to true. Found "true" in references for {} and {}'
                problems.invalid(path, owners, detail.format(*controllers[-2:]))


IMMUTABLE = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")


def update(problems: Problems, meta: Object, old: Object, *, path: str = "metadata", custom: bool = False) -> None:
    """Metadata of a changed object."""
    for field in IMMUTABLE:
        if meta.get(field) != old.get(field):
            problems.invalid(f"{path}.{field}", meta.get(field, ""), "field is immutable")
    if old.get("deletionTimestamp"):
        added = [each for each in meta.get("finalizers") or () if each not in (old.get("finalizers") or ())]
        if added:
            problems.forbidden(
                f"{path}.finalizers",
                f"no new finalizers can be added if the object is being deleted, found new finalizers {_go_list(added)}",
            )
    if meta.get("labels") is not old.get("labels") or meta.get("annotations") is not old.get("annotations"):
        common(problems, meta, path, custom=custom)


def _go_list(values: list[str]) -> str:
    return "[]string{" + ", ".join(f'"{each}"' for each in values) + "}"


def selector(problems: Problems, value: Object | None, path: str, *, required: bool = False) -> None:
    """A LabelSelector."""
    if value is None:
        if required:
            problems.required(path)
        return
    labels(problems, value.get("matchLabels") or {}, f"{path}.matchLabels")
    for at, requirement in enumerate(value.get("matchExpressions") or ()):
        _requirement(problems, requirement, f"{path}.matchExpressions[{at}]")


def _requirement(problems: Problems, requirement: Object, path: str) -> None:
    operator, values = requirement.get("operator", ""), requirement.get("values") or []
    if operator in ("In", "NotIn"):
        if not values:
            problems.required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            problems.forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    else:
        problems.invalid(f"{path}.operator", operator, "not a valid selector operator")
    for message in names.qualified(requirement.get("key", "")):
        problems.invalid(f"{path}.key", requirement.get("key", ""), message)
    for at, value in enumerate(values):
        for message in names.label_value(value):
            problems.invalid(f"{path}.values[{at}]", value, message)


def selects(value: Object, of: dict[str, str]) -> bool:
    """Whether a LabelSelector matches these labels."""
    if any(of.get(key) != wanted for key, wanted in (value.get("matchLabels") or {}).items()):
        return False
    return all(_meets(requirement, of) for requirement in value.get("matchExpressions") or ())


def _meets(requirement: Object, of: dict[str, str]) -> bool:
    key, operator, values = requirement.get("key", ""), requirement.get("operator"), requirement.get("values") or ()
    if operator == "In":
        return of.get(key) in values
    if operator == "NotIn":
        return key not in of or of[key] not in values
    return (key in of) == (operator == "Exists")


def empty(value: Object) -> bool:
    return not value.get("matchLabels") and not value.get("matchExpressions")
