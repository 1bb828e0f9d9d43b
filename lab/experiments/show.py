"""What the experiments' commands print. Nothing here asks the cluster."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lab.experiments import grid, leaderboard
from lab.experiments.compare import Row as Compared
from lab.experiments.leaderboard import Row
from lab.experiments.reproduce import Reproduced
from lab.experiments.runs import Listed
from lab.experiments.sweep import Outcome, Show
from lab.messages import mark, t
from lab.said import said
from lab.show import console
from training.results import Promoted

aside = Console(stderr=True, highlight=False)
_STYLES = {"finished": "green", "running": "yellow", "failed": "red", "waiting": "dim"}
_WIDTHS = {
    "run": 8,
    "started": 14,
    "cv": 6,
    "F1": 6,
    "trees": 5,
    "depth": 5,
    "seconds": 7,
    "name": 6,
    "data": 4,
    "version": 10,
}
_WIDE = 130
_STATUS = {"FINISHED": "green", "RUNNING": "yellow", "FAILED": "red", "KILLED": "red"}


@contextmanager
def following(*, live: bool, to: Console = console) -> Iterator[Show]:
    """A function that shows a sweep's points: a table that is redrawn on a terminal, a line per change elsewhere."""
    if live and to.is_terminal:
        with Live(console=to, refresh_per_second=4, transient=True) as screen:
            yield lambda rows: screen.update(_board(rows))
        return
    said = [""]

    def line(rows: Sequence[Row]) -> None:
        if said[0] != (words := leaderboard.counts(rows)):
            said[0] = words
            to.print(f"  {words}", markup=False)

    yield line


def _board(rows: Sequence[Row]) -> Group:
    return Group(_table(rows), Text(leaderboard.counts(rows), "dim"))


def _table(rows: Sequence[Row]) -> Table:
    varied = grid.varied([row.parameters for row in rows])
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in (*varied, mark("state"), "cv", mark("accuracy"), "F1", mark("seconds"), mark("run")):
        left = name in ("state", "run")
        table.add_column(t(name), justify="left" if left else "right", no_wrap=True, min_width=_WIDTHS.get(name, 8))
    for row in rows:
        texts = row.parameters.texts()
        table.add_row(*(texts[name] for name in varied), Text(row.state, _STYLES[row.state]), *_scores(row))
    return table


def _scores(row: Row) -> list[str]:
    run = row.run
    if run is None:
        return ["", "", "", "", row.failure[:60]]
    metrics = [f"{run.metrics[key]:.4f}" if key in run.metrics else "" for key in (leaderboard.RANK, "accuracy", "f1")]
    return [*metrics, f"{run.seconds:.1f}", run.id[:8] + (f"  {row.failure[:60]}" if row.failure else "")]


def outcome(found: Outcome, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found.as_json(), indent=2))
        return
    _print(_table(leaderboard.ranked(found.rows)))
    console.print(t("  cv: mean accuracy over the folds, which decides; accuracy and F1: on the test set"), style="dim")
    if found.best and found.best.run:
        console.print(
            t("  best      {point} (run {run})", point=found.best.parameters.point, run=found.best.run.id[:8]),
            soft_wrap=True,
        )
    if found.promoted:
        then = t(" (decided when the sweep ended)") if found.repeated == len(found.rows) else ""
        console.print(
            t("  champion  {moved}{then}", moved=_moved(found.promoted), then=then), soft_wrap=True, markup=False
        )
    if found.repeated:
        console.print(
            t("  {repeated} points had been finished before and were not trained again", repeated=found.repeated),
            style="dim",
        )
    console.print(t("  took      {seconds:.1f} s", seconds=found.seconds), style="dim")


def _print(table: Table) -> None:
    """As wide as the terminal; into a file or a pipe, as wide as it needs."""
    (console if console.is_terminal else Console(width=_WIDE, highlight=False)).print(table)


def _moved(found: Promoted) -> str:
    if found.moved:
        return t("{model} version {version}", model=found.model, version=found.version) + (
            t(" (before: version {before})", before=found.before) if found.before else ""
        )
    return t("stays: {reason}", reason=said(found.reason)) + (
        t("; the best is version {version}", version=found.version) if found.version != found.before else ""
    )


def promoted(found: Promoted, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(found), indent=2))
        return
    console.print(t("  champion  {moved}{then}", moved=_moved(found), then=""), soft_wrap=True, markup=False)
    console.print(
        t("  inspected {golden} golden rows, SHA-256 {digest}...", golden=found.golden, digest=found.model_digest[:16]),
        style="dim",
    )
    console.print(t("  the service follows within two seconds: ./inv predict"), style="dim")


COLUMNS = (
    mark("run"),
    mark("name"),
    mark("started"),
    mark("status"),
    mark("trees"),
    mark("depth"),
    mark("accuracy"),
    "cv",
    mark("data"),
    mark("version"),
)


def runs(found: Sequence[Listed], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([one.as_json() for one in found], indent=2))
        return
    if not found:
        console.print(t("no runs yet: ./inv train --n-estimators 200"))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in COLUMNS:
        right = name in ("trees", "depth", "accuracy", "cv")
        table.add_column(t(name), justify="right" if right else "left", no_wrap=True, min_width=_WIDTHS.get(name, 8))
    for one in found:
        table.add_row(*_listed(one))
    _print(table)


def _listed(one: Listed) -> list[str | Text]:
    run = one.run
    scores = [f"{run.metrics[key]:.4f}" if key in run.metrics else "" for key in ("accuracy", leaderboard.RANK)]
    data = run.params.get("data", "").rpartition(".load_")[2]
    version = one.version + (t(" champion") if one.champion else "")
    return [
        run.id[:8],
        run.name,
        time.strftime("%m-%d %H:%M:%S", time.localtime(run.started)),
        Text(run.status, _STATUS.get(run.status, "")),
        run.params.get("n_estimators", ""),
        run.params.get("max_depth", ""),
        *scores,
        data,
        Text(version or run.tags.get("failure", "")[:50], "bold" if one.champion else ""),
    ]


def compared(found: Sequence[Compared], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([{**asdict(row), "differs": row.differs} for row in found], indent=2))
        return
    section = ""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for row in found:
        if row.section != section:
            section = row.section
            table.add_row(Text(t(section), "bold"), "", "", "")
        sign = Text("≠" if row.differs else "", "yellow")
        style = "yellow" if row.differs else ""
        table.add_row(f"  {t(row.name)}", sign, Text(row.left or "-", style), Text(row.right or "-", style))
    _print(table)


def reproduced(found: Reproduced, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(found), indent=2))
        return
    words = t("the same model, byte for byte") if found.same else t("another model")
    console.print(Text(f"{'✓' if found.same else '✗'} {words}", "green" if found.same else "red"))
    for form, then, now in found.forms:
        console.print(
            f"  {form:<6}{then[:16]}..." + ("" if then == now else t(" then, {now}... now", now=now[:16])), markup=False
        )
    for what, then, now in found.differences:
        console.print(
            t("  differs: {what}: {then} then, {now} now", what=t(what), then=then, now=now),
            style="yellow",
            markup=False,
            soft_wrap=True,
        )
    console.print(t("  run {again} beside run {run_id}", again=found.again[:8], run_id=found.run_id[:8]), style="dim")
