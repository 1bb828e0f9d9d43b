"""Every package that an image's programs import is in that image's lock: what runs in the lab's own environment must run in a container too."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from lab.build import ALL, recipe
from lab.clusters.base import Image


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


@cache
def distributions() -> dict[str, set[str]]:
    return {module: {_normal(name) for name in names} for module, names in packages_distributions().items()}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("image", ALL, ids=lambda image: str(image.dockerfile.parent.name))
def test_an_images_lock_has_what_its_programs_import(image: Image) -> None:
    made = recipe.read(image)
    locked = {_normal(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", made.lock.read_text(), re.MULTILINE)}
    programs = [(name, path) for name, path in made.files if path.suffix == ".py"]
    own = {part for name, _ in programs for part in Path(name).with_suffix("").parts}
    missing = {
        f"{name}: {module}"
        for name, path in programs
        for module in imported(path)
        if module not in sys.stdlib_module_names | own and not distributions().get(module, set()) & locked
    }
    assert missing == set()
