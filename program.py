"""The command `mlops-lab`, and `./inv`: invoke with the lab's tasks, whatever folder it is called from.

Installed (`pipx run --spec . mlops-lab`), the whole repository stands below the package `mlops_lab`, and the lab works from there with its state in
the working directory's .lab; called in a clone's own folder, the clone is the lab. LAB_STATE says otherwise.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def main() -> None:
    """As `python -m invoke`; the exit code is the task's."""
    here = Path.cwd()
    root = home(here)
    if installed() and root != here:
        os.environ.setdefault("LAB_STATE", str(here / ".lab"))
    try:
        run(root, sys.argv[1:])
    except BrokenPipeError:  # ./inv --list | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run(root: Path, arguments: list[str]) -> None:
    """Run the tasks of the lab in `root`."""
    # The lab imports its packages by their own names, wherever it stands.
    sys.path.insert(0, str(root))
    name = "mlops-lab" if installed() else "inv"
    number = version() if {"--version", "-V"} & set(arguments) else None
    program = _program()(name="mlops-lab", binary=name, binary_names=[name], version=number)
    with completion(name) if "--print-completion-script" in arguments else nullcontext():
        program.run([name, "--search-root", str(root), *called_by_name(name, spaced(arguments))])


def _program() -> Any:
    """invoke's, with the lab's own list of tasks, in the user's language."""
    from lab.commands.contents import Listing

    if os.environ.get("LAB_LANG") == "ko":
        from lab.commands.korean import Korean

        return type("Listing", (Listing, Korean), {})
    return Listing


@contextmanager
def completion(name: str) -> Iterator[None]:
    """invoke's completion script asks a program on PATH; this one asks the very command that is being completed (`./inv`)."""
    printed = io.StringIO()
    try:
        with redirect_stdout(printed):
            yield
    finally:
        script = printed.getvalue().replace(f"`{name} --", "`${COMP_WORDS[0]} --")
        script = script.replace(f"$({name} $", "$(${words[1]} $")
        asked = "--complete -- (commandline --tokenize)"
        print(script.replace(f"{name} {asked}", f"eval (commandline --tokenize)[1] {asked}"), end="")


def called_by_name(name: str, arguments: list[str]) -> list[str]:
    """The command line that is being completed begins with the command as it was typed; invoke knows it by its name."""
    if arguments[:2] == ["--complete", "--"] and len(arguments) > 2:
        return [*arguments[:2], name, *arguments[3:]]
    return arguments


def spaced(arguments: list[str]) -> list[str]:
    """invoke writes a task of a group with a dot; people type a space."""
    if len(arguments) > 1 and arguments[0] in ("tenants", "bench") and arguments[1][:1].isalpha():
        return [f"{arguments[0]}.{arguments[1]}", *arguments[2:]]
    return arguments


def home(here: Path) -> Path:
    """The lab to run: the one that this file stands in; of an installed one, the clone that `here` is."""
    is_clone = all((here / name).is_file() for name in ("tasks.py", "lab.yaml", "program.py"))
    return here if installed() and is_clone else HERE


def installed() -> bool:
    """Whether this is the package's copy, not a clone."""
    return HERE.name == "mlops_lab"


def _git(*arguments: str) -> str:
    """What git says; nothing where there is no git, no repository, or it will not say."""
    try:
        done = subprocess.run(
            ["git", "-C", str(HERE), *arguments], capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def version(git: Callable[..., str] = _git) -> str:
    """From the newest tag: 1.2.0, or 1.2.0+5.g3f9c2ab five commits later; without git what pyproject.toml falls back to."""
    if installed():
        return metadata.version("mlops-lab")
    fallback = str(tomllib.loads((HERE / "pyproject.toml").read_text())["tool"]["setuptools_scm"]["fallback_version"])
    described = git("describe", "--tags", "--match", "v*", "--dirty=.dirty")
    if described:
        number, _, rest = described.removeprefix("v").partition("-")
        return f"{number}+{rest.replace('-', '.')}" if rest else number.replace(".dirty", "+dirty")
    commit = git("rev-parse", "--short", "HEAD")
    return f"{fallback}+g{commit}" if commit else fallback


if __name__ == "__main__":
    main()
