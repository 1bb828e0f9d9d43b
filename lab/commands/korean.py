"""invoke's own words in Korean: headings of help, the columns, and what it says of a command line that it cannot read.

Used where LAB_LANG=ko only: English is invoke's, untouched. Help is wrapped by cells, not letters: a Korean line would be twice as wide as
the terminal.
"""

import inspect
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from invoke.exceptions import ParseError
from invoke.program import Program

from lab.messages import t
from lab.messages.cells import left, width, wrapped

_UNREADABLE: tuple[tuple[str, Callable[[str, str], str]], ...] = (
    (r"No idea what (.*)() is!", lambda what, _: t("{what} is neither a task nor an option: ./inv --list", what=what)),
    (r"Flag <Argument: (\S+).*>() needed value .*", lambda flag, _: t("option --{flag} needs a value", flag=flag)),
    (r"Flag <Argument: (\S+).*>() doesn't take .*", lambda flag, _: t("option --{flag} takes no value", flag=flag)),
    (
        r"'(.*)' did not receive required positional arguments: (.*)",
        lambda task, names: t("{task} needs {names}: ./inv {task} --help", task=task, names=names),
    ),
)
"""invoke's errors as it writes them, and the same in ours; a new wording of invoke's stays as it is."""


class Korean(Program):
    def parse_core_args(self) -> None:
        with _understood():
            super().parse_core_args()

    def parse_tasks(self) -> None:
        with _understood():
            super().parse_tasks()

    def task_list_opener(self, extra: str = "") -> str:
        return t("the tasks there are") + (f" ({extra})" if extra else "")

    def print_help(self) -> None:
        print(t("usage: {binary} [options of the program] TASK [options of the task]", binary=self.binary), end="\n\n")
        print(t("options of the program:"), end="\n\n")
        self.print_columns(self.initial_context.help_tuples())

    def print_task_help(self, name: str) -> None:
        options = self.parser.contexts[name].help_tuples()
        what = f"{name} " + (t("[options]") if options else "")
        print(t("usage: {binary} {what}", binary=self.binary, what=what), end="\n\n")
        for line in (inspect.getdoc(self.collection[name]) or "").splitlines():
            print(f"{self.leading_indent}{line}".rstrip())
        if options:
            print("\n" + t("options:"))
            self.print_columns(options)

    def print_columns(self, tuples: Sequence[tuple[str, str | None]]) -> None:
        names = max(width(name) for name, _ in tuples) + self.col_padding
        room = shutil.get_terminal_size().columns - names - self.leading_indent_width - 1
        for name, text in tuples:
            first, *rest = wrapped(text or "", max(room, 20)) or [""]
            print(f"{self.leading_indent}{left(name, names)}{first}".rstrip())
            for line in rest:
                print(self.leading_indent + " " * names + line)
        print()


@contextmanager
def _understood() -> Iterator[None]:
    try:
        yield
    except ParseError as error:
        raise ParseError(in_our_words(str(error)), error.context) from None


def in_our_words(message: str) -> str:
    for pattern, words in _UNREADABLE:
        if found := re.fullmatch(pattern, message):
            return words(*found.groups())
    return message
