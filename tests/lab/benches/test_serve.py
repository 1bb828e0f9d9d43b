"""`invoke bench serve`: its generator against a small server, its table, and peers that cannot be had."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from lab.benches import environments, serve, servers, wire
from lab.benches.serve import Result, promised, table
from lab.errors import LabError
from tests.lab.load.test_load import answer, listening, request


def wired(port: int) -> bytes:
    return wire.request(port, "/predict", b'{"features": [1, 2]}')


async def test_the_generator_counts_answers_and_times_them() -> None:
    bodies = set()

    async def serve_(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            bodies.add(await request(reader))
            for part in (answer()[:40], answer()[40:]):  # an answer may come in pieces
                writer.write(part)
                await asyncio.sleep(0)

    async with listening(serve_) as port:
        found = await wire.measure(port, wired(port), connections=3, seconds=0.2)
    assert bodies == {b'{"features": [1, 2]}'}
    assert found["requests"] >= 3
    assert found["rps"] == pytest.approx(found["requests"] / 0.2, rel=0.5)
    assert 0 < found["least"] <= found["p50"] <= found["p99"]


async def test_chunked_answers_are_understood() -> None:
    async def serve_(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await request(reader):
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")

    async with listening(serve_) as port:
        assert (await wire.measure(port, wired(port), connections=1, seconds=0.1))["requests"] >= 1


@pytest.mark.parametrize("status", ["404 Not Found", ""])
async def test_what_is_no_answer_ends_the_measurement(status: str) -> None:
    async def serve_(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(answer(status) if status else b"")

    async with listening(serve_) as port:
        with pytest.raises(RuntimeError, match=status or "closed after 0 answers"):
            await wire.measure(port, wired(port), connections=1, seconds=5)


FIGURES = {"rps@1": 1824.2, "rps@8": 4100.0, "p50@1": 0.24, "p99@1": 1.4, "p50@8": 1.9, "p99@8": 8.7}
FIGURES |= {"per cpu@8": 4752.0, "batch": 21.2, "memory": 110.1, "ready": 1.2}


def test_the_table_has_a_line_for_every_server_even_one_that_could_not_be_had() -> None:
    peer = FIGURES | {"rps@8": 41.0}
    empty = {key: value for key, value in FIGURES.items() if key != "batch"} | {"rps@8": 5000.0}
    results = [
        Result("iris-serving (this lab)", FIGURES),
        Result(servers.FLOOR, empty | {"p99@1": 0.4}),
        Result("empty FastAPI route", empty),
        Result("MLServer", peer),
        Result("BentoML", problem="cannot be installed here: no matching distribution"),
    ]
    lines = table(results)
    assert [line.split("  ")[0] for line in lines[1:]] == [result.name for result in results]
    assert "4,100" in lines[1]
    assert "cannot be installed here" in lines[5]
    assert len({len(line) for line in lines[:5]}) == 1
    rows = {row.name: row.value for row in promised(results)}
    assert rows["times the best peer's requests/s"] == pytest.approx(100)
    assert rows["of it the generator's and the machine's (the floor)"] == pytest.approx(0.4)
    assert rows["of an empty FastAPI route's requests/s"] == pytest.approx(82)
    assert promised([Result("iris-serving", problem="did not get ready")]) == []


def test_packages_that_cannot_be_installed_are_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "PEERS", tmp_path)
    monkeypatch.setattr(environments, "ROOT", tmp_path)
    (tmp_path / "nothing.txt").write_text("./no/such/folder\n")
    with pytest.raises(LabError, match="cannot be installed here"):
        environments.environment("nothing", tmp_path / "kept")


def test_every_peers_packages_are_pinned() -> None:
    named = {server.packages for server in servers.SERVERS if server.packages}
    assert {path.stem for path in servers.PEERS.glob("*.txt")} == named
    for path in servers.PEERS.glob("*.txt"):
        for line in path.read_text().splitlines():
            assert line.startswith("#") or re.fullmatch(r"[a-z0-9_.-]+==[^ ]+", line), f"{path.name}: {line}"


def test_a_server_that_ends_at_once_is_a_line_with_its_last_words(tmp_path: Path) -> None:
    broken = servers.Server(
        "broken",
        "",
        lambda bin_, files, port: [str(bin_ / "python"), "-c", "raise SystemExit('no such model')"],
        lambda files, port: {},
        "/",
        "/",
        lambda rows: {},
    )
    files = servers.Files(tmp_path, tmp_path, tmp_path)
    found = serve._measured(broken, tmp_path, tmp_path, files)
    assert found == Result("broken", problem="did not get ready: no such model")


def test_bodies_are_json_that_each_server_reads() -> None:
    rows = serve.rows(3)
    assert rows == serve.rows(3)
    for server in servers.SERVERS:
        json.dumps(server.body(rows))
