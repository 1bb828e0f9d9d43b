"""SIGTERM is raised until it was seen, and not after. In a process of its own: signal handlers belong to the process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

SWALLOWED = """
import os, signal
from training import stopping
from training.errors import Stopped

stopping.install()
swallowed = []
while len(swallowed) < 2:  # as a library with a broad except does
    try:
        if not swallowed:
            os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
    except Stopped as error:
        swallowed.append(str(error))
assert str(stopping.see()) == swallowed[0] == swallowed[1]
for number in (signal.SIGTERM, signal.SIGALRM):  # cleaning up is not interrupted
    os.kill(os.getpid(), number)
print(swallowed[0])
"""


@pytest.mark.timeout(60)
def test_what_a_library_swallows_is_raised_again_until_it_was_seen() -> None:
    done = subprocess.run([sys.executable, "-c", SWALLOWED], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "stopped by SIGTERM: the Job or its pod was deleted\n"
