"""HorizontalPodAutoscalers (v2): scale a target by the CPU or memory its pods use.

Every 15 seconds the metrics of the target's pods are read (metrics.k8s.io), `replicas` says how many pods they ask for, and the scale
subresource is written. Metrics of types other than Resource and ContainerResource have no source here: they are reported as failed, as Kubernetes
does without an adapter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from kubesim import quantity
from kubesim.controllers import replicas
from kubesim.controllers.amounts import amount, amounts
from kubesim.controllers.clock import parse, stamp
from kubesim.controllers.informer import Key
from kubesim.controllers.kinds import AUTOSCALERS, POD_METRICS, PODS
from kubesim.controllers.meta import labels_of, set_condition
from kubesim.controllers.replicas import Event, Groups, Limits, Sample, Unknown
from kubesim.controllers.runtime import Cluster, Controller
from kubesim.errors import ApiError, BadRequest
from kubesim.resources import Object, Resource
from kubesim.selectors import LabelSelector, parse_labels

PERIOD = 15.0


@dataclass
class Memory:
    """What is remembered of one autoscaler between rounds; lost in a restart, as in Kubernetes."""

    recommendations: list[Event] = field(default_factory=list)
    ups: list[Event] = field(default_factory=list)
    downs: list[Event] = field(default_factory=list)


@dataclass
class Round:
    """One look at one autoscaler."""

    scaler: Object
    now: datetime
    conditions: list[Object]
    metrics: list[Object] = field(default_factory=list)

    def say(self, kind: str, status: str, reason: str, message: str) -> None:
        new = {
            "type": kind,
            "status": status,
            "lastTransitionTime": stamp(self.now),
            "reason": reason,
            "message": message,
        }
        self.conditions = set_condition(self.conditions, new)

    @property
    def status(self) -> Object:
        return self.scaler.get("status") or {}


class Autoscalers(Controller):
    name = "horizontal-pod-autoscaler"

    def __init__(self, cluster: Cluster, *, discover: Callable[[], Sequence[Resource]]) -> None:
        super().__init__(cluster)
        self.discover = discover
        self.scalers = self.informer(AUTOSCALERS)
        self.scalers.on(self._changed)
        self.pods = self.informer(PODS)
        self.memory: dict[str, Memory] = defaultdict(Memory)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        """A new or changed spec is looked at soon; a status write is not news."""
        if new is None:
            self.memory.pop((old or {})["metadata"]["uid"], None)
        elif old is None or old["spec"] != new["spec"]:
            self.queue.add(Key(new["metadata"]["namespace"], new["metadata"]["name"]))

    async def reconcile(self, key: Key) -> float | None:
        scaler = self.scalers.get(*key)
        if scaler is None:
            return None
        here = Round(scaler, self.clock.now(), (scaler.get("status") or {}).get("conditions") or [])
        try:
            resource, scale = await self._scale_of(scaler)
        except ApiError as error:
            self._warn(scaler, "FailedGetScale", error.message)
            here.say(
                "AbleToScale",
                "False",
                "FailedGetScale",
                f"the HPA controller was unable to get the target's current scale: {error.message}",
            )
            await self._write(here, current=None, desired=None)
            return PERIOD
        here.say(
            "AbleToScale", "True", "SucceededGetScale", "the HPA controller was able to get the target's current scale"
        )
        await self._round(here, resource, scale)
        return PERIOD

    async def _scale_of(self, scaler: Object) -> tuple[str, Object]:
        target = scaler["spec"]["scaleTargetRef"]
        group = target.get("apiVersion", "").rpartition("/")[0]
        found = next((r for r in self.discover() if r.kind == target["kind"] and r.group == group), None)
        if found is None:
            raise BadRequest(f'no matches for kind "{target["kind"]}" in group "{group}"')
        namespace = scaler["metadata"]["namespace"]
        return found.key, await self.cluster.client.get(found.key, target["name"], namespace, subresource="scale")

    async def _round(self, here: Round, resource: str, scale: Object) -> None:
        current = int(scale["spec"].get("replicas") or 0)
        spec = here.scaler["spec"]
        low = spec.get("minReplicas", 1)
        if current == 0 and low != 0:
            here.say(
                "ScalingActive",
                "False",
                "ScalingDisabled",
                "scaling is disabled since the replica count of the target is zero",
            )
            await self._write(here, current=current, desired=0)
            return
        found = await self._desired(here, scale, current)
        if found is None:
            await self._write(here, current=current, desired=here.status.get("desiredReplicas") or 0)
            return
        desired, why = found
        if desired != current:
            desired = await self._rescale(here, resource, scale, desired, why)
        await self._write(here, current=current, desired=desired, rescaled=desired != current)

    async def _desired(self, here: Round, scale: Object, current: int) -> tuple[int, str] | None:
        spec = here.scaler["spec"]
        low, high = spec.get("minReplicas", 1), spec["maxReplicas"]
        if current > high:
            return high, "Current number of replicas above Spec.MaxReplicas"
        if current < low:
            return low, "Current number of replicas below Spec.MinReplicas"
        wanted, metric = await self._recommendation(here, scale, current)
        if wanted is None:
            return None
        why = f"{metric} above target" if wanted > current else "All metrics below target"
        return self._held(here, current, wanted), why

    # metrics

    async def _recommendation(self, here: Round, scale: Object, current: int) -> tuple[int | None, str]:
        """The largest answer of all metrics; None where one failed and the others do not ask for more."""
        found: list[tuple[int, str]] = []
        problems: list[tuple[str, str]] = []
        for metric in here.scaler["spec"].get("metrics") or ():
            try:
                found.append(await self._metric(here, scale, current, metric))
            except Unknown as error:
                reason = f"FailedGet{metric['type']}Metric"
                self._warn(here.scaler, reason, str(error))
                problems.append((reason, str(error)))
            except ApiError as error:
                reason = f"FailedGet{metric['type']}Metric"
                self._warn(here.scaler, reason, error.message)
                problems.append((reason, error.message))
        best = max(found, default=(0, ""))
        if problems and (not found or best[0] <= current):
            reason, message = problems[0]
            here.say("ScalingActive", "False", reason, f"the HPA was unable to compute the replica count: {message}")
            text = f"invalid metrics ({len(problems)} invalid out of {len(problems) + len(found)}), first error is: {message}"
            self._warn(here.scaler, "FailedComputeMetricsReplicas", text)
            return None, ""
        message = f"the HPA was able to successfully calculate a replica count from {best[1]}"
        here.say("ScalingActive", "True", "ValidMetricFound", message)
        return best

    async def _metric(self, here: Round, scale: Object, current: int, metric: Object) -> tuple[int, str]:
        kind = {"Resource": "resource", "ContainerResource": "containerResource"}.get(metric["type"])
        if kind is None:
            name = metric["type"].lower()
            raise Unknown(f"unable to get {name} metric: no custom or external metrics API is served here")
        source = metric[kind]
        resource, container = source["name"], source.get("container", "")
        try:
            return await self._resource(here, scale, current, metric, resource, container)
        except Unknown as error:
            utilization = source["target"].get("averageUtilization") is not None
            what = f"failed to get {resource} {'utilization' if utilization else 'usage'}"
            raise Unknown(f"{what}: {error}") from None

    async def _resource(
        self, here: Round, scale: Object, current: int, metric: Object, resource: str, container: str
    ) -> tuple[int, str]:
        kind = "containerResource" if container else "resource"
        target = metric[kind]["target"]
        namespace = here.scaler["metadata"]["namespace"]
        selector = parse_labels((scale.get("status") or {}).get("selector") or "")
        samples = await self._samples(namespace, resource, container, selector)
        pods = [p for p in self.pods.items(namespace) if selector.matches(labels_of(p))]
        if not pods:
            raise Unknown("no pods returned by selector while calculating replica count")
        groups = replicas.group(pods, samples, resource, here.now)
        shown = {pod["metadata"]["name"] for pod in pods}
        samples = {name: sample for name, sample in samples.items() if name in shown}
        percent = target.get("averageUtilization")
        tolerance = replicas.TOLERANCE
        if percent is not None:
            asked = _requests(pods, groups, resource, container)
            answer = replicas.recommend(current, samples, groups, int(percent), requests=asked, tolerance=tolerance)
        else:
            answer = replicas.recommend(
                current, samples, groups, _milli(resource, target["averageValue"]), tolerance=tolerance
            )
        value: Object = {"averageValue": _text(resource, answer.average)}
        if answer.utilization is not None:
            value = {"averageUtilization": answer.utilization} | value
        named = {"name": resource} | ({"container": container} if container else {})
        here.metrics.append({"type": metric["type"], kind: named | {"current": value}})
        suffix = "container resource" if container else "resource"
        how = "utilization (percentage of request)" if percent is not None else ""
        return answer.replicas, f"{resource} {suffix} {how}".strip()

    async def _samples(
        self, namespace: str, resource: str, container: str, selector: LabelSelector
    ) -> dict[str, Sample]:
        found = (await self.cluster.client.list(POD_METRICS, namespace)).items
        samples = {}
        for item in found:
            if not selector.matches(labels_of(item)) and labels_of(item):
                continue
            used = [c["usage"] for c in item.get("containers") or () if not container or c["name"] == container]
            values = [_milli(resource, usage[resource]) for usage in used if resource in usage]
            if values and len(values) == len(used):
                window = timedelta(seconds=float(str(item.get("window", "15s")).removesuffix("s")))
                samples[item["metadata"]["name"]] = Sample(sum(values), parse(item["timestamp"]), window)
        if not samples:
            raise Unknown(
                f"unable to get metrics for resource {resource}: no metrics returned from resource metrics API"
            )
        return samples

    # holding back

    def _held(self, here: Round, current: int, wanted: int) -> int:
        """What the windows and policies allow."""
        memory = self.memory[here.scaler["metadata"]["uid"]]
        limits = limits_of(here.scaler["spec"])
        if not memory.recommendations:
            memory.recommendations.append(Event(here.now, current))
        steady, (reason, message) = replicas.stabilize(wanted, current, memory.recommendations, limits, here.now)
        memory.recommendations.append(Event(here.now, wanted))
        _forget(memory, here.now)
        here.say("AbleToScale", "True", reason, message)
        desired, (status, reason, message) = replicas.limit(steady, current, memory.ups, memory.downs, limits, here.now)
        here.say("ScalingLimited", status, reason, message)
        return desired

    async def _rescale(self, here: Round, resource: str, scale: Object, desired: int, why: str) -> int:
        """Write the scale; the size that is in force afterwards."""
        current = int(scale["spec"].get("replicas") or 0)
        body = scale | {"spec": scale["spec"] | {"replicas": desired}}
        try:
            await self.cluster.client.update(resource, body, subresource="scale")
        except ApiError as error:
            self._warn(here.scaler, "FailedRescale", f"New size: {desired}; reason: {why}; error: {error.message}")
            message = f"the HPA controller was unable to update the target scale: {error.message}"
            here.say("AbleToScale", "False", "FailedUpdateScale", message)
            return current
        here.say(
            "AbleToScale",
            "True",
            "SucceededRescale",
            f"the HPA controller was able to update the target scale to {desired}",
        )
        self.recorder.event(
            AUTOSCALERS, here.scaler, "Normal", "SuccessfulRescale", f"New size: {desired}; reason: {why}"
        )
        memory = self.memory[here.scaler["metadata"]["uid"]]
        (memory.ups if desired > current else memory.downs).append(Event(here.now, abs(desired - current)))
        return desired

    async def _write(self, here: Round, *, current: int | None, desired: int | None, rescaled: bool = False) -> None:
        before = here.status
        status: Object = {
            "currentReplicas": before.get("currentReplicas", 0) if current is None else current,
            "desiredReplicas": before.get("desiredReplicas", 0) if desired is None else desired,
            "currentMetrics": here.metrics or before.get("currentMetrics"),
            "conditions": here.conditions,
        }
        last = stamp(here.now) if rescaled else before.get("lastScaleTime")
        if last:
            status["lastScaleTime"] = last
        if here.scaler["metadata"].get("generation"):
            status["observedGeneration"] = here.scaler["metadata"]["generation"]
        await self.cluster.update_status(AUTOSCALERS, here.scaler, status)

    def _warn(self, scaler: Object, reason: str, message: str) -> None:
        self.recorder.event(AUTOSCALERS, scaler, "Warning", reason, message)


def limits_of(spec: Object) -> Limits:
    """The bounds and the behaviour, with defaults for what it leaves out."""
    behavior = spec.get("behavior") or {}

    def rules(name: str, default: Object) -> Object:
        return default | {k: v for k, v in (behavior.get(name) or {}).items() if v is not None}

    return Limits(
        spec.get("minReplicas", 1),
        spec["maxReplicas"],
        rules("scaleUp", replicas.UP),
        rules("scaleDown", replicas.DOWN),
    )


def _forget(memory: Memory, now: datetime) -> None:
    """An hour is the longest window or period there is."""
    since = now - timedelta(hours=1)
    for events in (memory.recommendations, memory.ups, memory.downs):
        events[:] = [e for e in events if e.at > since]


def _requests(pods: Sequence[Object], groups: Groups, resource: str, container: str) -> dict[str, int]:
    found = {}
    for pod in pods:
        name = pod["metadata"]["name"]
        if name in groups.ignored:
            continue
        containers = [c for c in pod["spec"]["containers"] if not container or c["name"] == container]
        total = 0
        for each in containers:
            asked = amounts((each.get("resources") or {}).get("requests")).get(resource)
            if asked is None:
                raise Unknown(f"missing request for {resource} in container {each['name']} of Pod {name}")
            total += asked if resource == "cpu" else asked * 1000
        found[name] = total
    return found


def _milli(resource: str, text: object) -> int:
    value = amount(resource, str(text))
    return value if resource == "cpu" else value * 1000


def _text(resource: str, milli: int) -> str:
    return f"{milli}m" if resource == "cpu" and milli % 1000 else quantity.format(milli // 1000)
