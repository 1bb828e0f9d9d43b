"""The program as a pod runs it: starting without MLflow, ending under load, callers who hang up."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from serving.cache import Cache
from serving.registry import Version
from serving.service import Service
from serving.settings import Settings
from tests.images.stack import answers, free_port, process
from tests.serving.conftest import Shelf, files, serving

BODY = b'{"features": [5.1, 3.5, 1.4, 0.2]}'
REQUEST = b"POST /predict HTTP/1.1\r\nHost: iris\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


Pod = tuple[subprocess.Popen[bytes], int, Path]


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    """A pod that starts while MLflow is down, after another one kept its model on the volume they share."""
    Cache((tmp_path,), "iris").save(Version("iris", "7", "run-7", ""), files())
    port, log = free_port(), tmp_path / "log"
    env = {
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port()}",
        "MODEL_CACHE": f"/proc/nowhere:{tmp_path}",
        "POD_IP": "127.0.0.1",
        "PORT": str(port),
        "DRAIN_SECONDS": "0.5",
        "RELEASE": "v2",
        "HOSTNAME": "iris-serving-1",
    }
    with process([sys.executable, "-m", "serving"], env, log) as child:
        answers(f"http://127.0.0.1:{port}/ready", child, log)
        yield child, port, log


def test_a_pod_that_starts_while_mlflow_is_down_serves_the_last_good_model(pod: Pod) -> None:
    url = f"http://127.0.0.1:{pod[1]}"
    ready = httpx.get(f"{url}/ready", trust_env=False).json()
    assert (ready["model"]["version"], ready["from_cache"]) == ("7", True)
    answer = httpx.post(f"{url}/predict", content=BODY, trust_env=False)
    assert answer.json()["prediction"] == "setosa"
    assert (answer.headers["x-release"], answer.headers["x-served-by"]) == ("v2", "iris-serving-1")


async def stay_until_sent_away(port: int) -> int:
    """Ask on one connection until an answer closes it; how many answers came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    count, closing = 0, False
    while not closing:
        writer.write(REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        await reader.readexactly(int(length.split(b":")[1]))
        count, closing = count + 1, b"connection: close" in head.lower()
    writer.close()
    await writer.wait_closed()
    return count


async def test_sigterm_sends_every_connection_away_with_an_answer(pod: Pod) -> None:
    child, port, log = pod
    callers = [asyncio.create_task(stay_until_sent_away(port)) for _ in range(8)]
    while not await asyncio.to_thread(_answers, port):  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    child.send_signal(signal.SIGTERM)
    async with asyncio.timeout(20):
        counts = await asyncio.gather(*callers)
        assert await asyncio.to_thread(child.wait, 10) == 0
    assert all(count > 0 for count in counts)
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert [event["seconds"] for event in events if event["event"] == "draining"] == [0.5]


def _answers(port: int) -> bool:
    """Whether a prediction has been answered."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
    return 'serving_requests_total{route="/predict",status="200"}' in text


async def test_a_new_champion_is_in_service_within_two_seconds(shelf: Shelf) -> None:
    """With the time between two looks that pods have. The best of three: a machine that does other things as well may need longer."""
    shelf.put("1", files())
    service = Service(Settings(tracking_uri="http://mlflow"), shelf)
    clock, took = asyncio.get_running_loop().time, []
    async with serving(service) as client, asyncio.timeout(60):
        while service.model is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        for version in ("2", "3", "4"):
            shelf.put(version, files(seed=int(version)))
            moved = clock()
            while (await client.post("/predict", content=BODY)).json()["model"]["version"] != version:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            took.append(clock() - moved)
            if took[-1] < 2:
                break
    assert min(took) < 2


async def test_a_caller_who_hangs_up_is_counted_and_nothing_else(shelf: Shelf, settings: Settings) -> None:
    shelf.put("1", files())
    service = Service(replace(settings, log_requests=True), shelf)
    await service.look()
    async with serving(service) as client:
        _, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port or 0)
        writer.write(REQUEST[:-4])
        await writer.drain()
        writer.close()
        counted = 'serving_requests_total{route="/predict",status="499"} 1.0'
        async with asyncio.timeout(10):
            while counted not in (await client.get("/metrics")).text:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert (await client.post("/predict", content=BODY)).status_code == 200
