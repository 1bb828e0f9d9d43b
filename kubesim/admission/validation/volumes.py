"""Volumes of a pod."""

from __future__ import annotations

from typing import Any

from kubesim.admission.validation import containers, names, resources
from kubesim.admission.validation.fields import Problems
from kubesim.resources import Object

REQUIRED = {
    "persistentVolumeClaim": ("claimName",),
    "secret": ("secretName",),
    "configMap": ("name",),
    "hostPath": ("path",),
    "nfs": ("server", "path"),
    "csi": ("driver",),
}
HOST_PATH_TYPES = ("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket")


def volumes(problems: Problems, values: Any, path: str) -> set[str]:
    """The volumes' names, where they are valid."""
    seen: set[str] = set()
    for at, volume in enumerate(values):
        here, name = f"{path}[{at}]", volume.get("name") or ""
        if not name:
            problems.required(f"{here}.name")
            continue
        found = names.label(name)
        for message in found:
            problems.invalid(f"{here}.name", name, message)
        if name in seen:
            problems.duplicate(f"{here}.name", name)
        if not found:
            seen.add(name)
        _source(problems, volume, here)
    return seen


def _source(problems: Problems, volume: Object, path: str) -> None:
    kinds = [kind for kind in volume if kind != "name" and volume[kind] is not None]
    if not kinds:
        problems.required(path, "must specify a volume type")
    for extra in kinds[1:]:
        problems.forbidden(f"{path}.{extra}", "may not specify more than 1 volume type")
    for kind in kinds[:1]:
        source, here = volume[kind], f"{path}.{kind}"
        for field in REQUIRED.get(kind, ()):
            if not source.get(field):
                problems.required(f"{here}.{field}")
        CHECKS.get(kind, _nothing)(problems, source, here)


def _nothing(problems: Problems, source: Object, path: str) -> None:
    """Kinds of volumes that no node of ours offers are taken as they are."""


def _keyed(problems: Problems, source: Object, path: str) -> None:
    """Secrets and config maps: mode and items."""
    _mode(problems, source.get("defaultMode"), f"{path}.defaultMode")
    for at, item in enumerate(source.get("items") or ()):
        here = f"{path}.items[{at}]"
        if not item.get("key"):
            problems.required(f"{here}.key")
        _relative(problems, item.get("path"), f"{here}.path")
        _mode(problems, item.get("mode"), f"{here}.mode")


def _mode(problems: Problems, mode: Any, path: str) -> None:
    if mode is not None and not 0 <= mode <= 0o777:
        problems.invalid(path, mode, "must be a number between 0 and 0777 (octal), both inclusive")


def _relative(problems: Problems, value: Any, path: str) -> None:
    if not value:
        problems.required(path)
        return
    for message in names.absolute_or_relative_path(value):
        problems.invalid(path, value, message)


def _empty_dir(problems: Problems, source: Object, path: str) -> None:
    if source.get("sizeLimit") is not None:
        resources.not_negative(problems, f"{path}.sizeLimit", source["sizeLimit"])
    medium = source.get("medium", "")
    if medium not in ("", "Memory", "HugePages") and not medium.startswith("HugePages-"):
        problems.unsupported(f"{path}.medium", medium, ["", "HugePages", "Memory"])


def _host_path(problems: Problems, source: Object, path: str) -> None:
    if ".." in (source.get("path") or "").split("/"):
        problems.invalid(f"{path}.path", source["path"], "must not contain '..'")
    if source.get("type", "") not in HOST_PATH_TYPES:
        problems.unsupported(f"{path}.type", source["type"], HOST_PATH_TYPES)


def _downward(problems: Problems, source: Object, path: str) -> None:
    _mode(problems, source.get("defaultMode"), f"{path}.defaultMode")
    for at, item in enumerate(source.get("items") or ()):
        here = f"{path}.items[{at}]" if "items" in source else path
        _relative(problems, item.get("path"), f"{here}.path")
        if item.get("fieldRef") is not None:
            containers.field_ref(problems, item["fieldRef"], f"{here}.fieldRef", allowed=containers.FILE_FIELDS)
        elif item.get("resourceFieldRef") is not None:
            if not item["resourceFieldRef"].get("containerName"):
                problems.required(f"{here}.resourceFieldRef.containerName")
            containers.resource_ref(problems, item["resourceFieldRef"], f"{here}.resourceFieldRef")
        else:
            problems.required(f"{here}.fieldRef", "one of fieldRef and resourceFieldRef is required")


def _projected(problems: Problems, source: Object, path: str) -> None:
    _mode(problems, source.get("defaultMode"), f"{path}.defaultMode")
    for at, each in enumerate(source.get("sources") or ()):
        here = f"{path}.sources[{at}]"
        kinds = [kind for kind in each if each[kind] is not None]
        for extra in kinds[1:]:
            problems.forbidden(f"{here}.{extra}", "may not specify more than 1 volume type")
        for kind in kinds[:1]:
            PROJECTIONS.get(kind, _nothing)(problems, each[kind], f"{here}.{kind}")


def _named(problems: Problems, source: Object, path: str) -> None:
    if not source.get("name"):
        problems.required(f"{path}.name")
    _keyed(problems, source, path)


def _token(problems: Problems, source: Object, path: str) -> None:
    seconds = source.get("expirationSeconds")
    if seconds is not None and seconds < 600:
        problems.invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
    if seconds is not None and seconds > 1 << 32:
        problems.invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
    _relative(problems, source.get("path"), f"{path}.path")


def _ephemeral(problems: Problems, source: Object, path: str) -> None:
    if not source.get("volumeClaimTemplate"):
        problems.required(f"{path}.volumeClaimTemplate")


CHECKS = {
    "secret": _keyed,
    "configMap": _keyed,
    "emptyDir": _empty_dir,
    "hostPath": _host_path,
    "downwardAPI": _downward,
    "projected": _projected,
    "ephemeral": _ephemeral,
}
PROJECTIONS = {"secret": _named, "configMap": _named, "downwardAPI": _downward, "serviceAccountToken": _token}
