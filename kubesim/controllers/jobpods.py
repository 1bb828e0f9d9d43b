"""A Job's pods as they are made."""

from __future__ import annotations

from kubesim.controllers.jobrules import INDEX, TRACKING
from kubesim.controllers.kinds import JOBS
from kubesim.controllers.owners import pod_from
from kubesim.resources import Object


def new_pod(job: Object, index: int | None) -> Object:
    """A tracked pod of the Job; with an index it is told so by annotation, label, host name and JOB_COMPLETION_INDEX."""
    pod = pod_from(job["spec"]["template"], JOBS, job)
    metadata = pod["metadata"]
    metadata["finalizers"] = [*(metadata.get("finalizers") or ()), TRACKING]
    if index is None:
        return pod
    name = job["metadata"]["name"]
    metadata["generateName"] = f"{name}-{index}-"
    metadata["annotations"] = (metadata.get("annotations") or {}) | {INDEX: str(index)}
    metadata["labels"] = (metadata.get("labels") or {}) | {INDEX: str(index)}
    pod["spec"] = _with_index(pod["spec"]) | {"hostname": f"{name}-{index}"}
    return pod


def _with_index(spec: Object) -> Object:
    source = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX}']"}}
    entry = {"name": "JOB_COMPLETION_INDEX", "valueFrom": source}

    def told(container: Object) -> Object:
        env = container.get("env") or []
        return container if any(e["name"] == entry["name"] for e in env) else container | {"env": [*env, entry]}

    return spec | {
        group: [told(c) for c in spec[group]] for group in ("initContainers", "containers") if spec.get(group)
    }
