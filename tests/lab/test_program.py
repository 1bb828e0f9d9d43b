"""`./inv` and `mlops-lab`: the version, completion in a real shell, and what of the repository the package carries."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

import program
from lab.settings import ROOT


def inv(*arguments: str, **environ: str) -> str:
    done = subprocess.run(
        [str(ROOT / "inv"), *arguments], capture_output=True, text=True, check=True, env={**os.environ, **environ}
    )
    return done.stdout


def test_the_version_is_told() -> None:
    assert re.fullmatch(r"mlops-lab \d+\.\d+\.\d+\S*\n", inv("--version"))


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ({"describe": "v1.2.0"}, "1.2.0"),
        ({"describe": "v1.2.0-5-g3f9c2ab"}, "1.2.0+5.g3f9c2ab"),
        ({"describe": "v1.2.0-5-g3f9c2ab.dirty"}, "1.2.0+5.g3f9c2ab.dirty"),
        ({"describe": "v1.2.0.dirty"}, "1.2.0+dirty"),
        ({"rev-parse": "3f9c2ab"}, "0.1.0+g3f9c2ab"),
        ({}, "0.1.0"),
    ],
)
def test_versions_of_tags(said: dict[str, str], number: str) -> None:
    assert program.version(lambda *arguments: said.get(arguments[0], "")) == number


def test_a_folder_without_git_has_a_version(tmp_path: Path) -> None:
    for name in ("program.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    script = "import program; print(program.version())"
    python = str(ROOT / ".venv" / "bin" / "python")
    environ = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}
    done = subprocess.run([python, "-c", script], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == "0.1.0\n"


def test_a_group_and_its_task_may_be_typed_with_a_space() -> None:
    assert program.spaced(["tenants", "add", "16..40", "--role", "a b"]) == ["tenants.add", "16..40", "--role", "a b"]
    assert program.spaced(["tenants"]) == ["tenants"]
    assert program.spaced(["bench", "--help"]) == ["bench", "--help"]


COMPLETE = """
source <({inv} --print-completion-script bash)
typed() {{
    COMP_WORDS=("$@"); COMPREPLY=()
    _complete_inv "$1" "${{COMP_WORDS[-1]}}"
    echo "${{COMPREPLY[*]}}"
}}
typed {inv} roll
typed {inv} train --n
typed {inv} up --dry
complete -p inv
"""


def test_bash_completes_tasks_and_their_options_of_the_command_as_typed(tmp_path: Path) -> None:
    """From another folder, with no `inv` on PATH."""
    script = COMPLETE.format(inv=ROOT / "inv")
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    tasks, options, dry, registered = done.stdout.splitlines()
    assert tasks.split() == ["rollback", "rollback-model", "rollout"]
    assert options.split() == ["--n-estimators", "--no-follow"]
    assert dry.split() == ["--dry-run"]
    assert registered == "complete -o default -F _complete_inv inv"


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_completes_too(tmp_path: Path) -> None:
    script = f"source <({ROOT / 'inv'} --print-completion-script zsh); words=({ROOT / 'inv'} roll); _complete_inv; print -l $reply"
    done = subprocess.run(["zsh", "-f", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert {"rollout", "rollback", "train"} <= set(done.stdout.split())


FISH = "{inv} --print-completion-script fish | source; complete --do-complete '{inv} roll'"


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes_too(tmp_path: Path) -> None:
    script = FISH.format(inv=ROOT / "inv")
    done = subprocess.run(["fish", "-N", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["rollback", "rollback-model", "rollout"]


def test_the_package_carries_every_folder_that_the_lab_reads() -> None:
    """The sources of the images and of the programs, and each of the lab's packages."""
    from lab.fresh import _SOURCES

    carried = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["mlops_lab"]
    assert {f"{folder}/**/*" for folder in _SOURCES} <= set(carried)
    assert "lab.yaml" in carried


def test_a_reader_that_goes_away_gets_no_traceback() -> None:
    done = subprocess.run(
        ["bash", "-c", f"{ROOT / 'inv'} --list | head -1"], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""


def test_the_list_of_tasks_is_a_table_of_contents() -> None:
    """Every task is on it once, under a heading, in one line or a few, without the examples of its help."""
    import tasks
    from lab.commands import contents

    page = inv("--list", LAB_LANG="en")
    named = re.findall(r"^  ([a-z][a-z -]*?)  +\S", page, re.MULTILINE)
    assert sorted(named) == sorted(contents._typed(name, tasks.ns) for name in tasks.ns.task_names)
    assert [line for line in page.splitlines() if line in contents.HEADINGS.values()] == list(
        contents.HEADINGS.values()
    )
    assert page.count("./inv") == 1
    assert max(len(line) for line in page.splitlines()) <= 80
    assert "  .add " in inv("--list", "tenants")
