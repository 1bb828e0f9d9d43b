"""Containers: names, images, ports, environment, mounts, probes, hooks, security."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from kubesim.admission.validation import names, resources
from kubesim.admission.validation.fields import Problems
from kubesim.resources import Object

PULL_POLICIES = ("Always", "IfNotPresent", "Never")
PROTOCOLS = ("SCTP", "TCP", "UDP")
MESSAGE_POLICIES = ("FallbackToLogsOnError", "File")
HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
FIELD_PATHS = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
ENV_FIELDS = tuple(path for path in FIELD_PATHS if path not in ("metadata.annotations", "metadata.labels"))
FILE_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
RESOURCE_FIELDS = tuple(
    f"{kind}.{name}" for kind in ("limits", "requests") for name in ("cpu", "ephemeral-storage", "memory")
)


def containers(problems: Problems, spec: Object, path: str, volumes: Collection[str]) -> None:
    """All containers of a pod's spec; names are unique over all three kinds."""
    if not spec.get("containers"):
        problems.required(f"{path}.containers")
    seen: set[str] = set()
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        for at, each in enumerate(spec.get(kind) or ()):
            here = f"{path}.{kind}[{at}]"
            container(problems, each, here, volumes, kind=kind)
            if each.get("name") in seen:
                problems.duplicate(f"{here}.name", each["name"])
            seen.add(each.get("name", ""))
    _host_ports(problems, spec, path)


def container(problems: Problems, each: Object, path: str, volumes: Collection[str], *, kind: str) -> None:
    name = each.get("name") or ""
    if not name:
        problems.required(f"{path}.name")
    else:
        for message in names.label(name):
            problems.invalid(f"{path}.name", name, message)
    image = each.get("image") or ""
    if not image:
        problems.required(f"{path}.image")
    elif image != image.strip():
        problems.invalid(f"{path}.image", image, "must not have leading or trailing whitespace")
    if kind == "ephemeralContainers":
        _ephemeral(problems, each, path)
    else:
        _running(problems, each, path, init=kind == "initContainers")
    if each.get("terminationMessagePolicy"):
        problems.choice(f"{path}.terminationMessagePolicy", each["terminationMessagePolicy"], MESSAGE_POLICIES)
    ports(problems, each.get("ports") or (), f"{path}.ports")
    environment(problems, each.get("env") or (), f"{path}.env")
    _env_from(problems, each.get("envFrom") or (), f"{path}.envFrom")
    mounts(problems, each, path, volumes)
    problems.choice(f"{path}.imagePullPolicy", each.get("imagePullPolicy"), PULL_POLICIES)
    resources.requirements(problems, each.get("resources"), f"{path}.resources")
    _security(problems, each.get("securityContext") or {}, f"{path}.securityContext")


def _running(problems: Problems, each: Object, path: str, *, init: bool) -> None:
    """Hooks and probes; init containers may only have them as sidecars (restartPolicy Always)."""
    policy = each.get("restartPolicy")
    if policy is not None and init and policy not in ("Always", "Never", "OnFailure"):
        problems.unsupported(f"{path}.restartPolicy", policy, ["Always"])
    if init and policy != "Always":
        for name in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
            if each.get(name) is not None:
                problems.forbidden(f"{path}.{name}", "may not be set for init containers without restartPolicy=Always")
        return
    for hook in ("postStart", "preStop"):
        handler = (each.get("lifecycle") or {}).get(hook)
        if handler is not None:
            handlers(problems, handler, f"{path}.lifecycle.{hook}", allowed=("exec", "httpGet", "tcpSocket", "sleep"))
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if each.get(name) is not None:
            probe(problems, each[name], f"{path}.{name}", once=name != "readinessProbe")
    if each.get("readinessProbe") and (each["readinessProbe"].get("terminationGracePeriodSeconds") is not None):
        problems.invalid(
            f"{path}.readinessProbe.terminationGracePeriodSeconds",
            each["readinessProbe"]["terminationGracePeriodSeconds"],
            "must not be set for readinessProbes",
        )


