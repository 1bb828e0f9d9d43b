"""Namespaces, nodes, events, configuration, quotas, access and certificates."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kubesim.resources import Object
from kubesim.tables.column import (
    AGE,
    CREATED,
    NAME,
    NONE,
    UNKNOWN,
    Column,
    age,
    condition,
    duration,
    listed,
    name_of,
    since,
)

ROLE_LABEL = "node-role.kubernetes.io/"
NAMESPACE = [NAME, Column("Status", "The status of the namespace"), AGE]
NODE = [
    NAME,
    Column("Status", "The status of the node"),
    Column("Roles", "The roles of the node"),
    AGE,
    Column("Version", "core.v1.NodeSystemInfo.kubeletVersion"),
    Column("Internal-IP", "core.v1.NodeStatus.addresses", wide=True),
    Column("External-IP", "core.v1.NodeStatus.addresses", wide=True),
    Column("OS-Image", "core.v1.NodeSystemInfo.osImage", wide=True),
    Column("Kernel-Version", "core.v1.NodeSystemInfo.kernelVersion", wide=True),
    Column("Container-Runtime", "core.v1.NodeSystemInfo.containerRuntimeVersion", wide=True),
]
EVENT = [
    Column("Last Seen", "The time at which the most recent occurrence of this event was recorded."),
    Column("Type", "core.v1.Event.type"),
    Column("Reason", "core.v1.Event.reason"),
    Column("Object", "The object that this event is about."),
    Column("Subobject", "core.v1.ObjectReference.fieldPath", wide=True),
    Column("Source", "core.v1.Event.source", wide=True),
    Column("Message", "core.v1.Event.message"),
    Column("First Seen", "core.v1.Event.firstTimestamp", wide=True),
    Column("Count", "core.v1.Event.count", wide=True),
    NAME._replace(wide=True),
]
CONFIG_MAP = [NAME, Column("Data", "core.v1.ConfigMap.data"), AGE]
SECRET = [NAME, Column("Type", "core.v1.Secret.type"), Column("Data", "core.v1.Secret.data"), AGE]
SERVICE_ACCOUNT = [NAME, Column("Secrets", "core.v1.ServiceAccount.secrets"), AGE]
QUOTA = [
    NAME,
    Column("Request", "Request represents a minimum amount of cpu/memory that a container may consume."),
    Column(
        "Limit",
        "Limits control the maximum amount of cpu/memory that a container may use independent of contention on the node.",
    ),
    AGE,
]
COMPONENT = [
    NAME,
    Column("Status", "Status of the component conditions"),
    Column("Message", "Message of the component conditions"),
    Column("Error", "Error of the component conditions"),
]
ROLE = [NAME, CREATED]
BINDING = [
    NAME,
    Column("Role", "rbac.v1.RoleBinding.roleRef"),
    AGE,
    Column("Users", "Users in the roleBinding", wide=True),
    Column("Groups", "Groups in the roleBinding", wide=True),
    Column("ServiceAccounts", "ServiceAccounts in the roleBinding", wide=True),
]
SIGNING_REQUEST = [
    NAME,
    AGE,
    Column("SignerName", "certificates.v1.CertificateSigningRequestSpec.signerName"),
    Column("Requestor", "certificates.v1.CertificateSigningRequestSpec.request"),
    Column("RequestedDuration", "certificates.v1.CertificateSigningRequestSpec.expirationSeconds"),
    Column("Condition", "certificates.v1.CertificateSigningRequestStatus.conditions"),
]
PLAIN = [NAME, AGE]


def plain(obj: Object, now: datetime) -> list[Any]:
    return [name_of(obj), age(obj, now)]


def created(obj: Object, now: datetime) -> list[Any]:
    """A kind without columns of its own; the time stands as it is."""
    return [name_of(obj), obj["metadata"].get("creationTimestamp", "")]


def namespace(obj: Object, now: datetime) -> list[Any]:
    return [name_of(obj), (obj.get("status") or {}).get("phase", ""), age(obj, now)]


def node(obj: Object, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    info = status.get("nodeInfo") or {}
    conditions = {each.get("type"): each.get("status") for each in status.get("conditions") or ()}
    states = ["Ready" if conditions["Ready"] == "True" else "NotReady"] if "Ready" in conditions else ["Unknown"]
    states += ["SchedulingDisabled"] if spec.get("unschedulable") else []
    addresses = [_address(status, kind) for kind in ("InternalIP", "ExternalIP")]
    versions = [info.get(field) or UNKNOWN for field in ("osImage", "kernelVersion", "containerRuntimeVersion")]
    return [
        name_of(obj),
        ",".join(states),
        _roles(obj),
        age(obj, now),
        info.get("kubeletVersion", ""),
        *addresses,
        *versions,
    ]


def _roles(obj: Object) -> str:
    labels = obj["metadata"].get("labels") or {}
    roles = {key.removeprefix(ROLE_LABEL) for key in labels if key.startswith(ROLE_LABEL) and key != ROLE_LABEL}
    roles |= {labels["kubernetes.io/role"]} if labels.get("kubernetes.io/role") else set()
    return listed(sorted(roles))


def _address(status: Object, kind: str) -> str:
    return next((each["address"] for each in status.get("addresses") or () if each.get("type") == kind), NONE)


def event(obj: Object, now: datetime) -> list[Any]:
    """Both kinds of events: core's and events.k8s.io's, whose older fields are called deprecated."""
    involved = obj.get("involvedObject") or obj.get("regarding") or {}
    series, exact = obj.get("series") or {}, obj.get("eventTime")
    source = obj.get("source") or obj.get("deprecatedSource") or {}
    first = obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp") or exact
    last = obj.get("lastTimestamp") or obj.get("deprecatedLastTimestamp")
    last = series.get("lastObservedTime") or last or first
    count = series.get("count") or obj.get("count") or obj.get("deprecatedCount") or 1
    component = source.get("component") or obj.get("reportingComponent") or obj.get("reportingController") or ""
    host = source.get("host") or obj.get("reportingInstance") or ""
    target = (
        f"{involved.get('kind', '').lower()}/{involved['name']}"
        if involved.get("name")
        else involved.get("kind", "").lower()
    )
    return [
        since(last, now),
        obj.get("type", ""),
        obj.get("reason", ""),
        target,
        involved.get("fieldPath", ""),
        f"{component}, {host}" if host else component,
        (obj.get("message") or obj.get("note") or "").strip(),
        since(first, now),
        count,
        name_of(obj),
    ]


def config_map(obj: Object, now: datetime) -> list[Any]:
    return [name_of(obj), len(obj.get("data") or ()) + len(obj.get("binaryData") or ()), age(obj, now)]


def secret(obj: Object, now: datetime) -> list[Any]:
    return [name_of(obj), obj.get("type", ""), len(obj.get("data") or ()), age(obj, now)]


def service_account(obj: Object, now: datetime) -> list[Any]:
    return [name_of(obj), len(obj.get("secrets") or ()), age(obj, now)]


def quota(obj: Object, now: datetime) -> list[Any]:
    status = obj.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    texts = {name: f"{name}: {used.get(name, '0')}/{hard[name]}" for name in sorted(hard)}
    limits = ", ".join(text for name, text in texts.items() if name.startswith("limits."))
    requests = ", ".join(text for name, text in texts.items() if not name.startswith("limits."))
    return [name_of(obj), requests, limits, age(obj, now)]


def component(obj: Object, now: datetime) -> list[Any]:
    healthy = condition(obj, "Healthy")
    state = {"True": "Healthy", "False": "Unhealthy"}.get(healthy.get("status", ""), "Unknown")
    return [name_of(obj), state, healthy.get("message", ""), healthy.get("error", "")]


def binding(obj: Object, now: datetime) -> list[Any]:
    role, subjects = obj.get("roleRef") or {}, obj.get("subjects") or ()
    users, groups = ([each["name"] for each in subjects if each.get("kind") == kind] for kind in ("User", "Group"))
    accounts = [
        f"{each.get('namespace', '')}/{each['name']}" for each in subjects if each.get("kind") == "ServiceAccount"
    ]
    cells = [", ".join(each) for each in (users, groups, accounts)]
    return [name_of(obj), f"{role.get('kind', '')}/{role.get('name', '')}", age(obj, now), *cells]


def signing_request(obj: Object, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    seconds = spec.get("expirationSeconds")
    asked = duration(seconds) if seconds is not None else NONE
    row = [name_of(obj), age(obj, now), spec.get("signerName") or NONE, spec.get("username", ""), asked]
    return [*row, _signing_state(status)]


def _signing_state(status: Object) -> str:
    kinds = [each.get("type") for each in status.get("conditions") or ()]
    states = ["Denied"] if "Denied" in kinds else ["Approved"] if "Approved" in kinds else ["Pending"]
    states += ["Failed"] if "Failed" in kinds else []
    return ",".join(states + (["Issued"] if status.get("certificate") else []))
