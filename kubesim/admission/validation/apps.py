"""Deployments, ReplicaSets, StatefulSets, DaemonSets, ReplicationControllers."""

from __future__ import annotations

from typing import Any

from kubesim.admission.validation import meta, names, pods, storage
from kubesim.admission.validation.fields import Problems
from kubesim.resources import Object

TEMPLATE_LABELS = "`selector` does not match template `labels`"


def _selected_template(problems: Problems, spec: Object, *, path: str = "spec") -> None:
    """The selector (required, not empty) and the template it must select."""
    selector = spec.get("selector")
    if selector is None:
        problems.required(f"{path}.selector")
    else:
        meta.selector(problems, selector, f"{path}.selector")
        if meta.empty(selector):
            problems.invalid(f"{path}.selector", selector, "empty selector is invalid for deployment")
    template = spec.get("template")
    if not template:
        problems.required(f"{path}.template")
        return
    labels = (template.get("metadata") or {}).get("labels") or {}
    if selector is not None and not meta.empty(selector) and not meta.selects(selector, labels):
        problems.invalid(f"{path}.template.metadata.labels", labels, TEMPLATE_LABELS)
    pods.template(problems, template, f"{path}.template")
    _always(problems, template, f"{path}.template")


def _always(problems: Problems, template: Object, path: str) -> None:
    spec = template.get("spec") or {}
    if spec.get("restartPolicy") in ("Never", "OnFailure"):
        problems.unsupported(f"{path}.spec.restartPolicy", spec["restartPolicy"], ["Always"])
    if spec.get("activeDeadlineSeconds") is not None:
        problems.forbidden(f"{path}.spec.activeDeadlineSeconds", "activeDeadlineSeconds in ReplicaSet is not Supported")


def _counts(problems: Problems, spec: Object, *fields: str) -> None:
    for field in fields:
        problems.at_least(f"spec.{field}", spec.get(field))


def share(problems: Problems, value: Any, path: str) -> None:
    """A count or a percentage."""
    if isinstance(value, str):
        for message in names.percent(value):
            problems.invalid(path, value, message)
    else:
        problems.at_least(path, value)


def _is_zero(value: Any) -> bool:
    return value in (0, "0%", None)


def deployment(problems: Problems, obj: Object) -> None:
    spec = obj.get("spec") or {}
    _counts(problems, spec, "replicas")
    _selected_template(problems, spec)
    _strategy(problems, spec.get("strategy") or {})
    _counts(problems, spec, "minReadySeconds", "revisionHistoryLimit")
    deadline = spec.get("progressDeadlineSeconds")
    problems.at_least("spec.progressDeadlineSeconds", deadline)
    if deadline is not None and deadline <= spec.get("minReadySeconds", 0):
        problems.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def _strategy(problems: Problems, strategy: Object, path: str = "spec.strategy") -> None:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is not None:
            problems.forbidden(f"{path}.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")
    elif kind == "RollingUpdate":
        if rolling is None:
            problems.required(f"{path}.rollingUpdate", "this should be defaulted and never be nil")
            return
        unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
        share(problems, unavailable, f"{path}.rollingUpdate.maxUnavailable")
        share(problems, surge, f"{path}.rollingUpdate.maxSurge")
        if _is_zero(unavailable) and _is_zero(surge):
            problems.invalid(f"{path}.rollingUpdate.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0")
        if isinstance(unavailable, str) and unavailable[:-1].isdigit() and int(unavailable[:-1]) > 100:
            problems.invalid(f"{path}.rollingUpdate.maxUnavailable", unavailable, "must not be greater than 100%")
    else:
        problems.unsupported(path + ".type", kind or "", ["Recreate", "RollingUpdate"])


def deployment_update(problems: Problems, obj: Object, old: Object) -> None:
    deployment(problems, obj)
    _fixed_selector(problems, obj, old)


def _fixed_selector(problems: Problems, obj: Object, old: Object) -> None:
    problems.immutable(
        "spec.selector", (obj.get("spec") or {}).get("selector"), (old.get("spec") or {}).get("selector")
    )


