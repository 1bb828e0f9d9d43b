"""Deployments, ReplicaSets, StatefulSets, DaemonSets, Jobs, CronJobs, autoscalers and disruption budgets."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kubesim.resources import Object
from kubesim.tables.column import (
    AGE,
    CONTAINERS,
    IMAGES,
    NAME,
    NONE,
    UNKNOWN,
    Column,
    age,
    duration,
    labels,
    moment,
    name_of,
    selector,
    since,
    template,
)

DEPLOYMENT = [
    NAME,
    Column("Ready", "Number of the pod with ready state"),
    Column("Up-to-date", "apps.v1.DeploymentStatus.updatedReplicas"),
    Column("Available", "apps.v1.DeploymentStatus.availableReplicas"),
    AGE,
    CONTAINERS,
    IMAGES,
    Column("Selector", "apps.v1.DeploymentSpec.selector", wide=True),
]
REPLICA_SET = [
    NAME,
    Column("Desired", "apps.v1.ReplicaSetSpec.replicas", type="integer"),
    Column("Current", "apps.v1.ReplicaSetStatus.replicas", type="integer"),
    Column("Ready", "apps.v1.ReplicaSetStatus.readyReplicas", type="integer"),
    AGE,
    CONTAINERS,
    IMAGES,
    Column("Selector", "apps.v1.ReplicaSetSpec.selector", wide=True),
]
REPLICATION_CONTROLLER = [
    NAME,
    Column("Desired", "core.v1.ReplicationControllerSpec.replicas", type="integer"),
    Column("Current", "core.v1.ReplicationControllerStatus.replicas", type="integer"),
    Column("Ready", "core.v1.ReplicationControllerStatus.readyReplicas", type="integer"),
    AGE,
    CONTAINERS,
    IMAGES,
    Column("Selector", "core.v1.ReplicationControllerSpec.selector", wide=True),
]
STATEFUL_SET = [NAME, Column("Ready", "Number of the pod with ready state"), AGE, CONTAINERS, IMAGES]
DAEMON_SET = [
    NAME,
    Column("Desired", "apps.v1.DaemonSetStatus.desiredNumberScheduled", type="integer"),
    Column("Current", "apps.v1.DaemonSetStatus.currentNumberScheduled", type="integer"),
    Column("Ready", "apps.v1.DaemonSetStatus.numberReady", type="integer"),
    Column("Up-to-date", "apps.v1.DaemonSetStatus.updatedNumberScheduled", type="integer"),
    Column("Available", "apps.v1.DaemonSetStatus.numberAvailable", type="integer"),
    Column("Node Selector", "core.v1.PodSpec.nodeSelector"),
    AGE,
    CONTAINERS,
    IMAGES,
    Column("Selector", "apps.v1.DaemonSetSpec.selector", wide=True),
]
JOB = [
    NAME,
    Column("Status", "Status of the job."),
    Column("Completions", "batch.v1.JobStatus.succeeded"),
    Column("Duration", "Time required to complete the job."),
    AGE,
    CONTAINERS,
    IMAGES,
    Column("Selector", "batch.v1.JobSpec.selector", wide=True),
]
CRON_JOB = [
    NAME,
    Column("Schedule", "batch.v1.CronJobSpec.schedule"),
    Column("Timezone", "batch.v1.CronJobSpec.timeZone"),
    Column("Suspend", "batch.v1.CronJobSpec.suspend", type="boolean"),
    Column("Active", "batch.v1.CronJobStatus.active", type="integer"),
    Column("Last Schedule", "batch.v1.CronJobStatus.lastScheduleTime"),
    AGE,
    CONTAINERS,
    IMAGES,
    Column("Selector", "batch.v1.JobSpec.selector", wide=True),
]
AUTOSCALER = [
    NAME,
    Column("Reference", "autoscaling.v2.HorizontalPodAutoscalerSpec.scaleTargetRef"),
    Column("Targets", "autoscaling.v2.HorizontalPodAutoscalerSpec.metrics"),
    Column("MinPods", "autoscaling.v2.HorizontalPodAutoscalerSpec.minReplicas"),
    Column("MaxPods", "autoscaling.v2.HorizontalPodAutoscalerSpec.maxReplicas"),
    Column("Replicas", "autoscaling.v2.HorizontalPodAutoscalerStatus.currentReplicas"),
    AGE,
]
DISRUPTION_BUDGET = [
    NAME,
    Column("Min Available", "The minimum number of pods that must be available."),
    Column("Max Unavailable", "The maximum number of pods that may be unavailable."),
    Column("Allowed Disruptions", "Calculated number of pods that may be disrupted at this time.", type="integer"),
    AGE,
]
REVISION = [
    NAME,
    Column("Controller", "Controller of the object"),
    Column("Revision", "apps.v1.ControllerRevision.revision"),
    AGE,
]


def _parts(obj: Object) -> tuple[Object, Object]:
    return obj.get("spec") or {}, obj.get("status") or {}


def deployment(obj: Object, now: datetime) -> list[Any]:
    spec, status = _parts(obj)
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}"
    counts = [ready, status.get("updatedReplicas", 0), status.get("availableReplicas", 0)]
    return [name_of(obj), *counts, age(obj, now), *template(spec), selector(spec.get("selector"))]


def replica_set(obj: Object, now: datetime) -> list[Any]:
    spec, status = _parts(obj)
    counts = [spec.get("replicas", 0), status.get("replicas", 0), status.get("readyReplicas", 0)]
    return [name_of(obj), *counts, age(obj, now), *template(spec), selector(spec.get("selector"))]


def replication_controller(obj: Object, now: datetime) -> list[Any]:
    return [
        *replica_set(obj | {"spec": {**obj["spec"], "selector": None}}, now)[:-1],
        labels(obj["spec"].get("selector")),
    ]


def stateful_set(obj: Object, now: datetime) -> list[Any]:
    spec, status = _parts(obj)
    return [name_of(obj), f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}", age(obj, now), *template(spec)]


def daemon_set(obj: Object, now: datetime) -> list[Any]:
    spec, status = _parts(obj)
    counts = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    )
    nodes = labels(((spec.get("template") or {}).get("spec") or {}).get("nodeSelector"))
    numbers = [status.get(count, 0) for count in counts]
    return [name_of(obj), *numbers, nodes, age(obj, now), *template(spec), selector(spec.get("selector"))]


def job(obj: Object, now: datetime) -> list[Any]:
    spec, status = _parts(obj)
    done, completions = status.get("succeeded", 0), spec.get("completions")
    if completions is not None:
        count = f"{done}/{completions}"
    elif spec.get("parallelism", 1) > 1:
        count = f"{done}/1 of {spec['parallelism']}"
    else:
        count = f"{done}/1"
    row = [name_of(obj), _job_status(obj), count, _job_duration(status, now), age(obj, now)]
    return [*row, *template(spec), selector(spec.get("selector"))]


def _job_status(obj: Object) -> str:
    status = obj.get("status") or {}
    true = {each["type"] for each in status.get("conditions") or () if each.get("status") == "True"}
    if "Complete" in true:
        return "Complete"
    if "Failed" in true:
        return "Failed"
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    if "Suspended" in true:
        return "Suspended"
    if "FailureTarget" in true:
        return "FailureTarget"
    return "SuccessCriteriaMet" if "SuccessCriteriaMet" in true else "Running"


def _job_duration(status: Object, now: datetime) -> str:
    start, end = status.get("startTime"), status.get("completionTime")
    if not start:
        return ""
    if end:
        return duration((moment(end) - moment(start)).total_seconds())
    failed = [
        each for each in status.get("conditions") or () if each.get("type") == "Failed" and each.get("status") == "True"
    ]
    if failed and failed[0].get("lastTransitionTime"):
        return since(start, moment(failed[0]["lastTransitionTime"]))
    return since(start, now)


def cron_job(obj: Object, now: datetime) -> list[Any]:
    spec, status = _parts(obj)
    last = status.get("lastScheduleTime")
    inner = (spec.get("jobTemplate") or {}).get("spec") or {}
    row = [
        name_of(obj),
        spec.get("schedule", ""),
        spec.get("timeZone") or NONE,
        "True" if spec.get("suspend") else "False",
    ]
    row += [len(status.get("active") or ()), since(last, now) if last else NONE, age(obj, now)]
    return [*row, *template(inner), selector(inner.get("selector"))]


def autoscaler(obj: Object, now: datetime) -> list[Any]:
    spec, status = _parts(obj)
    target = spec.get("scaleTargetRef") or {}
    reference = f"{target.get('kind', '')}/{target.get('name', '')}"
    low = spec.get("minReplicas")
    targets = _targets(spec.get("metrics") or (), status.get("currentMetrics") or ())
    row = [name_of(obj), reference, targets, str(low) if low is not None else "<unset>", spec.get("maxReplicas", 0)]
    return [*row, status.get("currentReplicas", 0), age(obj, now)]


def autoscaler_v1(obj: Object, now: datetime) -> list[Any]:
    """The first version knows CPU only; it prints like the second."""
    spec, status = _parts(obj)
    wanted, current = spec.get("targetCPUUtilizationPercentage"), status.get("currentCPUUtilizationPercentage")
    metrics = (
        [{"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": wanted}}}] if wanted else []
    )
    now_at = [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": current}}}]
    return autoscaler(obj | {"spec": {**spec, "metrics": metrics}, "status": {**status, "currentMetrics": now_at}}, now)


MOST_METRICS = 2


def _targets(metrics: Any, current: Any) -> str:
    texts = [_metric(metric, current[at] if at < len(current) else {}) for at, metric in enumerate(metrics)]
    if not texts:
        return NONE
    more = len(texts) - MOST_METRICS
    return ", ".join(texts[:MOST_METRICS]) + (f" + {more} more..." if more > 0 else "")


def _metric(metric: Object, current: Object) -> str:
    kind = metric.get("type", "")
    field = kind[:1].lower() + kind[1:]
    source, at = metric.get(field) or {}, (current.get(field) or {}).get("current") or {}
    target = source.get("target") or {}
    if kind in ("Resource", "ContainerResource"):
        name = source.get("name", "")
        return f"{name}: {_against(target, at)}"
    if kind in ("Pods", "Object", "External"):
        value = at.get("averageValue") if target.get("averageValue") else at.get("value")
        wanted = target.get("averageValue") or target.get("value") or "<auto>"
        suffix = " (avg)" if target.get("averageValue") and kind != "Pods" else ""
        return f"{value if value is not None else UNKNOWN}/{wanted}{suffix}"
    return "<unknown type>"


def _against(target: Object, current: Object) -> str:
    if target.get("averageValue") is not None:
        return f"{current.get('averageValue') or UNKNOWN}/{target['averageValue']}"
    used, wanted = current.get("averageUtilization"), target.get("averageUtilization")
    return f"{f'{used}%' if used is not None else UNKNOWN}/{f'{wanted}%' if wanted is not None else '<auto>'}"


def disruption_budget(obj: Object, now: datetime) -> list[Any]:
    spec, status = _parts(obj)
    low, high = (
        str(spec[field]) if spec.get(field) is not None else "N/A" for field in ("minAvailable", "maxUnavailable")
    )
    return [name_of(obj), low, high, status.get("disruptionsAllowed", 0), age(obj, now)]


def revision(obj: Object, now: datetime) -> list[Any]:
    owner = next((each for each in obj["metadata"].get("ownerReferences") or () if each.get("controller")), None)
    group = (owner or {}).get("apiVersion", "").rpartition("/")[0]
    kind = f"{owner['kind'].lower()}{f'.{group}' if group else ''}/{owner['name']}" if owner else NONE
    return [name_of(obj), kind, obj.get("revision", 0), age(obj, now)]


SCALE = [
    Column("Name", NAME.about),
    Column("Desired", "autoscaling.v1.ScaleSpec.replicas", type="integer"),
    Column("Available", "autoscaling.v1.ScaleStatus.replicas", type="integer"),
    AGE,
]


def scale(obj: Object, now: datetime) -> list[Any]:
    desired, available = obj["spec"].get("replicas", 0), (obj.get("status") or {}).get("replicas", 0)
    return [name_of(obj), desired, available, age(obj, now)]
