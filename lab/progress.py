"""Steps that run side by side, each when those it needs are done, shown live with their seconds.

A step is a function that may return a note. The first failure stops new steps from starting; those under way are told through
`Steps.cancelled` and waited for, so that nothing goes on behind the prompt. On a terminal the list has spinners; elsewhere each step is one
plain line when it ends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from lab.errors import LabError
from lab.messages.cells import left

MARKS = {"done": ("✓", "green"), "failed": ("✗", "red"), "waiting": ("·", "dim"), "skipped": ("-", "dim")}


@dataclass(frozen=True)
class Step:
    """`run` is called once every step named in `after` is done; what it returns is shown beside the title."""

    name: str
    title: str
    run: Callable[[], str | None]
    after: tuple[str, ...] = ()


@dataclass
class Progress:
    """How one step stands; `seconds` counts from its start."""

    step: Step
    state: str = "waiting"
    note: str = ""
    started: float = 0.0
    ended: float = 0.0

    @property
    def seconds(self) -> float:
        if not self.started:
            return 0.0
        return (self.ended or time.monotonic()) - self.started


@dataclass
class Steps:
    """Runs a list of steps. `cancelled` is set when one failed or the user pressed Ctrl-C: long waits look at it."""

    console: Console
    cancelled: threading.Event = field(default_factory=threading.Event)
    at_once: int = 16

    def run(self, steps: Sequence[Step]) -> list[Progress]:
        """Run all; returns how each went. Raises what the first failing step raised, or KeyboardInterrupt."""
        board = {step.name: Progress(step) for step in steps}
        unknown = {name for step in steps for name in step.after} - set(board)
        if unknown:
            raise ValueError(f"steps wait for unknown ones: {sorted(unknown)}")
        with (
            ThreadPoolExecutor(max_workers=self.at_once, thread_name_prefix="step") as pool,
            self._display(board) as show,
        ):
            try:
                self._drive(board, pool, show)
            except BaseException:
                self.cancelled.set()
                raise
        return list(board.values())

    def _drive(self, board: dict[str, Progress], pool: ThreadPoolExecutor, show: Callable[[Progress], None]) -> None:
        running: dict[Future[str | None], Progress] = {}
        failure: BaseException | None = None
        while True:
            if failure is None:
                for progress in _startable(board):
                    progress.state, progress.started = "running", time.monotonic()
                    running[pool.submit(progress.step.run)] = progress
            if not running:
                break
            finished, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
            for future in finished:
                progress = running.pop(future)
                error = future.exception()
                _finish(progress, error, None if error else future.result())
                if error is not None and failure is None:
                    failure = error
                    self.cancelled.set()
                show(progress)
        if failure is not None:
            raise failure

    def _display(self, board: dict[str, Progress]) -> _Board | _Plain:
        return _Board(self.console, board) if self.console.is_terminal else _Plain(self.console)


def _startable(board: dict[str, Progress]) -> list[Progress]:
    return [
        p for p in board.values() if p.state == "waiting" and all(board[name].state == "done" for name in p.step.after)
    ]


def _finish(progress: Progress, error: BaseException | None, note: str | None) -> None:
    progress.ended = time.monotonic()
    progress.state = "failed" if error else "done"
    if error is None:
        progress.note = note or ""
    elif isinstance(error, LabError):
        progress.note = error.message.splitlines()[0] if error.message else ""
    else:
        progress.note = type(error).__name__


class _Plain:
    """One line per step, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def __enter__(self) -> Callable[[Progress], None]:
        return self.show

    def __exit__(self, *_: object) -> None: ...

    def show(self, progress: Progress) -> None:
        mark, _ = MARKS[progress.state]
        note = f"  {progress.note}" if progress.note else ""
        self.console.print(
            f"{mark} {left(progress.step.title, 34)}{progress.seconds:6.1f} s{note}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


class _Board:
    """The live list of a terminal."""

    def __init__(self, console: Console, board: dict[str, Progress]) -> None:
        self.board = board
        self.spinner = Spinner("dots", style="cyan")
        self.live = Live(get_renderable=self.render, console=console, refresh_per_second=10)

    def __enter__(self) -> Callable[[Progress], None]:
        self.live.__enter__()
        return lambda _: None

    def __exit__(self, *error: object) -> None:
        self.live.__exit__(None, None, None)

    def render(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for progress in self.board.values():
            mark = self.spinner if progress.state == "running" else Text(*MARKS[progress.state])
            seconds = Text(f"{progress.seconds:5.1f} s" if progress.started else "", style="dim")
            table.add_row(mark, Text(progress.step.title), seconds, Text(progress.note, style="dim"))
        return table
