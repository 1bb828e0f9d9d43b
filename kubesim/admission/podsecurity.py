"""PodSecurity: a namespace's labels say how much its pods may ask of the host.

`pod-security.kubernetes.io/enforce` refuses, `warn` warns (of pods, and of workloads whose template makes such pods). The checks are those of the
Pod Security Standards that a cluster of Linux processes can mean; versions in labels are read as "latest".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from kubesim.admission.request import AdmissionRequest, Plugin
from kubesim.auth.attributes import quote
from kubesim.auth.reader import Reader
from kubesim.resources import Object

PREFIX = "pod-security.kubernetes.io/"
_TEMPLATES = {
    "v1/podtemplates": ("template",),
    "v1/replicationcontrollers": ("spec", "template"),
    "apps/v1/deployments": ("spec", "template"),
    "apps/v1/replicasets": ("spec", "template"),
    "apps/v1/statefulsets": ("spec", "template"),
    "apps/v1/daemonsets": ("spec", "template"),
    "batch/v1/jobs": ("spec", "template"),
    "batch/v1/cronjobs": ("spec", "jobTemplate", "spec", "template"),
}
_DEFAULT_CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
    }
    | {"SETUID", "SYS_CHROOT"}
)
_HARMLESS_VOLUMES = frozenset(
    {
        "name",
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
_SAFE_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
    }
    | {
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
    }
    | {"net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_rmem", "net.ipv4.tcp_syncookies", "net.ipv4.tcp_wmem"}
)
Spec = Mapping[str, Any]
Check = Callable[[Spec], Iterator[str]]


class PodSecurity(Plugin):
    def validate(self, request: AdmissionRequest, reader: Reader) -> None:
        template = _template(request)
        if template is None:
            return
        labels = _labels(reader, request.namespace)
        enforced = labels.get(f"{PREFIX}enforce", "")
        found = violations(enforced, template) if request.resource.key == "v1/pods" else ""
        if found:
            raise request.forbid(f"violates PodSecurity {quote(f'{enforced}:latest')}: {found}")
        warned = labels.get(f"{PREFIX}warn", "")
        found = violations(warned, template)
        if found:
            request.warnings.append(f"would violate PodSecurity {quote(f'{warned}:latest')}: {found}")


def _labels(reader: Reader, namespace: str) -> Mapping[str, str]:
    found = reader.get("v1/namespaces", "", namespace)
    return {} if found is None else found["metadata"].get("labels") or {}


def _template(request: AdmissionRequest) -> Spec | None:
    """The pod spec that a request would make pods of."""
    if request.creates("v1/pods"):
        return request.body.get("spec") or {}
    path = _TEMPLATES.get(request.resource.key)
    if path is None or request.subresource or request.operation not in ("CREATE", "UPDATE"):
        return None
    holder: Object = request.body
    for part in (*path, "spec"):
        holder = holder.get(part) or {}
    return holder


def violations(level: str, spec: Spec) -> str:
    """What a pod does that its namespace's level forbids, in Kubernetes's words; "" where nothing."""
    checks = {"baseline": _BASELINE, "restricted": _RESTRICTED}.get(level, ())
    found = ((reason, list(check(spec))) for reason, check in checks)
    return ", ".join(f"{reason} ({'; '.join(details)})" for reason, details in found if details)


def _containers(spec: Spec) -> list[Object]:
    return [
        *(spec.get("initContainers") or ()),
        *(spec.get("containers") or ()),
        *(spec.get("ephemeralContainers") or ()),
    ]


def _context(holder: Spec) -> Spec:
    return holder.get("securityContext") or {}


def _named(containers: Iterable[Spec]) -> str:
    names = [quote(str(one.get("name", ""))) for one in containers]
    return f"container{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _broken(spec: Spec, breaks: Callable[[Spec], bool], must: str, *, prefix: str = "") -> Iterator[str]:
    """`container "a" must ...` of the containers that break a rule."""
    found = [one for one in _containers(spec) if breaks(one)]
    if found:
        yield f"{prefix}{_named(found)} {must}"


def _host_namespaces(spec: Spec) -> Iterator[str]:
    found = [f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    if found:
        yield ", ".join(found)


def _host_paths(spec: Spec) -> Iterator[str]:
    names = [quote(one["name"]) for one in spec.get("volumes") or () if "hostPath" in one]
    if names:
        yield f"volume{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _host_ports(spec: Spec) -> Iterator[str]:
    using = [
        (one, [port["hostPort"] for port in one.get("ports") or () if port.get("hostPort")])
        for one in _containers(spec)
    ]
    ports = sorted({port for _, found in using for port in found})
    if ports:
        many = [one for one, found in using if found]
        verb = "use" if len(many) > 1 else "uses"
        yield f"{_named(many)} {verb} hostPort{'s' if len(ports) > 1 else ''} {', '.join(map(str, ports))}"


def _privileged(spec: Spec) -> Iterator[str]:
    yield from _broken(
        spec, lambda one: bool(_context(one).get("privileged")), "must not set securityContext.privileged=true"
    )


def _proc_mount(spec: Spec) -> Iterator[str]:
    def breaks(one: Spec) -> bool:
        return str(_context(one).get("procMount", "Default")) != "Default"

    yield from _broken(spec, breaks, 'must not set securityContext.procMount to "Unmasked"')


def _added(spec: Spec, allowed: frozenset[str]) -> Iterator[str]:
    def extra(one: Spec) -> set[str]:
        return set((_context(one).get("capabilities") or {}).get("add") or ()) - allowed

    names = sorted({name for one in _containers(spec) for name in extra(one)})
    must = f"must not include {', '.join(map(quote, names))} in securityContext.capabilities.add"
    yield from _broken(spec, lambda one: bool(extra(one)), must)


def _capabilities(spec: Spec) -> Iterator[str]:
    yield from _added(spec, _DEFAULT_CAPABILITIES)


def _restricted_capabilities(spec: Spec) -> Iterator[str]:
    def keeps(one: Spec) -> bool:
        return "ALL" not in ((_context(one).get("capabilities") or {}).get("drop") or ())

    yield from _broken(spec, keeps, 'must set securityContext.capabilities.drop=["ALL"]')
    yield from _added(spec, frozenset({"NET_BIND_SERVICE"}))


def _sysctls(spec: Spec) -> Iterator[str]:
    names = sorted({str(one.get("name")) for one in _context(spec).get("sysctls") or ()} - _SAFE_SYSCTLS)
    if names:
        yield ", ".join(names)


def _seccomp(holder: Spec) -> str | None:
    return (_context(holder).get("seccompProfile") or {}).get("type")


def _unconfined(spec: Spec) -> Iterator[str]:
    must = 'must not set securityContext.seccompProfile.type to "Unconfined"'
    if _seccomp(spec) == "Unconfined":
        yield f"pod {must}"
    yield from _broken(spec, lambda one: _seccomp(one) == "Unconfined", must)


def _restricted_seccomp(spec: Spec) -> Iterator[str]:
    yield from _unconfined(spec)
    if _seccomp(spec) is None:
        must = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
        yield from _broken(spec, lambda one: _seccomp(one) is None, must, prefix="pod or ")


def _escalation(spec: Spec) -> Iterator[str]:
    def breaks(one: Spec) -> bool:
        return _context(one).get("allowPrivilegeEscalation") is not False

    yield from _broken(spec, breaks, "must set securityContext.allowPrivilegeEscalation=false")


def _volumes(spec: Spec) -> Iterator[str]:
    used = [(one["name"], sorted(set(one) - _HARMLESS_VOLUMES)) for one in spec.get("volumes") or ()]
    names = [quote(name) for name, kinds in used if kinds]
    kinds = sorted({quote(kind) for _, found in used for kind in found})
    if names:
        many = len(names) > 1
        which = f"restricted volume type{'s' if len(kinds) > 1 else ''} {', '.join(kinds)}"
        yield f"volume{'s' if many else ''} {', '.join(names)} {'use' if many else 'uses'} {which}"


def _non_root(spec: Spec) -> Iterator[str]:
    whole = _context(spec).get("runAsNonRoot")
    if whole is False:
        yield "pod must not set securityContext.runAsNonRoot=false"
    yield from _broken(
        spec, lambda one: _context(one).get("runAsNonRoot") is False, "must not set securityContext.runAsNonRoot=false"
    )
    if whole is None:
        must = "must set securityContext.runAsNonRoot=true"
        yield from _broken(spec, lambda one: _context(one).get("runAsNonRoot") is None, must, prefix="pod or ")


def _root_user(spec: Spec) -> Iterator[str]:
    if _context(spec).get("runAsUser") == 0:
        yield "pod must not set runAsUser=0"
    yield from _broken(spec, lambda one: _context(one).get("runAsUser") == 0, "must not set runAsUser=0")


_COMMON: Sequence[tuple[str, Check]] = (
    ("hostPort", _host_ports),
    ("privileged", _privileged),
    ("procMount", _proc_mount),
    ("forbidden sysctls", _sysctls),
)
_BASELINE: Sequence[tuple[str, Check]] = (
    ("non-default capabilities", _capabilities),
    ("host namespaces", _host_namespaces),
    ("hostPath volumes", _host_paths),
    *_COMMON[:3],
    ("seccompProfile", _unconfined),
    *_COMMON[3:],
)
_RESTRICTED: Sequence[tuple[str, Check]] = (
    ("host namespaces", _host_namespaces),
    *_COMMON,
    ("allowPrivilegeEscalation != false", _escalation),
    ("unrestricted capabilities", _restricted_capabilities),
    ("restricted volume types", _volumes),
    ("runAsNonRoot != true", _non_root),
    ("runAsUser=0", _root_user),
    ("seccompProfile", _restricted_seccomp),
)
"""In Kubernetes's order; what restricted says more strictly than baseline it says instead."""
