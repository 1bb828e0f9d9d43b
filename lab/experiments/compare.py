"""Two runs side by side: what was asked for, what it was trained on, with what, and how well it does. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lab.experiments.mlflow import Run
from lab.messages import mark

DATA = ("data", "data_digest")
MODEL = ("model_digest", "skops_digest")
CODE = {
    "mlflow.source.git.commit": mark("git revision"),
    "code_digest": mark("training program"),
    "image_digest": mark("image"),
}
_PACKAGE = "version."


@dataclass(frozen=True)
class Row:
    """One property of both; "" where a run does not have it."""

    section: str
    name: str
    left: str
    right: str

    @property
    def differs(self) -> bool:
        return self.left != self.right


def compare(left: Run, right: Run) -> list[Row]:
    """Every property either of them has, in the order in which a reader asks."""
    return [
        *_rows(mark("run"), _about(left), _about(right)),
        *_rows(mark("parameters"), _parameters(left), _parameters(right)),
        *_rows(mark("data"), _chosen(left.params, DATA), _chosen(right.params, DATA)),
        *_rows(mark("metrics"), _metrics(left), _metrics(right)),
        *_rows(mark("model"), _chosen(left.tags, MODEL), _chosen(right.tags, MODEL)),
        *_rows(mark("code"), _code(left), _code(right)),
        *_rows(mark("packages"), packages(left), packages(right)),
    ]


def packages(run: Run) -> dict[str, str]:
    """The versions a run was made with."""
    return {key.removeprefix(_PACKAGE): value for key, value in sorted(run.tags.items()) if key.startswith(_PACKAGE)}


def _rows(section: str, left: Mapping[str, str], right: Mapping[str, str]) -> Iterator[Row]:
    for name in dict.fromkeys([*left, *right]):
        yield Row(section, name, left.get(name, ""), right.get(name, ""))


def _about(run: Run) -> dict[str, str]:
    return {mark("name"): run.name, "id": run.id, mark("status"): run.status} | _chosen(run.tags, ("failure",))


def _parameters(run: Run) -> dict[str, str]:
    return {key: value for key, value in sorted(run.params.items()) if key not in DATA}


def _metrics(run: Run) -> dict[str, str]:
    return {key: f"{value:.6g}" for key, value in sorted(run.metrics.items())}


def _code(run: Run) -> dict[str, str]:
    return {words: run.tags[key] for key, words in CODE.items() if key in run.tags}


def _chosen(values: Mapping[str, str], keys: tuple[str, ...]) -> dict[str, str]:
    return {key: values[key] for key in keys if key in values}
