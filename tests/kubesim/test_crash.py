"""kill -9 under load: what was acknowledged is there, nothing is half there, watchers go on, and containers never notice.

KUBESIM_KILLS says how often (4 by default; 100 takes a few minutes). With -s every kill is told, so that a run that is stopped has told
what it found.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from tests.kubesim.serving import Process, free_port

KILLS = int(os.environ.get("KUBESIM_KILLS", "4"))
WRITERS = 4
MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"

SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(str(os.getpid()).encode())
    def log_message(self, *_): pass
print("started", flush=True)
http.server.ThreadingHTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
"""


@pytest.fixture
async def server() -> AsyncIterator[Process]:
    # unix sockets under the state directory must have short names, which pytest's folders are not
    with tempfile.TemporaryDirectory(prefix="kubesim-") as folder:
        process = Process(Path(folder), free_port())
        build(process.state)
        await process.start()
        try:
            yield process
        finally:
            await process.stop()


def build(state: Path) -> None:
    context = state / "context"
    context.mkdir()
    (context / "Dockerfile").write_text('FROM busybox\nCMD ["sh"]\n')
    command = [sys.executable, "-m", "kubesim", "image", "build", "--state", str(state), "--tag", "lab/busybox:1"]
    subprocess.run([*command, str(context)], check=True, stdout=subprocess.DEVNULL)


@dataclass
class Expected:
    """What the cluster has said yes to, and what it has not answered yet; None stands for an object that is not there.

    An unanswered write may have happened or not; a third outcome is a fault.
    """

    acknowledged: dict[str, tuple[int, str] | None] = field(default_factory=dict)
    unanswered: dict[str, str | None] = field(default_factory=dict)
    highest: int = 0
    writes: int = 0

    def answered(self, name: str, revision: int, value: str | None) -> None:
        self.acknowledged[name] = None if value is None else (revision, value)
        self.unanswered.pop(name, None)
        self.highest = max(self.highest, revision)
        self.writes += 1

    def check(self, found: dict[str, tuple[int, str]]) -> None:
        """Compares every object, then takes what is there as the truth of the next life."""
        names = self.acknowledged.keys() | self.unanswered.keys() | found.keys()
        for name in names:
            known, now = self.acknowledged.get(name), found.get(name)
            if now == known:
                continue
            assert name in self.unanswered, f"{name} was acknowledged as {known} and is {now}"
            assert (None if now is None else now[1]) == self.unanswered[name], f"{name}: neither before nor after"
            assert now is None or known is None or now[0] > known[0], f"{name}: its revision went back"
        self.acknowledged = dict(found)
        self.unanswered = {}


