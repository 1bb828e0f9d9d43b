"""The command line as one frozen value. Raises BadArguments; who runs the program turns that into a usage line and exit code 2.

Imports nothing heavy: whoever makes Jobs checks their arguments with the same parser, before there is a Job.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import NoReturn

from training.errors import BadArguments


@dataclass(frozen=True)
class Parameters:
    """What a training depends on: the same data and the same of these give the same model."""

    n_estimators: int
    max_depth: int | None
    seed: int
    test_size: float
    folds: int

    def texts(self) -> dict[str, str]:
        """As MLflow keeps them; None is none."""
        return {key: str(value).lower() for key, value in vars(self).items()}

    @property
    def point(self) -> str:
        """One line that names these parameters, equal for equal ones: n_estimators=50,max_depth=none,seed=42,..."""
        return ",".join(f"{key}={value}" for key, value in self.texts().items())


NAMES = tuple(field.name for field in fields(Parameters))


@dataclass(frozen=True)
class Request:
    """One training: its parameters, what it reads, and under which names it is kept.

    `data` is a path or s3://BUCKET/KEY, empty for iris. `sweep` names the sweep it belongs to. Without `register` the model is logged and
    no version is made of it.
    """

    parameters: Parameters
    run_name: str
    experiment: str
    model: str
    data: str
    data_name: str
    job: str
    sweep: str
    parent: str
    tags: tuple[tuple[str, str], ...]
    register: bool
    workers: int


def parse(argv: Sequence[str], job: str = "") -> Request:
    """Read the arguments; `job` names the Kubernetes Job this is an attempt of."""
    given = parser().parse_args(argv)
    if given.point:
        if not 0 <= given.index < len(given.point):
            raise BadArguments(f"argument --index: {given.index} is not from 0 to {len(given.point) - 1}")
        given = parser().parse_args(_spelled(given.point[given.index]), given)
    return Request(
        parameters=Parameters(**{name: getattr(given, name) for name in NAMES}),
        run_name=given.run_name,
        experiment=given.experiment,
        model=given.model_name,
        data=given.data,
        data_name=given.data_name,
        job=job,
        sweep=given.sweep,
        parent=given.parent_run,
        tags=tuple(given.tag),
        register=given.register,
        workers=given.workers,
    )


def point(text: str) -> Parameters:
    """The parameters of "n_estimators=50,max_depth=none"; those it does not name have their defaults."""
    return parse(_spelled(text)).parameters


def _spelled(text: str) -> list[str]:
    """ "n_estimators=50,max_depth=none" as the options of the command line."""
    options = []
    for part in text.split(","):
        name, sign, value = part.partition("=")
        if not sign or name not in NAMES:
            raise BadArguments(f"{part!r} is not NAME=VALUE; names are {', '.join(NAMES)}")
        options.append(f"--{name.replace('_', '-')}={value}")
    return options


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadArguments(message)


def parser() -> argparse.ArgumentParser:
    """The options; `error` raises."""
    made = _Parser(prog="training", description="Train, judge, log and register an iris model.", allow_abbrev=False)
    add = made.add_argument
    add("--n-estimators", type=_whole(1, 5000), default=100, metavar="N", help="trees of the forest, 1 to 5000")
    add("--max-depth", type=_depth, default=None, metavar="N", help="deepest tree, 1 to 100, or none (default)")
    add("--seed", type=_whole(0, 2**32 - 1), default=42, metavar="N", help="of the split, the folds and the forest")
    add("--test-size", type=_share, default=0.2, metavar="SHARE", help="of the rows kept for the test, 0.1 to 0.5")
    add("--folds", type=_whole(2, 20), default=5, metavar="N", help="of the cross-validation, 2 to 20")
    add("--run-name", type=_name, default="iris-training", metavar="NAME", help="of the MLflow run")
    add("--experiment", type=_name, default="iris", metavar="NAME", help="of the MLflow experiment")
    add("--model-name", type=_name, default="iris", metavar="NAME", help="of the registered model")
    add("--data", default="", metavar="FILE.csv", help="a table of your own, or s3://...; its last column is the class")
    add("--data-name", default="", metavar="NAME", help="what that table is called where the file's name does not say")
    add(
        "--sweep",
        type=_label,
        default="",
        metavar="NAME",
        help="the sweep this is part of; a point of it is trained once",
    )
    add("--point", action="append", default=[], metavar="N=V,...", help="parameters of one index; may be repeated")
    add("--index", type=int, default=0, metavar="N", help="which --point this is (JOB_COMPLETION_INDEX)")
    add("--parent-run", default="", metavar="RUN", help="the run that this one is part of")
    add("--tag", type=_tag, action="append", default=[], metavar="KEY=VALUE", help="a tag of the run; may be repeated")
    add("--no-register", dest="register", action="store_false", help="log the model, but register no version of it")
    workers = len(os.sched_getaffinity(0))
    add("--workers", type=_whole(1, 64), default=workers, metavar="N", help="processes for the folds")
    return made


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a whole number from {low} to {high}")
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
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a number from 0.1 to 0.5")
    return value


def _name(text: str) -> str:
    if not text.strip() or len(text) > 200 or not text.isprintable() or any(sign in text for sign in "/:"):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a name of 1 to 200 characters without '/' and ':'")
    return text


def _label(text: str) -> str:
    if text and not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", text):
        raise argparse.ArgumentTypeError(f"{text[:60]!r} is not 1 to 40 lower-case letters, digits and dashes")
    return text


def _tag(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not KEY=VALUE")
    return key, value