def replica_set(problems: Problems, obj: Object) -> None:
    spec = obj.get("spec") or {}
    _counts(problems, spec, "replicas", "minReadySeconds")
    _selected_template(problems, spec)


def replica_set_update(problems: Problems, obj: Object, old: Object) -> None:
    replica_set(problems, obj)
    _fixed_selector(problems, obj, old)


def replication_controller(problems: Problems, obj: Object) -> None:
    spec = obj.get("spec") or {}
    _counts(problems, spec, "minReadySeconds")
    selector = spec.get("selector") or {}
    if not selector:
        problems.required("spec.selector")
    problems.at_least("spec.replicas", spec.get("replicas"))
    template = spec.get("template")
    if not template:
        problems.required("spec.template")
        return
    labels = (template.get("metadata") or {}).get("labels") or {}
    if selector and not selector.items() <= labels.items():
        problems.invalid("spec.template.metadata.labels", labels, TEMPLATE_LABELS)
    pods.template(problems, template, "spec.template")
    _always(problems, template, "spec.template")


def replication_controller_update(problems: Problems, obj: Object, old: Object) -> None:
    replication_controller(problems, obj)


def daemon_set(problems: Problems, obj: Object) -> None:
    spec = obj.get("spec") or {}
    _selected_template(problems, spec)
    _counts(problems, spec, "minReadySeconds", "revisionHistoryLimit")
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") not in ("OnDelete", "RollingUpdate"):
        problems.unsupported("spec.updateStrategy", strategy.get("type", ""), ["OnDelete", "RollingUpdate"])


def daemon_set_update(problems: Problems, obj: Object, old: Object) -> None:
    daemon_set(problems, obj)
    _fixed_selector(problems, obj, old)


def stateful_set(problems: Problems, obj: Object) -> None:
    spec = obj.get("spec") or {}
    policy = spec.get("podManagementPolicy", "")
    if policy not in ("OrderedReady", "Parallel"):
        problems.invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'")
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") not in ("OnDelete", "RollingUpdate"):
        problems.invalid("spec.updateStrategy", strategy, "must be 'RollingUpdate' or 'OnDelete'")
    partition = (strategy.get("rollingUpdate") or {}).get("partition")
    problems.at_least("spec.updateStrategy.rollingUpdate.partition", partition)
    retention = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for field in ("whenDeleted", "whenScaled"):
        problems.choice(
            f"spec.persistentVolumeClaimRetentionPolicy.{field}", retention.get(field), ("Delete", "Retain")
        )
    _counts(problems, spec, "replicas", "minReadySeconds", "revisionHistoryLimit")
    _selected_template(problems, _with_claims(spec))
    for at, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
        storage.claim_spec(problems, claim.get("spec") or {}, f"spec.volumeClaimTemplates[{at}].spec")


def _with_claims(spec: Object) -> Object:
    """Containers may mount the claims by name: each becomes a volume of the pod."""
    claims = [
        {"name": name, "persistentVolumeClaim": {"claimName": name}}
        for claim in spec.get("volumeClaimTemplates") or ()
        if (name := (claim.get("metadata") or {}).get("name"))
    ]
    template = spec.get("template") or {}
    pod = template.get("spec") or {}
    if not claims or not pod:
        return spec
    taken = {claim["name"] for claim in claims}
    volumes = [volume for volume in pod.get("volumes") or () if volume.get("name") not in taken]
    return spec | {"template": template | {"spec": pod | {"volumes": [*volumes, *claims]}}}


STATEFUL_MUTABLE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)


def stateful_set_update(problems: Problems, obj: Object, old: Object) -> None:
    stateful_set(problems, obj)
    spec, was = dict(obj.get("spec") or {}), dict(old.get("spec") or {})
    for field in STATEFUL_MUTABLE:
        spec.pop(field, None)
        was.pop(field, None)
    if _without_status(spec) != _without_status(was):
        problems.forbidden(
            "spec",
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', "
            "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        )


def _without_status(spec: Object) -> Object:
    claims = [
        {key: value for key, value in claim.items() if key != "status"}
        for claim in spec.get("volumeClaimTemplates") or ()
    ]
    return {**spec, "volumeClaimTemplates": claims}
