"""docs/tutorial.md, typed command by command: each ends as the page says, and prints what the page shows."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.conftest import ROOT, Lab, fresh_lab

pytestmark = [pytest.mark.e2e, pytest.mark.exhaustive, pytest.mark.timeout(600)]
PAGE = ROOT / "docs" / "tutorial.md"
LOG = ROOT / "test-output" / "tutorial.log"
EXIT = re.compile(r"\[exit code (\d+)\]")


@dataclass(frozen=True)
class Typed:
    """A command of the page, the lines it shows below it, and the exit code it tells (0)."""

    command: str
    shown: tuple[str, ...]
    code: int


def typed(page: str) -> Iterator[Typed]:
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        for part in re.split(r"(?m)^\$ ", block)[1:]:
            command, *lines = part.splitlines()
            code = next((int(found[1]) for line in lines if (found := EXIT.fullmatch(line))), 0)
            yield Typed(command, tuple(line for line in lines if not EXIT.fullmatch(line)), code)


def pattern(line: str) -> re.Pattern[str]:
    """A shown line as it may come: other numbers, other widths of a table, and anything for `...`."""
    escaped = re.escape(line.strip())
    anything = escaped.replace(re.escape("..."), ".*")
    return re.compile(re.sub(r"(\\ )+", r"\\s+", re.sub(r"\d+(\\\.\d+)?", r"[\\d.]+", anything)))


def missing(shown: tuple[str, ...], output: str) -> list[str]:
    """Shown lines that do not come, in the page's order."""
    at, absent = 0, []
    for line in shown:
        if not line.strip() or line.strip() == "...":
            continue
        found = pattern(line).search(output, at)
        if found is None:
            absent.append(line)
        else:
            at = found.end()
    return absent


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    LOG.parent.mkdir(exist_ok=True)
    LOG.unlink(missing_ok=True)
    with fresh_lab(tmp_path_factory.mktemp("tutorial"), offset=60) as made:
        yield made


@pytest.mark.parametrize("step", list(typed(PAGE.read_text(encoding="utf-8"))), ids=lambda step: step.command)
def test_the_page_is_true(own: Lab, step: Typed) -> None:
    done = subprocess.run(
        ["bash", "-c", step.command], cwd=ROOT, env=dict(own.environ), capture_output=True, text=True, check=False
    )
    output = done.stdout + done.stderr
    with LOG.open("a", encoding="utf-8") as log:
        log.write(f"$ {step.command}\n{output}\n")
    assert done.returncode == step.code, output
    assert missing(step.shown, output) == [], output
