"""Jobs and CronJobs."""

from __future__ import annotations

import re
import zoneinfo

from kubesim.admission.validation import meta, names, pods
from kubesim.admission.validation.fields import Problems
from kubesim.resources import Object

MODES = ("Indexed", "NonIndexed")
ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
MAX_CRON_NAME = 52


def job(problems: Problems, obj: Object) -> None:
    spec = obj.get("spec") or {}
    if spec.get("completionMode") == "Indexed" and (spec.get("completions") or 0) > 0 and obj["metadata"].get("name"):
        last = f"{obj['metadata']['name']}-{spec['completions'] - 1}"
        if names.label(last):
            problems.invalid(
                "metadata.name", obj["metadata"]["name"], f"will not able to create pod with invalid DNS label: {last}"
            )
    job_spec(problems, spec, "spec")
    if spec.get("selector") is not None:
        meta.selector(problems, spec["selector"], "spec.selector")
        labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
        if not meta.selects(spec["selector"], labels):
            problems.invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")


def job_spec(problems: Problems, spec: Object, path: str) -> None:
    for field in (
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ):
        problems.at_least(f"{path}.{field}", spec.get(field))
    mode = spec.get("completionMode")
    if mode is not None and mode not in MODES:
        problems.unsupported(f"{path}.completionMode", mode, MODES)
    if mode == "Indexed":
        _indexed(problems, spec, path)
    elif spec.get("backoffLimitPerIndex") is not None:
        problems.invalid(
            f"{path}.backoffLimitPerIndex", spec["backoffLimitPerIndex"], "requires indexed completion mode"
        )
    template = spec.get("template")
    pods.template(problems, template, f"{path}.template")
    policy = ((template or {}).get("spec") or {}).get("restartPolicy")
    where = f"{path}.template.spec.restartPolicy"
    if policy == "Always":
        problems.required(where, 'valid values: "OnFailure", "Never"')
    elif policy not in ("OnFailure", "Never"):
        problems.unsupported(where, policy or "", ["Never", "OnFailure"])
    elif spec.get("podFailurePolicy") and policy != "Never":
        problems.invalid(
            f"{path}.podFailurePolicy", policy, 'only "Never" is supported when podFailurePolicy is specified'
        )
    if spec.get("podFailurePolicy"):
        _failure_policy(problems, spec, f"{path}.podFailurePolicy.rules")
    replacement = spec.get("podReplacementPolicy")
    if replacement not in (None, "Failed", "TerminatingOrFailed"):
        problems.unsupported(f"{path}.podReplacementPolicy", replacement, ["Failed", "TerminatingOrFailed"])


def _indexed(problems: Problems, spec: Object, path: str) -> None:
    if spec.get("completions") is None:
        problems.required(f"{path}.completions", "when completion mode is Indexed")
    elif (spec.get("parallelism") or 0) > 100_000:
        problems.invalid(
            f"{path}.parallelism",
            spec["parallelism"],
            "must be less than or equal to 100000 when completion mode is Indexed",
        )


def _failure_policy(problems: Problems, spec: Object, path: str) -> None:
    containers = _container_names(spec)
    for at, rule in enumerate(spec["podFailurePolicy"].get("rules") or ()):
        here = f"{path}[{at}]"
        problems.choice(f"{here}.action", rule.get("action"), ACTIONS)
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
        if codes is not None and conditions:
            problems.invalid(here, None, "specifying both OnExitCodes and OnPodConditions is not supported")
        if codes is None and not conditions:
            problems.invalid(here, None, "specifying one of OnExitCodes and OnPodConditions is required")
        if codes is not None:
            _exit_codes(problems, codes, f"{here}.onExitCodes", containers)


def _container_names(spec: Object) -> set[str]:
    pod = (spec.get("template") or {}).get("spec") or {}
    return {each.get("name", "") for kind in ("containers", "initContainers") for each in pod.get(kind) or ()}


def _exit_codes(problems: Problems, codes: Object, path: str, containers: set[str]) -> None:
    problems.choice(f"{path}.operator", codes.get("operator"), ("In", "NotIn"))
    if codes.get("containerName") is not None and codes["containerName"] not in containers:
        problems.invalid(
            f"{path}.containerName",
            codes["containerName"],
            "must be one of the container or initContainer names in the pod template",
        )
    values = codes.get("values") or []
    if not values:
        problems.invalid(f"{path}.values", values, "at least one value is required")
    for at, value in enumerate(values):
        if codes.get("operator") == "In" and value == 0:
            problems.invalid(f"{path}.values[{at}]", value, "must not be 0 for the In operator")
        if value in values[:at]:
            problems.duplicate(f"{path}.values[{at}]", value)
    if values != sorted(values):
        problems.invalid(f"{path}.values", values, "must be ordered")


