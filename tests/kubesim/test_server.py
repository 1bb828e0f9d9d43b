"""A state directory: one server at a time, nothing lost, nothing readable by others."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml

from kubesim.api.local import LocalClient
from kubesim.errors import Expired
from kubesim.lock import Locked, holder
from kubesim.server import Settings, running
from kubesim.store import Store
from tests.kubesim.conftest import config_map


def settings(state: Path) -> Settings:
    return Settings(state, port=0, controllers=False, node=False)


async def test_a_second_server_is_refused(tmp_path: Path) -> None:
    async with running(settings(tmp_path)):
        assert holder(tmp_path) == os.getpid()
        with pytest.raises(Locked, match=str(os.getpid())):
            async with running(settings(tmp_path)):
                pass
    assert holder(tmp_path) is None


async def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as cluster:
        made = await cluster.client().create("v1/configmaps", config_map("one"), "default")
        authority = cluster.authority.pem
    async with running(settings(tmp_path)) as cluster:
        assert await cluster.client().get("v1/configmaps", "one", "default") == made
        assert cluster.authority.pem == authority
        version = made["metadata"]["resourceVersion"]
        events = cluster.client().watch("v1/configmaps", "default", resource_version=str(int(version) - 1))
        assert (await anext(events)).object == made


async def test_files_with_secrets_are_the_owners_alone(tmp_path: Path) -> None:
    async with running(settings(tmp_path / "state")) as cluster:
        config = yaml.safe_load((tmp_path / "state" / "admin.kubeconfig").read_text())
        assert config["clusters"][0]["cluster"]["server"] == cluster.url
    for file in (tmp_path / "state").iterdir():
        if file.suffix in (".key", ".kubeconfig"):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


async def test_a_watch_from_before_the_history_is_told_so(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as cluster:
        client: LocalClient = cluster.client()
        cluster.server.store._held("configmaps").floor = 100
        with pytest.raises(Expired, match="too old resource version: 5"):
            await anext(client.watch("v1/configmaps", "default", resource_version="5"))


WRITER = """
import asyncio, sys
from pathlib import Path
from kubesim.server import Settings, running

async def main():
    async with running(Settings(Path(sys.argv[1]), port=0, controllers=False, node=False)) as cluster:
        client, n = cluster.client(), 0
        while True:
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "c-"}, "data": {"n": str(n)}}
            made = await client.create("v1/configmaps", body, "default")
            print(made["metadata"]["name"], made["metadata"]["resourceVersion"], flush=True)
            n += 1

asyncio.run(main())
"""


def test_every_acknowledged_write_survives_kill_9(tmp_path: Path) -> None:
    """Killed again and again while it writes; what it had acknowledged must be in the store, under the same revision."""
    acknowledged: dict[str, str] = {}
    for _ in range(3):
        acknowledged |= _write_until_killed(tmp_path)
    assert len(acknowledged) > 30
    store = Store(tmp_path / "store.db")
    held = {record.name: str(record.revision) for record in store.list("configmaps", "default")}
    store.close()
    assert acknowledged.items() <= held.items()


def _write_until_killed(state: Path) -> dict[str, str]:
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(state)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    first = process.stdout.readline()
    killer = threading.Timer(0.3, process.send_signal, [signal.SIGKILL])
    killer.start()
    lines = [first, *process.stdout]
    killer.join()
    process.wait(timeout=10)
    process.stdout.close()
    # a last line that was cut short was not acknowledged
    return dict(line.split() for line in lines if line.endswith("\n") and len(line.split()) == 2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "kubesim", "serve", "--state", str(tmp_path), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    assert "ready" in process.stdout.readline()
    start = time.monotonic()
    process.send_signal(number)
    assert process.wait(timeout=10) == 0
    assert time.monotonic() - start < 5
    process.stdout.close()


def test_stop_without_a_server_is_no_error(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kubesim", "stop", "--state", str(tmp_path / "none")], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
