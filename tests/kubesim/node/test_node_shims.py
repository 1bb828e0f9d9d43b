"""The fork server that begins before its server does: one of it, taken over by the node, and never left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from kubesim import lock
from kubesim.node import daemons, logs, shims
from kubesim.node.images import Image, ImageStore
from kubesim.node.launch import Launch
from kubesim.node.runtime import Runtime
from kubesim.node.wire import RuntimeFailure


def first_image(state: Path, context: Path, *, module: str = "") -> Image:
    """An image whose import comes first; `module` is the source of its own module `slow`."""
    (context / "app" / "slow").mkdir(parents=True)
    (context / "app" / "slow" / "__init__.py").write_text(module)
    (context / "Dockerfile").write_text(
        'FROM scratch\nLABEL kubesim.preload="colorsys slow" kubesim.warm="first"\nCOPY app /app\nWORKDIR /app\n'
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


SEEN = """
import os, signal, sys
print('colorsys' in sys.modules, 'fractions' in sys.modules, os.environ.get('WHOSE'), signal.getsignal(signal.SIGTERM).name)
"""


def second_image(state: Path, context: Path) -> Image:
    context.mkdir()
    (context / "Dockerfile").write_text(
        'FROM scratch\nENV WHOSE=second\nLABEL kubesim.preload="fractions" kubesim.preload-from="first:1"\nWORKDIR /app\n'
    )
    return ImageStore(state).build(context, tag="second:1")


@pytest.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[Runtime]:
    images = ImageStore(tmp_path / "state")
    made = Runtime(tmp_path / "state" / "node", lambda exit: None, images.resolve)
    await made.start()
    yield made
    await made.stop()
    await daemons.end_all(tmp_path / "state")


def launch(folder: Path, id: str, code: str) -> Launch:
    place = folder / "containers" / id
    place.mkdir(parents=True)
    labels = {"uid": "u", "namespace": "n", "pod": "p", "container": id, "attempt": "0"}
    env = daemons.base_environment() | {"KUBESIM_CONTAINER": id}
    argv = ("python", "-c", code)
    return Launch(
        id=id, argv=argv, folder=str(place), log=str(folder / "logs" / f"{id}.log"), cwd="/", env=env, labels=labels
    )


async def output(folder: Path, id: str) -> str:
    async with asyncio.timeout(30):
        while not (folder / "containers" / id / "exit.json").exists():  # noqa: ASYNC110  written by another process
            await asyncio.sleep(0.02)
    return b"".join(line.text for line in logs.read(folder / "logs" / f"{id}.log")).decode()


async def test_a_fork_server_is_forked_from_the_one_whose_imports_it_shares(tmp_path: Path, runtime: Runtime) -> None:
    first = first_image(tmp_path / "state", tmp_path / "context")
    second = second_image(tmp_path / "state", tmp_path / "second")
    await runtime.warm(first)
    trunk = (await runtime.connections[shims.shim_key(first)].ask({"op": "list"}))["pid"]
    await runtime.run(launch(tmp_path / "state" / "node", "c", SEEN), second)
    branch = (await runtime.connections[shims.shim_key(second)].ask({"op": "list"}))["pid"]
    assert psutil.Process(branch).ppid() == trunk
    assert os.getsid(branch) == branch
    assert await output(tmp_path / "state" / "node", "c") == "True True None SIG_DFL\n"
    assert "imported fractions" in (place_of(tmp_path / "state", second) / "log").read_text()


async def test_a_branch_outlives_its_trunk_and_another_grows_from_a_new_one(tmp_path: Path, runtime: Runtime) -> None:
    first = first_image(tmp_path / "state", tmp_path / "context")
    second = second_image(tmp_path / "state", tmp_path / "second")
    await runtime.warm(first)
    await runtime.warm(second)
    key, place = shims.shim_key(second), place_of(tmp_path / "state", first)
    os.kill((await runtime.connections[shims.shim_key(first)].ask({"op": "list"}))["pid"], signal.SIGKILL)
    await asyncio.to_thread(until, place, lives=False)
    await runtime.run(launch(tmp_path / "state" / "node", "c", SEEN), second)
    assert await output(tmp_path / "state" / "node", "c") == "True True None SIG_DFL\n"
    branch = (await runtime.connections[key].ask({"op": "list"}))["pid"]
    os.kill(branch, signal.SIGKILL)
    await asyncio.to_thread(until, place_of(tmp_path / "state", second), lives=False)
    await runtime.warm(first)
    await runtime.run(launch(tmp_path / "state" / "node", "d", SEEN), second)
    assert await output(tmp_path / "state" / "node", "d") == "True True None SIG_DFL\n"


async def test_without_its_trunk_a_fork_server_is_started(tmp_path: Path, runtime: Runtime) -> None:
    second = second_image(tmp_path / "state", tmp_path / "second")
    await runtime.run(launch(tmp_path / "state" / "node", "c", SEEN), second)
    assert (await output(tmp_path / "state" / "node", "c")).startswith("False True")
