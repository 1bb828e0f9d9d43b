"""The cluster that conformance tests run against: kubesim whole, with its node, or any cluster that --kubeconfig names.

A cluster given must have the images lab/busybox:1, lab/busybox:2 (a shell, Python) and lab/pause:1, and an administrator's kubeconfig.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import given

IMAGES = {
    "lab/busybox:1": 'FROM busybox\nCMD ["sh"]\n',
    "lab/busybox:2": 'FROM busybox\nLABEL version="2"\nCMD ["sh"]\n',
    "lab/pause:1": 'FROM busybox\nENTRYPOINT ["sleep", "infinity"]\n',
}


@pytest.fixture(scope="session")
def kubeconfig() -> Iterator[Path]:
    """The administrator's kubeconfig of the cluster under test. kubesim is a process of its own, as `serve` runs it."""
    if given():
        yield Path(given())
        return
    # unix sockets under the state directory must have short names, which pytest's folders are not
    with tempfile.TemporaryDirectory(prefix="kubesim-") as folder:
        state = Path(folder)
        for tag, dockerfile in IMAGES.items():
            _build(state, tag, dockerfile)
        with _served(state):
            yield state / "admin.kubeconfig"


def _build(state: Path, tag: str, dockerfile: str) -> None:
    context = state / "context"
    context.mkdir(exist_ok=True)
    (context / "Dockerfile").write_text(dockerfile)
    command = [sys.executable, "-m", "kubesim", "image", "build", "--state", str(state), "--tag", tag, str(context)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


class _served:  # noqa: N801  a context manager
    """`python -m kubesim serve` on a port of the kernel's choice, stopped with its containers."""

    def __init__(self, state: Path) -> None:
        command = [sys.executable, "-m", "kubesim", "serve", "--state", str(state), "--port", "0"]
        self._log = (state / "serve.log").open("w")
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log, text=True)

    def __enter__(self) -> None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert "ready" in line, f"kubesim did not start: {Path(self._log.name).read_text()}"

    def __exit__(self, *_: object) -> None:
        ended = self._process.poll()
        self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=120)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()
        assert ended is None, f"kubesim ended by itself ({ended}): {Path(self._log.name).read_text()[-4000:]}"
