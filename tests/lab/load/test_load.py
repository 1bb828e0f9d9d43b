"""`invoke load`: its parts by themselves, and its client against servers that behave badly."""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from lab.errors import LabError
from lab.load import patterns, picture, report, run, watch
from lab.load.client import CONNECTIONS, Client, Target
from lab.load.events import Happened, planned
from lab.load.patterns import Pattern
from lab.load.run import Load
from lab.load.samples import Answer, Samples, percentile, total
from lab.load.terminal import Screen
from lab.load.watch import Look

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.mark.parametrize(
    ("name", "rates"),
    [("step", [50, 500, 500, 500]), ("ramp", [50, 275, 492.5, 500]), ("spike", [100, 500, 500, 100])],
)
def test_patterns_have_their_shapes(name: str, rates: list[float]) -> None:
    found = patterns.pattern(name, rps="500", seconds="90")
    assert [found.rate(time) for time in (0, 30, 59, 89)] == pytest.approx(rates)
    assert found.rate(90) == found.trickle == 10


@pytest.mark.parametrize(
    ("name", "rps", "seconds", "words"),
    [
        ("sinus", "500", "90", "no pattern 'sinus'"),
        ("step", "0", "90", "--rps is '0'"),
        ("step", "1e9", "90", "at most 5000 a second"),
        ("step", "many", "90", "--rps is 'many'"),
        ("step", "nan", "90", "--rps is 'nan'"),
        ("step", "500", "-3", "--seconds is '-3'"),
        ("step", "500", "99999", "not a number from 5 to 3600"),
    ],
)
def test_what_is_no_load_is_named(name: str, rps: str, seconds: str, words: str) -> None:
    with pytest.raises(LabError, match=re.escape(words)):
        patterns.pattern(name, rps=rps, seconds=seconds)


def test_percentiles_are_measured_values() -> None:
    values = [number / 1000 for number in range(1, 201)]
    assert percentile(values, 0.5) == pytest.approx(100)
    assert percentile(values, 0.99) == pytest.approx(198)
    assert percentile(values, 1.0) == pytest.approx(200)
    assert percentile([], 0.5) is None


@pytest.mark.parametrize("text", ["soon", "-1", "91", "30,later"])
def test_an_events_second_must_be_one_of_the_load(text: str) -> None:
    with pytest.raises(LabError, match="not a second of this load"):
        planned(None, kill_pod_at=text, kill_mlflow_at="", seconds=90)  # type: ignore[arg-type]


def test_events_come_in_order() -> None:
    found = planned(None, kill_pod_at="60,30", kill_mlflow_at="45", seconds=90)  # type: ignore[arg-type]
    assert [event.time for event in found] == [30, 45, 60]


def test_a_look_reads_what_the_autoscaler_sees() -> None:
    deployment = {"spec": {"replicas": 4}, "status": {"readyReplicas": 3}}
    current = {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 132}}}
    target = {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 50}}}
    scaler: dict[str, Any] = {"spec": {"maxReplicas": 10, "minReplicas": 2, "metrics": [target]}}
    assert watch.seen(deployment, scaler, 1.5) == Look(1.5, ready=3, wanted=4, low=2, high=10, cpu=None, target=50)
    scaler["status"] = {"currentMetrics": [current]}
    assert watch.seen(deployment, scaler, 1.5).cpu == 132


@asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[int]:
    """A server whose every conversation is over when this is."""
    conversations: set[asyncio.Task[None] | None] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversations.add(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await handler(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async with await asyncio.start_server(converse, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
    await asyncio.gather(*(task for task in conversations if task))


async def request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(re.search(rb"content-length: (\d+)", head, re.IGNORECASE)[1])  # type: ignore[index]
    return await reader.readexactly(length)


def answer(status: str = "200 OK", extra: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: 2\r\nX-Release: v1\r\nX-Served-By: pod-1\r\n{extra}\r\n{{}}".encode()


async def drive(port: int, *, rps: float = 200, until: Callable[[Samples], bool]) -> Samples:
    samples, stop = Samples(), asyncio.Event()
    client = Client(Target("127.0.0.1", port, [b"{}", b'{"features": []}']), lambda _: rps, samples)
    task = asyncio.create_task(client.run(stop))
    async with asyncio.timeout(20):
        while not until(samples):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        stop.set()
        await task
    return samples


def over(count: int) -> Callable[[Samples], bool]:
    return lambda samples: total(samples.seconds).answered + total(samples.seconds).failed >= count


async def test_every_request_is_counted_once_with_who_answered() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await request(reader):
            writer.write(answer())

    async with listening(serve) as port:
        samples = await drive(port, until=over(60))
    whole = total(samples.seconds)
    assert whole.sent == whole.answered >= 60
    assert (whole.failed, whole.retried) == (0, 0)
    assert set(samples.seconds[0].releases) == {"v1"}
    assert set(samples.seconds[0].pods) == {"pod-1"}


async def test_a_connection_that_ends_before_an_answer_is_asked_again_and_counted() -> None:
    broken = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal broken
        while await request(reader):
            if broken < 3:
                broken += 1
                writer.close()
                return
            writer.write(answer())

    async with listening(serve) as port:
        samples = await drive(port, until=over(30))
    whole = total(samples.seconds)
    assert (whole.failed, whole.retried) == (0, 3)


async def test_a_server_that_says_it_closes_is_believed() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(answer(extra="Connection: close\r\n"))
        await writer.drain()
        writer.close()

    async with listening(serve) as port:
        whole = total((await drive(port, until=over(40))).seconds)
    assert (whole.failed, whole.retried) == (0, 0)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (answer("503 Service Unavailable"), "503 Service Unavailable"),
        (answer()[:-1], "half an answer"),
        (b"HTTP/1.1 20", "half an answer"),
    ],
)
async def test_what_is_not_an_answer_of_200_has_failed(sent: bytes, reason: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(sent)
        await writer.drain()
        writer.close()

    async with listening(serve) as port:
        samples = await drive(port, until=over(5))
    assert set(samples.reasons) == {reason}
    assert total(samples.seconds).answered == 0


async def test_what_could_not_be_sent_by_the_end_has_failed() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        await reader.read()  # never answers

    async with listening(serve) as port:
        samples, stop = Samples(), asyncio.Event()
        client = Client(Target("127.0.0.1", port, [b"{}"]), lambda _: 2000, samples)
        client.patience = 0.1
        task = asyncio.create_task(client.run(stop))
        async with asyncio.timeout(20):
            while total(samples.seconds).sent < 100:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            stop.set()
            await task
    whole = total(samples.seconds)
    assert whole.failed == whole.sent >= 100
    assert samples.reasons["no answer by the end of the load"] == CONNECTIONS


async def test_nobody_there_is_a_failure_after_a_few_tries() -> None:
    async with listening(lambda reader, writer: asyncio.sleep(0)) as port:
        pass
    samples = await drive(port, rps=20, until=over(2))
    assert set(samples.reasons) == {"nobody answered in 4 tries"}


def ran() -> Load:
    samples = Samples()
    for second in range(40):
        for number in range(20):
            samples.at(second).sent += 1
            release = "v1" if second < 20 else "v2"
            samples.answered(second, Answer(0.001 * (number + 1), release, "pod", retried=0))
    samples.failed(25, "no answer in 5 s")
    samples.at(25).sent += 1
    looks = [
        Look(float(t), ready=2 + (t > 10), wanted=2 + (8 < t < 30), low=2, high=10, cpu=t * 3, target=50)
        for t in range(35)
    ]
    looks.append(Look(39.0, ready=2, wanted=2, low=2, high=10, cpu=4, target=50))
    return Load(Pattern("step", 20, 30), samples, looks, [Happened(12.0, "killed <iris-serving-1>")])


def test_the_picture_is_svg_and_names_what_it_shows() -> None:
    text = picture.render(ran())
    root = ElementTree.fromstring(text)
    words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    for wanted in (
        "requests/s (failed: red crosses)",
        "pods",
        "answers by release, %",
        "1  at 12 s: killed <iris-serving-1>",
        "v2",
    ):
        assert wanted in words
    assert any("1 failed" in (word or "") and "replicas 2 - 3 - 2" in (word or "") for word in words)
    assert "nan" not in text


def test_a_load_without_answers_or_looks_has_a_picture_too() -> None:
    load = Load(Pattern("spike", 1, 5), Samples())
    ElementTree.fromstring(picture.render(load))
    assert report.table(load)[-1].split()[:2] == ["all", "0"]


def test_ticks_are_round_and_reach_the_top() -> None:
    assert picture.linear(2) == [0, 1, 2]
    assert picture.linear(498) == [0, 100, 200, 300, 400, 500]
    assert picture.linear(0)[-1] > 0
    assert picture.decades(0.1, 37) == [0.1, 1, 10, 100]


def test_the_report_has_every_second_once_and_says_what_failed(tmp_path: Path) -> None:
    load = ran()
    cuts = report.stretches(load)
    assert (cuts[0][0], cuts[-1][1]) == (0, 40)
    assert all(end == begin for (_, end), (begin, _) in pairwise(cuts))
    words = "\n".join(report.verdict(load))
    assert "1 of 801 requests failed: no answer in 5 s (1)" in words
    assert "replicas 2 -> 3 -> 2" in words
    assert "v1 400, v2 400" in words
    drawn, data = report.write(load, tmp_path / "reports")
    assert drawn.read_text().startswith("<svg")
    assert json.loads(data.read_text())["replicas"] == {"first": 2, "most": 3, "last": 2}
    assert report.failures(load) == 1


def test_the_live_line_says_how_it_stands() -> None:
    line = run.line(ran(), 22.0)
    assert re.search(r"22 s .* 20/s .*p50 10\.0 ms .*failed 1 .*pods 2  CPU 4 % of 50 % .*v1 33%  v2 67%", line), line
    assert "pods" not in run.line(Load(Pattern("step", 1, 5), Samples()), 0.0)


def test_lines_in_a_pipe_are_few_and_whole() -> None:
    out = io.StringIO()
    screen = Screen(out)
    for number in range(11):
        screen.live(str(number))
    screen.stay("killed")
    assert out.getvalue().split() == ["0", "5", "10", "killed"]
