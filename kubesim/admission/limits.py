"""LimitRanger: a namespace's LimitRanges give containers their defaults and hold pods and claims within bounds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

from kubesim.admission.amounts import NANO, Amounts, amounts, container_amounts, pod_amounts
from kubesim.admission.request import AdmissionRequest, Plugin
from kubesim.auth.reader import Derived, Reader, by_namespace
from kubesim.resources import Object

PODS = "v1/pods"
CLAIMS = "v1/persistentvolumeclaims"
LIMIT_RANGES = "v1/limitranges"
ANNOTATION = "kubernetes.io/limit-ranger"


class LimitRanger(Plugin):
    kinds = (PODS, CLAIMS)

    def __init__(self) -> None:
        self._ranges = Derived((LIMIT_RANGES,), lambda reader: by_namespace(reader.list(LIMIT_RANGES)))

    def mutate(self, request: AdmissionRequest, reader: Reader) -> None:
        if not request.creates(PODS):
            return
        said = [text for limit_range in self._of(request, reader) for text in _default(request.body, limit_range)]
        if said:
            annotations = request.body["metadata"].setdefault("annotations", {})
            annotations[ANNOTATION] = "LimitRanger plugin set: " + "; ".join(said)

    def validate(self, request: AdmissionRequest, reader: Reader) -> None:
        if not _is_limited(request):
            return
        for limit_range in self._of(request, reader):
            broken = list(violations(request.body, request.resource.key, limit_range))
            if broken:
                raise request.forbid(broken[0] if len(broken) == 1 else f"[{', '.join(broken)}]")

    def _of(self, request: AdmissionRequest, reader: Reader) -> Iterable[Object]:
        return self._ranges.of(reader).get(request.namespace, ())


def _is_limited(request: AdmissionRequest) -> bool:
    return (
        request.creates(PODS)
        or request.updates(PODS, subresource="resize")
        or request.creates(CLAIMS)
        or request.updates(CLAIMS)
    )


def _items(limit_range: Object, kind: str) -> list[Object]:
    return [item for item in (limit_range.get("spec") or {}).get("limits") or () if item.get("type") == kind]


def _default(pod: Object, limit_range: Object) -> Iterator[str]:
    """Give each container the defaults it lacks; says what was given, in Kubernetes's words."""
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    for item in _items(limit_range, "Container"):
        requests |= item.get("defaultRequest") or {}
        limits |= item.get("default") or {}
    spec = pod.get("spec") or {}
    for label, containers in (("container", spec.get("containers")), ("init container", spec.get("initContainers"))):
        for container in containers or ():
            for which, defaults in (("request", requests), ("limit", limits)):
                given = _give(container, f"{which}s", defaults)
                if given:
                    yield f"{', '.join(sorted(given))} {which} for {label} {container['name']}"


def _give(container: dict[str, Any], which: str, defaults: dict[str, str]) -> list[str]:
    have = (container.get("resources") or {}).get(which) or {}
    missing = {name: text for name, text in defaults.items() if name not in have}
    if missing:
        container["resources"] = {**(container.get("resources") or {}), which: {**have, **missing}}
    return list(missing)


def violations(obj: Object, key: str, limit_range: Object) -> Iterator[str]:
    """What breaks a LimitRange, each in Kubernetes's words."""
    if key == CLAIMS:
        requests = amounts(((obj.get("spec") or {}).get("resources") or {}).get("requests"))
        for item in _items(limit_range, "PersistentVolumeClaim"):
            yield from _beyond(item, requests, requests, said_of_limit="request")
        return
    spec = obj.get("spec") or {}
    for item in _items(limit_range, "Container"):
        for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
            yield from _beyond(item, container_amounts(container, "requests"), container_amounts(container, "limits"))
    for item in _items(limit_range, "Pod"):
        yield from _beyond(item, pod_amounts(obj, "requests"), pod_amounts(obj, "limits"))


def _beyond(item: Object, requests: Amounts, limits: Amounts, *, said_of_limit: str = "limit") -> Iterator[str]:
    kind = item["type"]
    for name, least in sorted(amounts(item.get("min")).items()):
        says = f"minimum {name} usage per {kind} is {least}"
        if name not in requests:
            yield f"{says}.  No request is specified"
        elif requests[name].value < least.value:
            yield f"{says}, but request is {requests[name]}"
        elif name in limits and limits[name].value < least.value:
            yield f"{says}, but limit is {limits[name]}"
    for name, most in sorted(amounts(item.get("max")).items()):
        says = f"maximum {name} usage per {kind} is {most}"
        if name not in limits:
            yield f"{says}.  No {said_of_limit} is specified"
        elif limits[name].value > most.value:
            yield f"{says}, but {said_of_limit} is {limits[name]}"
        elif name in requests and requests[name].value > most.value:
            yield f"{says}, but request is {requests[name]}"
    yield from _ratios(item, requests, limits)


def _ratios(item: Object, requests: Amounts, limits: Amounts) -> Iterator[str]:
    for name, most in sorted(amounts(item.get("maxLimitRequestRatio")).items()):
        says = f"{name} max limit to request ratio per {item['type']} is {most}"
        if name not in requests or not requests[name].value:
            yield f"{says}, but no request is specified or request is 0"
        elif name not in limits or not limits[name].value:
            yield f"{says}, but no limit is specified or limit is 0"
        elif (ratio := Fraction(limits[name].value, requests[name].value)) * NANO > most.value:
            yield f"{says}, but provided ratio is {float(ratio):f}"
