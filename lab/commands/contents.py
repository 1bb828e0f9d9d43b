"""`./inv --list`: the tasks under headings, a line each; what a task's help shows as an example is left to its help."""

import re
import shutil
from collections.abc import Iterator

from invoke.collection import Collection
from invoke.program import Program

from lab.messages import mark, t
from lab.messages.cells import wrapped

HEADINGS = {
    "lifecycle": mark("The lab"),
    "people": mark("The class"),
    "checks": mark("Checks and faults"),
    "ui": mark("The page for the room"),
    "models": mark("Training and models"),
    "traffic": mark("Serving"),
    "images": mark("Images"),
    "offline": mark("Without a network"),
    "develop": mark("For those who work on the lab"),
}
"""By the module of lab.commands that a task is in, in the order of the page."""
_EXAMPLE = re.compile(r"[.:;,]? *(?:eval \"\$\()?\./inv .*", re.DOTALL)


def contents(tasks: Collection, width: int) -> str:
    """The page, as wide as the terminal."""
    return "\n".join(_lines(tasks, width))


class Listing(Program):
    """invoke's program, with this page for its list of tasks."""

    def list_flat(self) -> None:
        if self.list_root or self.list_depth:
            super().list_flat()
        else:
            print(contents(self.collection, shutil.get_terminal_size().columns))


def _lines(tasks: Collection, width: int) -> Iterator[str]:
    found = {name: tasks[name] for name in tasks.task_names}
    for module, heading in HEADINGS.items():
        yield t(heading)
        for name, task in found.items():
            if task.body.__module__.rpartition(".")[2] == module:
                yield from _entry(_typed(name, tasks), summary(task.__doc__ or ""), width)
        yield ""
    yield t("./inv TASK --help shows a task's options; docs/reference.md has all of them")


def _typed(name: str, tasks: Collection) -> str:
    """As people type it: a task of a group after a space, the group's default by the group's name."""
    group, _, task = name.rpartition(".")
    return group if group and tasks.collections[group].default == task else name.replace(".", " ")


def summary(text: str) -> str:
    """The first sentence of a task's help, without its example."""
    return _EXAMPLE.sub("", text.strip().partition("\n")[0]).rstrip(".:; ")


def _entry(name: str, text: str, width: int) -> list[str]:
    first, *rest = wrapped(text, max(40, width - 19)) or [""]
    return [f"  {name:<17}{first}".rstrip(), *(" " * 19 + line for line in rest)]