def job_update(problems: Problems, obj: Object, old: Object) -> None:
    job(problems, obj)
    spec, was = obj.get("spec") or {}, old.get("spec") or {}
    if spec.get("completions") != was.get("completions") and not (
        spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get("parallelism")
    ):
        problems.invalid("spec.completions", spec.get("completions"), "field is immutable")
    for field in (
        "selector",
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "manualSelector",
        "successPolicy",
    ):
        problems.immutable(f"spec.{field}", spec.get(field), was.get(field))
    if spec.get("template") != was.get("template") and not (_paused(old) and _same_but_scheduling(spec, was)):
        problems.invalid("spec.template", spec.get("template"), "field is immutable")


def _paused(old: Object) -> bool:
    """A suspended job that has not started may still change where its pods go."""
    return bool((old.get("spec") or {}).get("suspend")) and not (old.get("status") or {}).get("startTime")


def _same_but_scheduling(spec: Object, was: Object) -> bool:
    def core(value: Object) -> Object:
        pod = {
            key: each
            for key, each in (value["template"].get("spec") or {}).items()
            if key not in ("nodeSelector", "affinity", "tolerations", "schedulingGates")
        }
        metadata = {
            key: each
            for key, each in (value["template"].get("metadata") or {}).items()
            if key not in ("labels", "annotations")
        }
        return {"metadata": metadata, "spec": pod}

    return core(spec) == core(was)


def cron_job(problems: Problems, obj: Object) -> None:
    spec, name = obj.get("spec") or {}, obj["metadata"].get("name") or ""
    if len(name) > MAX_CRON_NAME:
        problems.invalid("metadata.name", name, f"must be no more than {MAX_CRON_NAME} characters")
    cron_spec(problems, spec)


def cron_spec(problems: Problems, spec: Object) -> None:
    if not spec.get("schedule"):
        problems.required("spec.schedule")
    else:
        _schedule(problems, spec["schedule"])
    if spec.get("startingDeadlineSeconds") is not None:
        problems.at_least("spec.startingDeadlineSeconds", spec["startingDeadlineSeconds"])
    zone = spec.get("timeZone")
    if zone is not None and not _known_zone(zone):
        problems.invalid(
            "spec.timeZone", zone, f"unknown time zone {zone}" if zone else "timeZone must be nil or non-empty string"
        )
    problems.choice("spec.concurrencyPolicy", spec.get("concurrencyPolicy"), ("Allow", "Forbid", "Replace"))
    job_spec(problems, (spec.get("jobTemplate") or {}).get("spec") or {}, "spec.jobTemplate.spec")
    for field in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        problems.at_least(f"spec.{field}", spec.get(field))


def cron_job_update(problems: Problems, obj: Object, old: Object) -> None:
    cron_spec(problems, obj.get("spec") or {})


def _known_zone(zone: str) -> bool:
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return bool(zone) and zone != "Local"


DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
MONTHS = {
    name: at
    for at, name in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)
}
DAYS = {name: at for at, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
BOUNDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, MONTHS),
    (0, 6, DAYS),
)


def _schedule(problems: Problems, text: str) -> None:
    if text.startswith(("TZ=", "CRON_TZ=")):
        problems.invalid("spec.schedule", text, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead")
        return
    if text in DESCRIPTORS or re.fullmatch(r"@every (\d+(\.\d+)?(ns|us|ms|s|m|h))+", text):
        return
    parts = text.split()
    if text.startswith("@"):
        problems.invalid("spec.schedule", text, f"unrecognized descriptor: {text}")
    elif len(parts) != 5:
        problems.invalid("spec.schedule", text, f"expected exactly 5 fields, found {len(parts)}: [{' '.join(parts)}]")
    else:
        for part, bounds in zip(parts, BOUNDS, strict=True):
            wrong = _part_error(part, *bounds)
            if wrong:
                problems.invalid("spec.schedule", text, wrong)
                return


def _part_error(part: str, low: int, high: int, words: dict[str, int]) -> str:
    """What the cron parser says of one field; "" where it reads it."""
    for expression in part.split(","):
        span, slash, step = expression.partition("/")
        if slash and not step.isdigit():
            return f'failed to parse int from {step}: strconv.Atoi: parsing "{step}": invalid syntax'
        if slash and int(step) == 0:
            return f"step of range should be a positive number: {expression}"
        if span in ("*", "?"):
            continue
        ends = []
        for end in span.split("-"):
            value = words.get(end.lower(), end)
            if not str(value).isdigit():
                return f'failed to parse int from {end}: strconv.Atoi: parsing "{end}": invalid syntax'
            ends.append(int(value))
        if len(ends) > 2:
            return f"too many hyphens: {expression}"
        if ends[0] < low:
            return f"beginning of range ({ends[0]}) below minimum ({low}): {expression}"
        if ends[-1] > high:
            return f"end of range ({ends[-1]}) above maximum ({high}): {expression}"
        if ends[0] > ends[-1]:
            return f"beginning of range ({ends[0]}) beyond end of range ({ends[-1]}): {expression}"
    return ""
