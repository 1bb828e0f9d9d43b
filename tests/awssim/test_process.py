"""The program: one per state directory, quick to start and stop, clear when it cannot."""

import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from awssim import upstream
from awssim.errors import StandinError
from tests.awssim.images import Client, digest_of
from tests.awssim.running import REGION, running


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
        assert time.monotonic() - began < 30
    with running(tmp_path / "state") as stand:
        assert stand.root == key
        assert stand.client("iam").get_user(UserName="kept")["User"]["UserName"] == "kept"


def test_secrets_are_their_owners_only(tmp_path: Path) -> None:
    with running(tmp_path / "state") as stand:
        stand.client("iam").create_user(UserName="kept")
        for path in (stand.state / "root.json", stand.state / "services" / "iam.json"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(stand.state.stat().st_mode) == 0o700


def test_it_listens_on_loopback_and_at_one_port_only(tmp_path: Path) -> None:
    with running(tmp_path / "state") as stand:
        open_ports = psutil.Process(stand.process.pid).net_connections()
        listening = [found.laddr for found in open_ports if found.status == psutil.CONN_LISTEN]
        assert listening == [("127.0.0.1", int(stand.endpoint.rpartition(":")[2]))]
        assert not [found for found in open_ports if found.type == socket.SOCK_DGRAM]


def test_another_ministack_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "VERSION", "0.0.1")
    with pytest.raises(StandinError, match=r"ministack 0\.0\.1 is needed, this is 1\."):
        upstream.check_version()


@pytest.mark.skipif(sys.platform != "linux", reason="the largest memory is read from /proc")
def test_neither_an_object_nor_a_layer_is_ever_in_memory(tmp_path: Path) -> None:
    content = bytes(range(256)) * (96 << 12)  # 96 MB
    with running(tmp_path / "state") as stand:
        s3 = stand.client("s3", s3={"payload_signing_enabled": False})
        s3.create_bucket(Bucket="large", CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket="large", Key="small", Body=b"x")
        stand.client("ecr").create_repository(repositoryName="large")
        before = largest(stand.process.pid)
        s3.put_object(Bucket="large", Key="k", Body=content)
        assert s3.get_object(Bucket="large", Key="k")["Body"].read() == content
        with Client(stand) as client:
            begun = client.post("/v2/large/blobs/uploads/").headers["location"]
            assert client.put(begun, params={"digest": digest_of(content)}, content=content).status_code == 201
            assert client.get(f"/v2/large/blobs/{digest_of(content)}").content == content
        assert largest(stand.process.pid) - before < 48 << 20


def largest(pid: int) -> int:
    """The most memory a process has had, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
