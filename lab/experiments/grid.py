"""What a sweep is to try: every combination of the values given. Pure, and checked by the training program's own parser."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Sequence

from lab.errors import LabError
from lab.messages import mark, t
from lab.said import said
from training.arguments import NAMES, Parameters, point
from training.errors import BadArguments

EXAMPLE = mark("for example: ./inv sweep --grid n_estimators=50,100,200 --grid max_depth=5,10,none --parallel 3")
MOST_POINTS = 200


def points(grids: Sequence[str]) -> list[Parameters]:
    """Every combination, the last grid fastest, each once. Raises LabError for a name or a value the training does not take."""
    axes: dict[str, list[str]] = {}
    for grid in grids:
        name, sign, values = grid.partition("=")
        name = name.strip().replace("-", "_")
        if not sign or name not in NAMES:
            raise LabError(
                t("--grid {grid!r} is not NAME=VALUE,VALUE; names are {names}", grid=grid, names=", ".join(NAMES)),
                t(EXAMPLE),
            )
        if name in axes:
            raise LabError(t("--grid {name} is given twice", name=name), t(EXAMPLE))
        axes[name] = [value.strip() for value in values.split(",")]
    if not axes:
        raise LabError(t("a sweep needs at least one --grid"), t(EXAMPLE))
    size = 1
    for values_ in axes.values():
        size *= len(values_)
    if size > MOST_POINTS:
        raise LabError(
            t("this grid has {size} points; {most} are the most", size=size, most=MOST_POINTS),
            t("leave some values out"),
        )
    found = [_point(axes, values) for values in itertools.product(*axes.values())]
    return list(dict.fromkeys(found))


def _point(axes: dict[str, list[str]], values: Sequence[str]) -> Parameters:
    try:
        return point(",".join(f"{name}={value}" for name, value in zip(axes, values, strict=True)))
    except BadArguments as error:
        raise LabError(f"--grid: {said(str(error)).removeprefix('argument ')}", t(EXAMPLE)) from None


def varied(found: Sequence[Parameters]) -> list[str]:
    """The parameters that are not the same at every point, the first ones where none is."""
    names = [name for name in NAMES if len({getattr(one, name) for one in found}) > 1]
    return names or list(NAMES[:2])


def name(found: Sequence[Parameters], *, data: str) -> str:
    """What a sweep without a name is called: the same for the same points and data, so that the same command goes on with it."""
    text = "\n".join([data, *sorted(one.point for one in found)])
    return f"sweep-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def checked_name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", text):
        raise LabError(
            t("--name {text!r} is not 1 to 40 lower-case letters, digits and dashes", text=text[:60]), "--name my-sweep"
        )
    return text
