"""A sweep as one Indexed Job: Kubernetes runs `parallel` points at a time and tries one that failed again, whether the lab watches or not.

Each index trains the point of its number (`--point` is given once per point, `--index` is $(JOB_COMPLETION_INDEX)), so `kubectl describe
job` shows the whole plan. An index that fails for good (exit code 2) or twice is given up, the others go on.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from lab.experiments import training
from lab.experiments.mlflow import Place
from lab.kube import Object, ready
from lab.messages import t

LABEL = "mlops-lab/sweep"
INDEX = "batch.kubernetes.io/job-completion-index"
SECONDS_PER_POINT = 600
_SUFFIXES = {"m": Fraction(1, 1000)} | {
    unit: Fraction(2**power) for unit, power in (("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40))
}


@dataclass(frozen=True)
class Wanted:
    """What a sweep's Job is to do. `arguments` are the same for every point; `points` as `training.arguments` spells them."""

    sweep: str
    points: tuple[str, ...]
    arguments: tuple[str, ...]
    parallel: int


def manifest(wanted: Wanted, place: Place) -> Object:
    """The Job to create."""
    points = [text for point in wanted.points for text in ("--point", point)]
    index = ["--index", "$(JOB_COMPLETION_INDEX)", "--run-name", f"{wanted.sweep}-$(JOB_COMPLETION_INDEX)"]
    made = training.job([*wanted.arguments, "--sweep", wanted.sweep, *index, *points], place.tenant)
    made["metadata"]["generateName"] = f"{wanted.sweep}-"
    made["metadata"]["labels"][LABEL] = wanted.sweep
    rounds = math.ceil(len(wanted.points) / wanted.parallel)
    spec = made["spec"]
    del spec["backoffLimit"]
    spec |= {
        "completionMode": "Indexed",
        "completions": len(wanted.points),
        "parallelism": wanted.parallel,
        "backoffLimitPerIndex": 1,
        "maxFailedIndexes": len(wanted.points),
        "activeDeadlineSeconds": SECONDS_PER_POINT * (rounds + 1),
    }
    for rule in spec["podFailurePolicy"]["rules"]:
        rule["action"] = "FailIndex"
    # The node's processors are shared by the points, so each trains its folds in one process.
    spec["template"]["spec"]["containers"][0]["args"] += ["--workers", "1"] if wanted.parallel > 1 else []
    return made


def points(job: Object) -> list[str]:
    """The points of a sweep's Job by index, as its arguments have them."""
    arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
    return [value for option, value in itertools.pairwise(arguments) if option == "--point"]


def over(job: Object) -> bool:
    """Whether it runs nothing any more."""
    return any(ready.condition(job, kind).get("status") == "True" for kind in ("Complete", "Failed"))


def given_up(job: Object) -> set[int]:
    """The indexes that failed for good: "1,3-5" in its status."""
    return _indexes(job.get("status", {}).get("failedIndexes") or "")


def _indexes(text: str) -> set[int]:
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        low, _, high = part.partition("-")
        found |= set(range(int(low), int(high or low) + 1))
    return found


def at_once(wanted: int, made: Object, quotas: Sequence[Object]) -> tuple[int, str]:
    """How many pods of a Job the namespace's quotas leave room for, at most `wanted`, and which quota says so ("" where none does)."""
    requests = made["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]
    most, why = wanted, ""
    for quota in quotas:
        status = quota.get("status", {})
        for key, hard in (status.get("hard") or {}).items():
            each = requests.get(key.removeprefix("requests."))
            if each is None:
                continue
            free = _quantity(hard) - _quantity((status.get("used") or {}).get(key, "0"))
            room = max(0, math.floor(free / _quantity(each)))
            if room < most:
                most, why = (
                    room,
                    t("{name} leaves {key} for {room} of them", name=quota["metadata"]["name"], key=key, room=room),
                )
    return most, why


def _quantity(text: str) -> Fraction:
    for suffix, factor in _SUFFIXES.items():
        if text.endswith(suffix):
            return Fraction(text.removesuffix(suffix)) * factor
    return Fraction(text)
