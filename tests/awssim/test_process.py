"""The program: one per state directory, quick to start and stop, clear when it cannot."""

import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

from tests.awssim.running import running


def serve(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "awssim", "serve", "--state", str(state), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_a_second_one_on_the_same_state_is_refused(tmp_path: Path) -> None:
    with running(tmp_path / "state") as stand:
        done = serve(tmp_path / "state", "--port", "0")
        assert done.returncode == 1
        assert done.stderr == (
            f"awssim: {tmp_path}/state is in use by another stand-in (process {stand.process.pid}); stop that one first\n"
        )


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = serve(tmp_path / "state", "--port", str(port))
    assert done.stderr == f"awssim: cannot listen on 127.0.0.1:{port}: Address already in use; choose another --port\n"


def test_sigterm_saves_and_stops_and_the_key_stays(tmp_path: Path) -> None:
    with running(tmp_path / "state") as stand:
        key = stand.root
        stand.client("iam").create_user(UserName="kept")
        began = time.monotonic()
        assert stand.stop() == 0
        assert time.monotonic() - began < 3
    with running(tmp_path / "state") as stand:
        assert stand.root == key
        assert stand.client("iam").get_user(UserName="kept")["User"]["UserName"] == "kept"


def test_secrets_are_their_owners_only(tmp_path: Path) -> None:
    with running(tmp_path / "state") as stand:
        stand.client("iam").create_user(UserName="kept")
        for path in (stand.state / "root.json", stand.state / "services" / "iam.json"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(stand.state.stat().st_mode) == 0o700
