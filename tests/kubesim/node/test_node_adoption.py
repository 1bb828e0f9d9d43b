"""A server that goes and comes back: what runs is adopted, what ended meanwhile is told, what was deleted is ended."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from kubesim.node import daemons
from kubesim.server import Settings, running
from tests.kubesim.node.lab import NAMESPACE, Lab, build_image, container, prepare


async def test_running_pods_are_adopted_and_ended_ones_are_found(tmp_path: Path) -> None:
    state = tmp_path / "state"
    build_image(state, tmp_path / "image")
    settings = Settings(state, port=0, controllers=False, node=True)
    try:
        async with running(settings) as cluster:
            await prepare(cluster)
            lab = Lab(cluster, state)
            probe = {"exec": {"command": ["true"]}, "periodSeconds": 1}
            await lab.pod("stays", "sh", "-c", "echo before; sleep 1000", container={"readinessProbe": probe})
            await lab.pod("ends", "sleep", "1000", restartPolicy="Never")
            before = await lab.ready("stays")
            await lab.phase("ends", "Running")
            worker = lab.node.worker(NAMESPACE, "ends")
            assert worker is not None
            run = worker.containers[0].run
            assert run is not None
            pid = lab.node.runtime.pids[run.id]
            folder = lab.node.host.folder / "containers" / run.id
        os.kill(pid, signal.SIGKILL)
        while not (folder / "exit.json").exists():  # noqa: ASYNC110  written by another process
            await asyncio.sleep(0.01)
        async with running(settings) as cluster:
            cluster.stop_containers = True
            await prepare(cluster)
            lab = Lab(cluster, state)
            ended = await lab.phase("ends", "Failed")
            assert container(ended)["state"]["terminated"]["exitCode"] == 137
            after = await lab.ready("stays")
            for part in ("containerID", "restartCount", "state"):
                assert container(after)[part] == container(before)[part]
            assert after["status"]["podIP"] == before["status"]["podIP"]
            assert lab.log("stays") == "before\n"
            ready = next(one for one in after["status"]["conditions"] if one["type"] == "Ready")
            assert ready in before["status"]["conditions"]
            await lab.client.delete("v1/pods", "stays", NAMESPACE)
            await lab.gone("stays")
    finally:
        await daemons.end_all(state)


async def test_containers_whose_pod_was_deleted_meanwhile_are_ended(tmp_path: Path) -> None:
    state = tmp_path / "state"
    build_image(state, tmp_path / "image")
    settings = Settings(state, port=0, controllers=False, node=True)
    try:
        async with running(settings) as cluster:
            await prepare(cluster)
            lab = Lab(cluster, state)
            await lab.pod("orphan", "sleep", "1000")
            await lab.phase("orphan", "Running")
        async with running(Settings(state, port=0, controllers=False, node=False)) as cluster:
            await cluster.client().delete("v1/pods", "orphan", NAMESPACE, grace_seconds=0)
        async with running(settings) as cluster:
            await prepare(cluster)
            assert list((state / "node" / "containers").iterdir()) == []
            assert list((state / "node" / "logs").iterdir()) == []
    finally:
        await daemons.end_all(state)
