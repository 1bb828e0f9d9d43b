"""Namespaces, nodes, events, configuration, quotas, access, certificates, scheduling and admission."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kubesim.resources import Object
from kubesim.tables.column import AGE, CREATED, NAME, NONE, UNKNOWN, Column, age, duration, listed, name_of, since

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
LEASE = [NAME, Column("Holder", "coordination.v1.LeaseSpec.holderIdentity"), AGE]
PRIORITY_CLASS = [
    NAME,
    Column("Value", "scheduling.v1.PriorityClass.value", type="integer"),
    Column("Global-Default", "scheduling.v1.PriorityClass.globalDefault", type="boolean"),
    AGE,
    Column("PreemptionPolicy", "scheduling.v1.PriorityClass.preemptionPolicy"),
]
RUNTIME_CLASS = [NAME, Column("Handler", "node.v1.RuntimeClass.handler"), AGE]
WEBHOOKS = [NAME, Column("Webhooks", "Webhooks indicates the number of webhooks registered in this configuration"), AGE]
POLICY = [
    NAME,
    Column("Validations", "Validations indicates the number of validation rules defined in this configuration"),
    Column("ParamKind", "ParamKind specifies the kind of resources used to parameterize this policy"),
    AGE,
]
MUTATING_POLICY = [
    NAME,
    Column("Mutations", "Mutation indicates the number of mutations rules defined in this configuration"),
    Column("ParamKind", "ParamKind specifies the kind of resources used to parameterize this policy"),
    AGE,
]
POLICY_BINDING = [
    NAME,
    Column("PolicyName", "PolicyName indicates the policy definition which the policy binding binded to"),
    Column("ParamRef", "ParamRef indicates the param resource which sets the configration param"),
    AGE,
]
API_SERVICE = [
    NAME,
    Column("Service", "The reference to the service that hosts this API endpoint."),
    Column("Available", "Whether this service is available."),
    AGE,
]
FLOW_SCHEMA = [
    NAME,
    Column("PriorityLevel", "flowcontrol.v1.PriorityLevelConfigurationReference.name"),
    Column("MatchingPrecedence", "flowcontrol.v1.FlowSchemaSpec.matchingPrecedence", type="integer"),
    Column("DistinguisherMethod", "flowcontrol.v1.FlowSchemaSpec.distinguisherMethod"),
    AGE,
    Column("MissingPL", "references a broken or non-existent PriorityLevelConfiguration"),
]
PRIORITY_LEVEL = [
    NAME,
    Column("Type", "flowcontrol.v1.PriorityLevelConfigurationSpec.type"),
    Column("NominalConcurrencyShares", "flowcontrol.v1.LimitedPriorityLevelConfiguration.nominalConcurrencyShares"),
    Column("Queues", "flowcontrol.v1.QueuingConfiguration.queues"),
    Column("HandSize", "flowcontrol.v1.QueuingConfiguration.handSize"),
    Column("QueueLengthLimit", "flowcontrol.v1.QueuingConfiguration.queueLengthLimit"),
    AGE,
]
CLAIM = [NAME, Column("State", "A summary of the current state (allocated, pending, reserved, etc.)."), AGE]
SLICE = [
    NAME,
    Column("Node", "resource.v1.ResourceSliceSpec.nodeName"),
    Column("Driver", "resource.v1.ResourceSliceSpec.driver"),
    Column("Pool", "resource.v1.ResourcePool.name"),
    AGE,
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
    healthy: Object = next((each for each in obj.get("conditions") or () if each.get("type") == "Healthy"), {})
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


def lease(obj: Object, now: datetime) -> list[Any]:
    return [name_of(obj), (obj.get("spec") or {}).get("holderIdentity", ""), age(obj, now)]


def priority_class(obj: Object, now: datetime) -> list[Any]:
    default = bool(obj.get("globalDefault"))
    return [name_of(obj), obj.get("value", 0), default, age(obj, now), obj.get("preemptionPolicy", "")]


def runtime_class(obj: Object, now: datetime) -> list[Any]:
    return [name_of(obj), obj.get("handler", ""), age(obj, now)]


def webhooks(obj: Object, now: datetime) -> list[Any]:
    return [name_of(obj), len(obj.get("webhooks") or ()), age(obj, now)]


def policy(obj: Object, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    kind = spec.get("paramKind")
    rules = spec.get("validations") or spec.get("mutations") or ()
    return [
        name_of(obj),
        len(rules),
        f"{kind.get('apiVersion')}/{kind.get('kind')}" if kind else "<unset>",
        age(obj, now),
    ]


def policy_binding(obj: Object, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    reference = spec.get("paramRef")
    text = "<unset>"
    if reference is not None:
        where = f"{reference['namespace']}/" if reference.get("namespace") else "*/"
        text = where + (reference.get("name") or "")
    return [name_of(obj), spec.get("policyName", ""), text, age(obj, now)]


def api_service(obj: Object, now: datetime) -> list[Any]:
    service = (obj.get("spec") or {}).get("service")
    where = f"{service.get('namespace')}/{service.get('name')}" if service else "Local"
    available = next(
        (each for each in (obj.get("status") or {}).get("conditions") or () if each.get("type") == "Available"), None
    )
    state = UNKNOWN if available is None else available.get("status", "")
    if available is not None and state != "True":
        state = f"{state} ({available.get('reason', '')})"
    return [name_of(obj), where, state, age(obj, now)]


def flow_schema(obj: Object, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    method = (spec.get("distinguisherMethod") or {}).get("type") or NONE
    dangling: Object = next(
        (each for each in (obj.get("status") or {}).get("conditions") or () if each.get("type") == "Dangling"), {}
    )
    level = (spec.get("priorityLevelConfiguration") or {}).get("name") or NONE
    return [
        name_of(obj),
        level,
        spec.get("matchingPrecedence", 0),
        method,
        age(obj, now),
        dangling.get("status") or "?",
    ]


def priority_level(obj: Object, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    limited = spec.get("limited") or spec.get("exempt") or {}
    queuing = (limited.get("limitResponse") or {}).get("queuing") or {}
    numbers = [queuing.get(field, NONE) for field in ("queues", "handSize", "queueLengthLimit")]
    return [name_of(obj), spec.get("type", ""), limited.get("nominalConcurrencyShares", NONE), *numbers, age(obj, now)]


def claim(obj: Object, now: datetime) -> list[Any]:
    status = obj.get("status") or {}
    states = ["deleted"] if obj["metadata"].get("deletionTimestamp") else []
    states += [] if status.get("allocation") is None else ["allocated"]
    states += ["reserved"] if status.get("reservedFor") else []
    return [name_of(obj), ",".join(states) or "pending", age(obj, now)]


def device_slice(obj: Object, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    return [
        name_of(obj),
        spec.get("nodeName", ""),
        spec.get("driver", ""),
        (spec.get("pool") or {}).get("name", ""),
        age(obj, now),
    ]
