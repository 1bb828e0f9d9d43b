"""PodDefaults applied to a pod: which match, whether they may, and the pod that comes out. Pure.

Everything is checked before anything is applied, so a pod gets all of its PodDefaults or is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kubeflow_lite.objects import Object, annotation, labels, metadata, name, namespace
from kubeflow_lite.poddefaults import merging
from kubeflow_lite.poddefaults.merging import Merged, merge_list, merge_map, merge_mounts
from kubeflow_lite.poddefaults.selectors import selects

PREFIX = "poddefault.admission.kubeflow.org"
MIRROR = "kubernetes.io/config.mirror"
_SIDECAR_OF_ISTIO = "istio-proxy"


@dataclass(frozen=True)
class Refusal:
    """The pod may not be created, and why."""

    message: str


def excluded(pod: Object) -> bool:
    """Pods that ask to be left alone, and mirror pods (which nobody may change)."""
    return annotation(pod, f"{PREFIX}/exclude") == "true" or annotation(pod, MIRROR) is not None


def matching(pod: Object, pod_namespace: str, defaults: Sequence[Object]) -> list[Object]:
    """Those of the pod's own namespace that select it, in the order given."""
    return [
        default
        for default in defaults
        if namespace(default) == pod_namespace and selects(default["spec"].get("selector") or {}, labels(pod))
    ]


def apply(pod: Object, defaults: Sequence[Object]) -> Object | Refusal:
    """The pod with every one of `defaults` in it, or why that cannot be. `defaults` are those that match."""
    if not defaults:
        return pod
    meta, spec = metadata(pod), pod["spec"]
    pod_parts = _pod_parts(spec, defaults)
    notes, marks = (merge_map(meta.get(field), defaults, field=field) for field in ("annotations", "labels"))
    own = [_container_parts(container, defaults) for container in spec["containers"]]
    parts = [*pod_parts.values(), *(part for container in own for part in container.values()), notes, marks]
    if problems := [problem for part in parts for problem in part.problems]:
        return _refusal(pod, defaults, problems)
    containers = [
        _container(container, merged, defaults) for container, merged in zip(spec["containers"], own, strict=True)
    ]
    sidecars = pod_parts.pop("containers").value[len(containers) :]
    stamps = {f"{PREFIX}/poddefault-{name(one)}": str(metadata(one).get("resourceVersion") or "") for one in defaults}
    return {
        **pod,
        "metadata": {
            **meta,
            "annotations": {**notes.value, **stamps},
            **({"labels": marks.value} if marks.value else {}),
        },
        "spec": {
            **spec,
            **{field: part.value for field, part in pod_parts.items() if part.value},
            **_last("serviceAccountName", defaults),
            **_last("automountServiceAccountToken", defaults),
            "containers": containers + sidecars,
        },
    }


def _pod_parts(spec: Object, defaults: Sequence[Object]) -> dict[str, Merged]:
    def merged(field: str, *, source: str = "", key: str = "name", what: str = "") -> Merged:
        return merge_list(spec.get(field), defaults, field=source or field, key=key, what=what or field)

    return {
        "volumes": merged("volumes"),
        "tolerations": merged("tolerations", key="key"),
        "imagePullSecrets": merged("imagePullSecrets", what="imagePullSecret"),
        "initContainers": merged("initContainers"),
        "containers": merged("containers", source="sidecars", what="sidecars"),
    }


def _container_parts(container: Object, defaults: Sequence[Object]) -> dict[str, Merged]:
    sources = [source for default in defaults for source in default["spec"].get("envFrom") or []]
    return {
        "env": merge_list(container.get("env"), defaults, field="env", key="name", what="env"),
        "envFrom": Merged([*(container.get("envFrom") or []), *sources]),
        "volumeMounts": merge_mounts(container.get("volumeMounts"), defaults),
    }


def _container(container: Object, parts: dict[str, Merged], defaults: Sequence[Object]) -> Object:
    """command and args go only where the container has none of its own; the first PodDefault that has them wins."""
    added = {field: part.value for field, part in parts.items() if part.value}
    if container["name"] != _SIDECAR_OF_ISTIO:
        for field in ("command", "args"):
            given = (default["spec"][field] for default in defaults if default["spec"].get(field) is not None)
            if container.get(field) is None and (value := next(given, None)) is not None:
                added[field] = value
    return {**container, **added}


def _last(field: str, defaults: Sequence[Object]) -> Object:
    """A single value that each PodDefault overwrites: the last one stays."""
    given = [default["spec"][field] for default in defaults if default["spec"].get(field) not in (None, "")]
    return {field: given[-1]} if given else {}


def _refusal(pod: Object, defaults: Sequence[Object], problems: Sequence[str]) -> Refusal:
    names = ",".join(name(default) for default in defaults)
    who = name(pod) or metadata(pod).get("generateName", "")
    return Refusal(
        f"conflict occurred while applying poddefaults: {names} on pod: {who} err: {merging.aggregate(problems)}"
    )
