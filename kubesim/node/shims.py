"""Where the shims of a state directory lie, which of them an image needs, and how one is started."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from kubesim.lock import holder
from kubesim.node import wire
from kubesim.node.daemons import LOCK, base_environment, environment, spawn
from kubesim.node.images import Image, ImageStore

PLAIN = "plain"


def shim_key(image: Image) -> str:
    """Images with the same preload list and ENV share a fork server, unless the list names code of the image's own."""
    if not image.preload:
        return PLAIN
    own = image.digest if image.preloads_itself else ""
    text = json.dumps([image.preload, sorted(image.env.items()), own])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def start(place: Path, image: Image | None) -> int:
    """A shim at `place`, its image's fork server or (None) plain: its pid, or 0 where one lives there, perhaps still importing. It listens once
    it has imported what the image lists. The lock that it holds as long as it lives is taken here and handed to it, so there are never two."""
    lock = _claimed(place)
    if lock is None:
        return 0
    arguments, env = [str(place), "--lock", str(LOCK)], base_environment()
    if image is not None:
        arguments += ["--source", str(image.source), "--preload", *image.preload]
        env |= image.env
    try:
        return spawn("kubesim.node.shim", arguments, env=env, log=place / "log", lock=lock)
    finally:
        os.close(lock)


async def branch(place: Path, image: Image, *, trunk: Path) -> int:
    """As `start`, as a fork of the fork server at `trunk`. Raises OSError or RuntimeFailure where that cannot be had."""
    lock = _claimed(place)
    if lock is None:
        return 0
    env = environment(base_environment() | image.env)
    body = {"op": "branch", "folder": str(place), "source": str(image.source), "preload": image.preload, "env": env}
    connection = await wire.send(trunk, body, [lock])
    try:
        return int((await connection.read())["pid"])
    except KeyError as error:
        raise wire.RuntimeFailure("that shim does not branch") from error
    finally:
        connection.close()


def lives(place: Path) -> bool:
    """Whether a shim is there, listening or still importing."""
    lock = _locked(place)
    if lock is not None:
        os.close(lock)
    return lock is None


def _locked(place: Path) -> int | None:
    """The lock of a shim's folder, None where a shim holds it."""
    lock = os.open(place / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _claimed(place: Path) -> int | None:
    """The lock of a shim's folder, which is made and has nothing in it that an earlier shim listened on; None where a shim holds it."""
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = _locked(place)
    if lock is not None:
        (place / wire.SOCKET).unlink(missing_ok=True)
    return lock


@contextlib.contextmanager
def head_start(state: Path) -> Iterator[None]:
    """The fork server with the longest import (LABEL kubesim.warm="first") begins it before the server begins its own: what ran before a stop is
    there again when that import is over. What ends the block ends a fork server that does not listen yet; one that does is the node's."""
    image = None if holder(state) else _first(state)
    if image is None:
        yield
        return
    place = state / "node" / "shims" / shim_key(image)
    pid = start(place, image)
    try:
        yield
    finally:
        if pid and not (place / wire.SOCKET).exists():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


def _first(state: Path) -> Image | None:
    """None also where the images cannot be read: the node will say what is wrong with them, to whoever needs one."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        return next((image for image in ImageStore(state).list() if image.warm == "first"), None)
    return None
