"""The fork server that begins before its server does: one of it, taken over by the node, and never left behind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kubesim import lock
from kubesim.node import daemons, shims
from kubesim.node.images import Image, ImageStore
from kubesim.node.runtime import Runtime
from kubesim.node.wire import RuntimeFailure


def first_image(state: Path, context: Path, *, module: str = "") -> Image:
    """An image whose import comes first; `module` is the source of its own module `slow`."""
    (context / "app" / "slow").mkdir(parents=True)
    (context / "app" / "slow" / "__init__.py").write_text(module)
    (context / "Dockerfile").write_text(
        'FROM scratch\nLABEL kubesim.preload="json slow" kubesim.warm="first"\nCOPY app /app\nWORKDIR /app\n'
    )
    return ImageStore(state).build(context, tag="first:1")


def until(place: Path, *, lives: bool) -> None:
    deadline = time.monotonic() + 60
    while shims.lives(place) is not lives:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def place_of(state: Path, image: Image) -> Path:
    return state / "node" / "shims" / shims.shim_key(image)


async def test_the_node_takes_over_the_fork_server_that_began_before_it(tmp_path: Path) -> None:
    image = first_image(tmp_path / "state", tmp_path / "context")
    place = place_of(tmp_path / "state", image)
    with shims.head_start(tmp_path / "state"):
        assert (place / "log").exists()
        runtime = Runtime(tmp_path / "state" / "node", lambda exit: None)
        await runtime.start()
        await runtime.warm(image)
    assert shims.lives(place)
    assert (place / "log").read_text().count("imported slow") == 1, "imported twice: two fork servers were started"
    await runtime.stop()
    await daemons.end_all(tmp_path / "state")
    await asyncio.to_thread(until, place, lives=False)


def test_what_fails_meanwhile_ends_a_fork_server_that_still_imports(tmp_path: Path) -> None:
    image = first_image(tmp_path / "state", tmp_path / "context", module="import time; time.sleep(600)")
    place = place_of(tmp_path / "state", image)

    def fail() -> None:
        with shims.head_start(tmp_path / "state"):
            until(place, lives=True)
            raise OSError("the port is in use")

    with pytest.raises(OSError, match="port"):
        fail()
    until(place, lives=False)


async def test_one_that_dies_while_it_imports_is_told_to_whoever_needs_it(tmp_path: Path) -> None:
    image = first_image(tmp_path / "state", tmp_path / "context", module="import os; os._exit(3)")
    with shims.head_start(tmp_path / "state"):
        runtime = Runtime(tmp_path / "state" / "node", lambda exit: None)
        await runtime.start()
        with pytest.raises(RuntimeFailure, match="does not start"):
            await runtime.warm(image)
        await runtime.stop()


@pytest.mark.parametrize("tags", ["", "{", '{"docker.io/library/first:1": "sha256:missing"}'])
def test_nothing_begins_where_no_image_can_be_read(tmp_path: Path, tags: str) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "tags.json").write_text(tags)
    with shims.head_start(tmp_path):
        assert not (tmp_path / "node").exists()


def test_nothing_begins_beside_a_server_that_runs(tmp_path: Path) -> None:
    image = first_image(tmp_path / "state", tmp_path / "context")
    with lock.held(tmp_path / "state"), shims.head_start(tmp_path / "state"):
        assert not place_of(tmp_path / "state", image).exists()


COUNTED = """
import sys
from importlib import metadata
from kubesim.node import preload

read, asked = metadata.entry_points, []
def counted(**wanted):
    asked.append(wanted)
    return read(**wanted)
metadata.entry_points = counted
preload.load(["asking"], sys.argv[1])
print(len(asked), metadata.entry_points is counted)
print(*sorted(point.name for point in read(group="pytest11")))
"""
ASKING = """
from importlib import metadata
print(*sorted(point.name for point in metadata.entry_points(group="pytest11")))
assert not metadata.entry_points(group="nobody's")
"""


def test_packages_are_read_once_for_all_who_ask_while_a_fork_server_imports(tmp_path: Path) -> None:
    (tmp_path / "asking.py").write_text(ASKING)
    run = subprocess.run([sys.executable, "-c", COUNTED, str(tmp_path)], capture_output=True, text=True, check=True)
    answered, imported, count, listed = run.stdout.splitlines()
    assert imported.startswith("imported asking")
    assert count == "1 True"
    assert answered == listed != ""
