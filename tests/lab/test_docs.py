"""Pages point at what exists, name commands that exist, and the README stays short."""

from __future__ import annotations

import copy
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from invoke.exceptions import ParseError
from invoke.parser import Parser

import program
import tasks
from lab.settings import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")])
NAMES = {*tasks.ns.task_names, *(name.removesuffix(".list") for name in tasks.ns.task_names)} | {
    alias for all_ in tasks.ns.task_names.values() for alias in all_
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere_and_commands_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text)]
    broken = [link for link in links if link and "://" not in link and not (page.parent / link).exists()]
    assert broken == []
    typed = re.findall(r"\./inv ((?:tenants (?:add|remove|list))|[a-z][a-z-]*)", text)
    assert sorted({name for name in typed if name.replace(" ", ".") not in NAMES and name not in NAMES}) == []


_TYPED = re.compile(
    r"""^ {0,10}(?:- run: |[A-Z_]+=\S+ |eval "\$\(|source <\()*\./inv ((?:[^#|;,)&>\n"'`]|,(?=\S)|"[^"]*"|'[^']*')+)"""
)
"""A command at the beginning of a line: elsewhere the lab speaks of it."""


def typed(text: str) -> Iterator[list[str]]:
    """What follows ./inv in indented and fenced blocks, up to a pipe, the end of a command or of a substitution; not comments, nor answers."""
    fenced = False
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif (fenced or line.startswith("    ")) and not line.lstrip().startswith(("|", "→", "- ")):
            line = re.sub(r"(?:^|\s)#.*", "", line)
            for command in _TYPED.findall(line):
                yield shlex.split(command)


def _contexts() -> list[Any]:
    """Of a copy: invoke takes the help texts out of the tasks as it reads them, and other tests want them."""
    return list(copy.deepcopy(tasks.ns).to_contexts())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_options_on_the_pages_exist(page: Path) -> None:
    """Every command in a block is one that the lab would take."""
    unreadable = []
    for command in typed(page.read_text(encoding="utf-8")):
        if command and not command[0].startswith("-"):
            try:
                Parser(contexts=_contexts()).parse_argv(program.spaced(command))
            except ParseError as error:
                unreadable.append(f"./inv {shlex.join(command)}: {error}")
    assert unreadable == []


def test_commands_are_found_in_blocks() -> None:
    block = '    eval "$(./inv env --user 01)"   # a shell\n```\n./inv up --tenants 01,20 | tee log\n```\n./inv none\n'
    assert list(typed(block)) == [["env", "--user", "01"], ["up", "--tenants", "01,20"]]


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) < 700
