"""The command line as one frozen value; argparse ends the program with exit code 2 and one line where it is wrong."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Parameters:
    """What a training depends on: the same data and the same of these give the same model."""

    n_estimators: int
    max_depth: int | None
    seed: int
    test_size: float
    folds: int


@dataclass(frozen=True)
class Request:
    """One training: its parameters, what it reads, and under which names it is kept."""

    parameters: Parameters
    run_name: str
    experiment: str
    model: str
    data: Path | None
    job: str
    parent: str
    tags: tuple[tuple[str, str], ...]
    workers: int


def parse(argv: Sequence[str], job: str = "") -> Request:
    """Read the arguments; `job` names the Kubernetes Job this is an attempt of."""
    given = _parser().parse_args(argv)
    parameters = Parameters(
        n_estimators=given.n_estimators,
        max_depth=given.max_depth,
        seed=given.seed,
        test_size=given.test_size,
        folds=given.folds,
    )
    return Request(
        parameters=parameters,
        run_name=given.run_name,
        experiment=given.experiment,
        model=given.model_name,
        data=given.data,
        job=job,
        parent=given.parent_run,
        tags=tuple(given.tag),
        workers=given.workers,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="training", description="Train, judge, log and register an iris model.")
    add = parser.add_argument
    add("--n-estimators", type=_whole(1, 5000), default=100, metavar="N", help="trees of the forest, 1 to 5000")
    add("--max-depth", type=_depth, default=None, metavar="N", help="deepest tree, 1 to 100, or none (default)")
    add("--seed", type=_whole(0, 2**32 - 1), default=42, metavar="N", help="of the split, the folds and the forest")
    add("--test-size", type=_share, default=0.2, metavar="SHARE", help="of the rows kept for the test, 0.1 to 0.5")
    add("--folds", type=_whole(2, 20), default=5, metavar="N", help="of the cross-validation, 2 to 20")
    add("--run-name", type=_name, default="iris-training", metavar="NAME", help="of the MLflow run")
    add("--experiment", type=_name, default="iris", metavar="NAME", help="of the MLflow experiment")
    add("--model-name", type=_name, default="iris", metavar="NAME", help="of the registered model")
    add("--data", type=Path, default=None, metavar="FILE.csv", help="a table of your own; its last column is the class")
    add("--parent-run", default="", metavar="RUN", help="the run that this one is part of")
    add("--tag", type=_tag, action="append", default=[], metavar="KEY=VALUE", help="a tag of the run; may be repeated")
    add(
        "--workers",
        type=_whole(1, 64),
        default=len(os.sched_getaffinity(0)),
        metavar="N",
        help="processes for the folds",
    )
    return parser


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
        return int(text)

    return read


def _depth(text: str) -> int | None:
    return None if text.lower() == "none" else _whole(1, 100)(text)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0.1 <= value <= 0.5:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0.1 to 0.5")
    return value


def _name(text: str) -> str:
    if not text.strip() or len(text) > 200 or not text.isprintable() or any(sign in text for sign in "/:"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a name of 1 to 200 characters without '/' and ':'")
    return text


def _tag(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value
