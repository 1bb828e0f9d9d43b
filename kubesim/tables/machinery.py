"""The machinery of a cluster: leases, priorities, admission, registered API groups, flow control and devices."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kubesim.resources import Object
from kubesim.tables.column import AGE, NAME, NONE, UNKNOWN, Column, age, condition, name_of

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
    available = condition(obj.get("status") or {}, "Available")
    state = available.get("status", "") if available else UNKNOWN
    if available and state != "True":
        state = f"{state} ({available.get('reason', '')})"
    return [name_of(obj), where, state, age(obj, now)]


def flow_schema(obj: Object, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    method = (spec.get("distinguisherMethod") or {}).get("type") or NONE
    dangling = condition(obj.get("status") or {}, "Dangling")
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