def body(name: str, value: str) -> dict[str, Any]:
    """Two keys that are always equal: a half written object would show."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": value, "b": value * 50}}


def value_of(item: dict[str, Any]) -> str:
    assert item["data"]["b"] == item["data"]["a"] * 50, f"half an object: {item}"
    return str(item["data"]["a"])


async def write(session: aiohttp.ClientSession, expected: Expected, writer: str) -> None:
    """Creates, changes and deletes objects of its own until the server goes away."""
    number = 0
    while True:
        name = f"{writer}-{number}"
        number += 1
        await once(session, expected, "POST", MAPS, name, f"{number}.")
        await once(session, expected, "PUT", f"{MAPS}/{name}", name, f"{number}.changed.")
        if number % 3 == 0:
            await once(session, expected, "DELETE", f"{MAPS}/{name}", name, None)


async def once(
    session: aiohttp.ClientSession, expected: Expected, method: str, path: str, name: str, value: str | None
) -> None:
    expected.unanswered[name] = value
    async with session.request(method, path, json=None if value is None else body(name, value)) as answer:
        answered = await answer.json()
        assert answer.status < 300, answered
    revision = int(answered["metadata"].get("resourceVersion", 0)) if value is not None else 0
    expected.answered(name, revision, value)


@dataclass
class Watcher:
    """A reflector: one list, then a watch that is resumed after every kill from where it was."""

    session: aiohttp.ClientSession
    revision: int = 0
    objects: dict[str, tuple[int, str]] = field(default_factory=dict)
    resumed: int = 0
    expired: int = 0

    async def run(self) -> None:
        """Until the server goes away."""
        if not self.revision:
            self.objects, self.revision = await listed(self.session)
        query = {"watch": "1", "resourceVersion": str(self.revision), "allowWatchBookmarks": "true"}
        async with self.session.get(MAPS, params=query, timeout=aiohttp.ClientTimeout(total=None)) as answer:
            if answer.status == 410:
                self.revision = 0
                self.expired += 1
                return
            assert answer.status == 200, await answer.text()
            self.resumed += 1
            async for line in answer.content:
                self._apply(orjson.loads(line))

    def _apply(self, event: dict[str, Any]) -> None:
        if event["type"] == "ERROR":
            assert event["object"]["code"] == 410, event
            self.revision = 0
            self.expired += 1
            return
        item = event["object"]
        revision, name = int(item["metadata"]["resourceVersion"]), item["metadata"].get("name", "")
        if event["type"] == "BOOKMARK":
            assert revision >= self.revision
            self.revision = revision
            return
        assert revision > self.revision, f"{name}: {revision} after {self.revision}"
        self.revision = revision
        if not name.startswith("w"):
            return
        if event["type"] == "DELETED":
            assert self.objects.pop(name)
            return
        assert (name in self.objects) == (event["type"] == "MODIFIED"), event
        self.objects[name] = (revision, value_of(item))

    async def caught_up(self, revision: int) -> None:
        """Sees everything up to a revision; the last event of the kind may be older than it."""
        run = asyncio.ensure_future(self.run())
        try:
            async with asyncio.timeout(20):
                while self.revision < revision and not run.done():  # noqa: ASYNC110  run() goes on for ever, and stays simple
                    await asyncio.sleep(0.01)
        finally:
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)
        assert self.revision >= revision


async def listed(session: aiohttp.ClientSession) -> tuple[dict[str, tuple[int, str]], int]:
    async with session.get(MAPS) as answer:
        body = await answer.json()
    found = {
        item["metadata"]["name"]: (int(item["metadata"]["resourceVersion"]), value_of(item))
        for item in body["items"]
        if item["metadata"]["name"].startswith("w")
    }
    return found, int(body["metadata"]["resourceVersion"])


@pytest.mark.timeout(60 + 30 * KILLS)
async def test_kill_9_under_load_loses_nothing(server: Process) -> None:
    pods = await running_pods(server)
    expected, revision, watcher = Expected(), 0, None
    for life in range(KILLS):
        async with server.session() as session:
            watcher = watcher or Watcher(session)
            watcher.session = session
            await one_life(server, expected, watcher, life)
        await server.start()
        async with server.session() as session:
            found, now = await listed(session)
            assert now >= max(revision, expected.highest), "the revision went back"
            revision = now
            expected.check(found)
            marker = await marked(session, expected, life)
            watcher.session = session
            await watcher.caught_up(marker)
            assert watcher.objects == expected.acknowledged, "a watcher missed something"
            assert await pods_now(session) == pods, "a container was restarted"
        print(f"kill {life + 1}: all of {expected.writes} acknowledged writes are there", flush=True)
    assert watcher is not None
    assert watcher.resumed >= KILLS
    assert expected.writes > 20 * KILLS
    print(
        f"{KILLS} kills, {expected.writes} acknowledged writes compared, revision {revision}; {watcher.resumed} watches"
    )


async def one_life(server: Process, expected: Expected, watcher: Watcher, life: int) -> None:
    """Writers and a watcher at work, until the server is killed at a moment nobody chose."""
    async with server.session() as session:
        work = [asyncio.ensure_future(write(session, expected, f"w{life}-{number}")) for number in range(WRITERS)]
        work.append(asyncio.ensure_future(watcher.run()))
        before = expected.writes
        while expected.writes < before + 20:
            await asyncio.sleep(0.005)
            for task in work:
                if task.done():
                    task.result()
        await asyncio.sleep(random.uniform(0, 0.5))
        await server.kill()
        results = await asyncio.gather(*work, return_exceptions=True)
    wrong = [result for result in results if result and not isinstance(result, aiohttp.ClientError | OSError)]
    assert not wrong, wrong


async def marked(session: aiohttp.ClientSession, expected: Expected, life: int) -> int:
    """A write that the watcher will see last."""
    await once(session, expected, "POST", MAPS, name := f"w{life}-marker", "marker.")
    known = expected.acknowledged[name]
    assert known is not None
    return known[0]


# Pods


async def running_pods(server: Process) -> dict[str, tuple[str, int, str]]:
    async with server.session() as session:
        for name in ("one", "two"):
            container: dict[str, Any] = {"name": "main", "image": "lab/busybox:1", "command": ["python", "-c", SERVER]}
            container |= {"readinessProbe": {"httpGet": {"port": 8000}, "periodSeconds": 1}}
            spec = {"containers": [container], "terminationGracePeriodSeconds": 1}
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
            await created(session, PODS, pod)
        query = {"watch": "1", "resourceVersion": "0"}
        ready: set[str] = set()
        async with session.get(PODS, params=query) as answer:
            async for line in answer.content:
                pod = orjson.loads(line)["object"]
                conditions = {entry["type"]: entry["status"] for entry in pod["status"].get("conditions", [])}
                if conditions.get("Ready") == "True":
                    ready.add(pod["metadata"]["name"])
                if len(ready) == 2:
                    break
        return await pods_now(session)


async def created(session: aiohttp.ClientSession, path: str, obj: dict[str, Any]) -> None:
    """A pod can be refused until its namespace has its ServiceAccount: asked again, as a ReplicaSet would."""
    async with asyncio.timeout(20):
        while True:
            async with session.post(path, json=obj) as answer:
                if answer.status == 201:
                    return
                assert answer.status == 403, await answer.text()
            await asyncio.sleep(0.05)


async def pods_now(session: aiohttp.ClientSession) -> dict[str, tuple[str, int, str]]:
    """Container id, restarts and the pid that the container itself tells: the same process, or it was not kept."""
    async with session.get(PODS) as answer:
        items = (await answer.json())["items"]
    found = {}
    async with aiohttp.ClientSession() as plain:
        for pod in items:
            (status,) = pod["status"]["containerStatuses"]
            async with plain.get(f"http://{pod['status']['podIP']}:8000/") as answer:
                pid = await answer.text()
            found[pod["metadata"]["name"]] = (status["containerID"], status["restartCount"], pid)
    return found


async def test_a_second_server_is_refused(server: Process) -> None:
    """And the first one does not notice."""
    other = Process(server.state, free_port())
    refused = await other.spawn()
    assert await refused.wait() == 1
    assert "in use by another kubesim (pid" in (server.state / "serve.log").read_text()
    async with server.session() as session, session.get("/readyz") as answer:
        assert (answer.status, await answer.text()) == (200, "ok")
