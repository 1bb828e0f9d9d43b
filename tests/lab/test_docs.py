"""Pages point at what exists, name commands that exist, and the README stays short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) < 700