def _ephemeral(problems: Problems, each: Object, path: str) -> None:
    for name in ("ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "resources"):
        if each.get(name):
            problems.forbidden(f"{path}.{name}", "cannot be set for an Ephemeral Container")


def probe(problems: Problems, value: Object, path: str, *, once: bool) -> None:
    """`once`: success must be one success (liveness and startup probes)."""
    handlers(problems, value, path, allowed=HANDLERS)
    for name in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        problems.at_least(f"{path}.{name}", value.get(name), 0)
    grace = value.get("terminationGracePeriodSeconds")
    if grace is not None and grace <= 0:
        problems.invalid(f"{path}.terminationGracePeriodSeconds", grace, "must be greater than 0")
    if once and value.get("successThreshold") != 1:
        problems.invalid(f"{path}.successThreshold", value.get("successThreshold"), "must be 1")


def handlers(problems: Problems, value: Object, path: str, *, allowed: tuple[str, ...]) -> None:
    given = [name for name in allowed if value.get(name) is not None]
    for extra in given[1:]:
        problems.forbidden(f"{path}.{extra}", "may not specify more than 1 handler type")
    if not given:
        problems.required(path, "must specify a handler type")
        return
    action, here = value[given[0]], f"{path}.{given[0]}"
    if given[0] == "exec" and not action.get("command"):
        problems.required(f"{here}.command")
    if given[0] == "httpGet":
        if not action.get("path"):
            problems.required(f"{here}.path")
        problems.choice(f"{here}.scheme", action.get("scheme"), ("HTTP", "HTTPS"))
        for at, header in enumerate(action.get("httpHeaders") or ()):
            if not header.get("name"):
                problems.required(f"{here}.httpHeaders[{at}].name")
    if given[0] in ("httpGet", "tcpSocket", "grpc"):
        port(problems, action.get("port", 0), f"{here}.port")


def port(problems: Problems, value: Any, path: str) -> None:
    """A port's number or name."""
    found = names.port_name(value) if isinstance(value, str) else names.port_number(value)
    for message in found:
        problems.invalid(path, value, message)


def ports(problems: Problems, values: Any, path: str) -> None:
    seen: set[str] = set()
    for at, each in enumerate(values):
        here = f"{path}[{at}]"
        name = each.get("name")
        if name:
            found = names.port_name(name)
            for message in found:
                problems.invalid(f"{here}.name", name, message)
            if not found and name in seen:
                problems.duplicate(f"{here}.name", name)
            seen.add(name)
        if not each.get("containerPort"):
            problems.required(f"{here}.containerPort")
        else:
            port(problems, each["containerPort"], f"{here}.containerPort")
        if each.get("hostPort"):
            port(problems, each["hostPort"], f"{here}.hostPort")
        problems.choice(f"{here}.protocol", each.get("protocol"), PROTOCOLS)


def _host_ports(problems: Problems, spec: Object, path: str) -> None:
    taken: set[tuple[object, ...]] = set()
    for at, each in enumerate(spec.get("containers") or ()):
        for n, exposed in enumerate(each.get("ports") or ()):
            host = exposed.get("hostPort")
            if not host:
                continue
            here = f"{path}.containers[{at}].ports[{n}].hostPort"
            key = (exposed.get("hostIP"), exposed.get("protocol"), host)
            if key in taken:
                problems.duplicate(here, f"{exposed.get('protocol')}/{exposed.get('hostIP') or ''}/{host}")
            taken.add(key)
            if spec.get("hostNetwork") and host != exposed.get("containerPort"):
                problems.invalid(
                    f"{path}.containers[{at}].ports[{n}].containerPort",
                    exposed.get("containerPort"),
                    "must match `hostPort` when `hostNetwork` is true",
                )


def environment(problems: Problems, values: Any, path: str) -> None:
    for at, each in enumerate(values):
        here, name = f"{path}[{at}]", each.get("name") or ""
        if not name:
            problems.required(f"{here}.name")
        else:
            for message in names.env_name(name):
                problems.invalid(f"{here}.name", name, message)
        if each.get("valueFrom") is not None:
            _value_from(problems, each, f"{here}.valueFrom")


def _value_from(problems: Problems, each: Object, path: str) -> None:
    source = each["valueFrom"]
    kinds = [
        kind
        for kind in ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
        if source.get(kind) is not None
    ]
    if not kinds:
        problems.invalid(
            path,
            "",
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        )
    elif each.get("value"):
        problems.invalid(path, "", "may not be specified when `value` is not empty")
    elif len(kinds) > 1:
        problems.invalid(path, "", "may not have more than one field specified at a time")
    for kind in kinds:
        here = f"{path}.{kind}"
        if kind == "fieldRef":
            field_ref(problems, source[kind], here, allowed=ENV_FIELDS)
        elif kind == "resourceFieldRef":
            resource_ref(problems, source[kind], here)
        elif kind in ("configMapKeyRef", "secretKeyRef"):
            _key_ref(problems, source[kind], here)


def field_ref(problems: Problems, reference: Object, path: str, *, allowed: tuple[str, ...]) -> None:
    field = reference.get("fieldPath")
    if not reference.get("apiVersion"):
        problems.required(f"{path}.apiVersion")
    if not field:
        problems.required(f"{path}.fieldPath")
        return
    base, bracket, key = field.partition("[")
    if bracket and base in ("metadata.annotations", "metadata.labels"):
        for message in names.qualified(key.rstrip("]").strip("'").lower()):
            problems.invalid(path, field, message)
    elif field not in FIELD_PATHS:
        problems.invalid(f"{path}.fieldPath", field, "error converting fieldPath: field label not supported: " + field)
    elif field not in allowed:
        problems.unsupported(f"{path}.fieldPath", field, sorted(allowed))


def resource_ref(problems: Problems, reference: Object, path: str) -> None:
    name = reference.get("resource")
    if not name:
        problems.required(f"{path}.resource")
    elif name not in RESOURCE_FIELDS and "hugepages-" not in name:
        problems.unsupported(f"{path}.resource", name, sorted(RESOURCE_FIELDS))


def _key_ref(problems: Problems, reference: Object, path: str) -> None:
    if not reference.get("key"):
        problems.required(f"{path}.key")
    else:
        for message in names.config_key(reference["key"]):
            problems.invalid(f"{path}.key", reference["key"], message)


def _env_from(problems: Problems, values: Any, path: str) -> None:
    for at, each in enumerate(values):
        here = f"{path}[{at}]"
        kinds = [kind for kind in ("configMapRef", "secretRef") if each.get(kind) is not None]
        for message in names.env_name(each["prefix"]) if each.get("prefix") else ():
            problems.invalid(f"{here}.prefix", each["prefix"], message)
        if not kinds:
            problems.invalid(here, "", "must specify one of: `configMapRef` or `secretRef`")
        elif len(kinds) > 1:
            problems.invalid(here, "", "may not have more than one field specified at a time")
        for kind in kinds:
            if not each[kind].get("name"):
                problems.required(f"{here}.{kind}.name")


def mounts(problems: Problems, each: Object, path: str, volumes: Collection[str]) -> None:
    paths: set[str] = set()
    for at, mount in enumerate(each.get("volumeMounts") or ()):
        here = f"{path}.volumeMounts[{at}]"
        if not mount.get("name"):
            problems.required(f"{here}.name")
        elif mount["name"] not in volumes:
            problems.not_found(f"{here}.name", mount["name"])
        if not mount.get("mountPath"):
            problems.required(f"{here}.mountPath")
        elif mount["mountPath"] in paths:
            problems.invalid(f"{here}.mountPath", mount["mountPath"], "must be unique")
        paths.add(mount.get("mountPath", ""))
        if mount.get("subPath"):
            for message in names.absolute_or_relative_path(mount["subPath"]):
                problems.invalid(f"{here}.subPath", mount["subPath"], message)


def _security(problems: Problems, context: Object, path: str) -> None:
    for name in ("runAsUser", "runAsGroup"):
        value = context.get(name)
        if value is not None and not 0 <= value <= 2147483647:
            problems.invalid(f"{path}.{name}", value, "must be between 0 and 2147483647, inclusive")
    escalates = context.get("allowPrivilegeEscalation")
    if escalates is False and context.get("privileged"):
        problems.invalid(path, context, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true")
    if escalates is False and "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or ()):
        problems.invalid(
            path, context, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
        )
