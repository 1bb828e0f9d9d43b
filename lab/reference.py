"""docs/reference.md, made of the code it describes: tasks, lab.yaml, checks, faults, environment, exit codes. A test compares the two.

`python -m lab.reference` writes it anew.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from lab import checks, errors, faults, messages, settings
from lab.settings import ROOT
from lab.tenancy import users

PATH = ROOT / "docs" / "reference.md"
_HEAD = """# Reference

Made from the code by `python -m lab.reference`; do not edit.
"""


def render() -> str:
    messages.use("en")
    parts = (_tasks(), _settings(), _checks(), _faults(), _environment(), _exit_codes())
    return "\n".join([_HEAD, *("\n".join(line.rstrip(" ") for line in part) + "\n" for part in parts)])


def _tasks() -> Iterator[str]:
    import tasks

    yield "## Tasks\n"
    yield "`./inv TASK --help` prints the same. An option's first letter is its short form where no other option has it.\n"
    yield (
        "Bash, zsh and fish complete tasks and options after:\n\n    source <(./inv --print-completion-script bash)      # or zsh\n"
        "    ./inv --print-completion-script fish | source       # fish\n"
    )
    yield (
        "`--dry-run` prints what a task would do instead of doing it: requests to Kubernetes (method, path), AWS operations, what would be "
        "started, built, stopped and written. Reads are made, contents and keys are not shown, and where the task would wait for something it "
        "says for what. Nothing is changed; nobody is asked for a yes.\n"
    )
    for name in tasks.ns.task_names:
        task = tasks.ns[name]
        arguments = arguments_of(task)
        first = [f" {item.name.upper()}" for item in arguments if item.positional]
        yield f"### {name.replace('.', ' ')}{''.join(first)}\n"
        yield f"{inspect.cleandoc(task.__doc__ or '').replace(chr(10), ' ')}\n"
        if arguments:
            yield from _table(("option", "meaning", "default"), (_option(item) for item in arguments))
            yield ""


def arguments_of(task: Any) -> list[Any]:
    """A task's arguments with their help; invoke takes the texts out of the task as it reads them, so they are put back."""
    kept = dict(task.help)
    found = list(task.get_arguments())
    task.help = kept
    return found


def _option(argument: Any) -> tuple[str, str, str]:
    name = max(argument.names, key=len)
    default = "" if argument.default in ("", None, False, [], (), inspect.Parameter.empty) else f"`{argument.default}`"
    dashes = "--" if len(name) > 1 else "-"
    return (name.upper() if argument.positional else f"`{dashes}{name}`", argument.help or "", default)


def _settings() -> Iterator[str]:
    yield "## lab.yaml\n"
    yield "A variable LAB_KEY (`LAB_CLUSTER=sim`, `LAB_PORTS_API=17443`) overrides a single value.\n"
    models = (("", settings.Settings), ("ports.", settings.Ports), ("names.", settings.Names))
    rows = [row for prefix, model in models for row in _fields(prefix, model)]
    yield from _table(("key", "default", "meaning"), rows)
    yield "\nEach entry of `tenants`:\n"
    yield from _table(("key", "default", "meaning"), _fields("", settings.TenantGroup))


def _fields(prefix: str, model: type[BaseModel]) -> Iterator[tuple[str, str, str]]:
    said = _docstrings(model)
    for name, field in model.model_fields.items():
        if name in ("ports", "names", "tenants"):
            continue
        default = "" if field.is_required() or field.default in ("", None) else f"`{_relative(field.default)}`"
        yield f"`{prefix}{name}`", default, said.get(name, "")


def _relative(value: object) -> object:
    """A folder as seen from the clone: the reference is the same on every machine."""
    return value.relative_to(ROOT) if isinstance(value, Path) and value.is_relative_to(ROOT) else value


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The string below each field; what pydantic calls attribute docstrings, read here so that the lab's start does not pay for it."""
    body = next(node for node in ast.parse(inspect.getsource(model)).body if isinstance(node, ast.ClassDef)).body
    said = {}
    for field, text in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            said[field.target.id] = " ".join(str(ast.literal_eval(text.value)).split())
    return said


def _checks() -> Iterator[str]:
    yield "## Checks\n"
    yield "What `./inv verify` asks, as each tenant. A check behind a failed one is skipped.\n"
    rows = (
        (check.code, check.part, check.title, check.title_ko, " ".join(check.requires)) for check in checks.REGISTRY
    )
    yield from _table(("code", "part", "what", "Korean", "requires"), rows)


def _faults() -> Iterator[str]:
    yield "## Faults\n"
    yield "What `./inv break NAME --user 07` breaks, what the student sees, and the guide's cure.\n"
    rows = (
        (f"`{fault.name}`", fault.symptom, f"`{_braces(fault.cure)}`", " ".join(fault.reddens))
        for fault in faults.REGISTRY
    )
    yield from _table(("name", "symptom", "cure", "turns red"), rows)


def _braces(text: str) -> str:
    return text.replace("{{", "{").replace("}}", "}")


def _environment() -> Iterator[str]:
    yield "## Environment\n"
    yield "What `./inv env --user 01` sets in a student's shell:\n"
    yield ", ".join(f"`{name}`" for name in _student()) + "; where AWS is not AWS itself, `AWS_ENDPOINT_URL` too.\n"
    yield "`LAB_STATE` is the lab's folder (`.lab`); `LAB_PYTHON` the interpreter that the first `./inv` takes."
    yield "`LAB_LANG` is the language of everything the lab says, `en` (the default) or `ko`; what other programs say stays as they say it."


def _student() -> Iterable[str]:
    """The names alone; there need be no lab."""
    source = ast.parse(inspect.getsource(users.environment))
    returned = next(node for node in ast.walk(source) if isinstance(node, ast.Dict))
    return [str(key.value) for key in returned.keys if isinstance(key, ast.Constant)]


def _exit_codes() -> Iterator[str]:
    yield "## Exit codes\n"
    yield "`verify` ends with the number of failed checks (250 at most). Otherwise:\n"
    lines = [line.partition("exit code ") for line in (errors.__doc__ or "").splitlines() if "exit code " in line]
    rows = ((code.rstrip(";. "), text.strip(" │├└─").partition(" ")[2].strip(" ;")) for text, _, code in lines)
    yield from _table(("code", "meaning"), [("0", "done"), *rows, ("130", "Ctrl-C; what was started keeps running")])


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


if __name__ == "__main__":
    PATH.write_text(render(), encoding="utf-8")
