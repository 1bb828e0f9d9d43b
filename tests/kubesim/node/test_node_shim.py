"""A real shim and real processes: what it promises about exits, logs, strays, and its own death."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest

from kubesim.node import birth, daemons, logs, mounts, shims, wire
from kubesim.node.desk import Loop
from kubesim.node.images import Image
from kubesim.node.launch import Launch, Mount
from kubesim.node.runtime import Exit, Runtime
from kubesim.node.wire import RuntimeFailure


def image(*preload: str) -> Image:
    config = {
        "Env": [],
        "Entrypoint": [],
        "Cmd": [],
        "WorkingDir": "/",
        "User": "",
        "StopSignal": "",
        "Labels": {"kubesim.preload": " ".join(preload)},
    }
    return Image("x", "sha256:0", config, Path("/nonexistent"))


PLAIN, WARM = image(), image("json", "decimal")


class World:
    """A runtime with what its containers said when they ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.exits: dict[str, Exit] = {}
        self.runtime = Runtime(folder, self._exited)

    def _exited(self, exit: Exit) -> None:
        self.exits[exit.id] = exit

    async def run(self, id: str, argv: Sequence[str], *, image: Image = PLAIN, **options: object) -> None:
        await self.runtime.run(self.launch(id, argv, **options), image)

    def launch(self, id: str, argv: Sequence[str], **options: object) -> Launch:
        place = self.folder / "containers" / id
        place.mkdir(parents=True)
        labels = {"uid": "u", "namespace": "n", "pod": "p", "container": id, "attempt": "0"}
        env = daemons.base_environment() | {"HOME": "/tmp", "KUBESIM_CONTAINER": id}
        fields: dict[str, object] = {"cwd": "/", "env": env, "labels": labels} | options
        return Launch(id=id, argv=argv, folder=str(place), log=str(self.folder / "logs" / f"{id}.log"), **fields)  # type: ignore[arg-type]

    async def exit(self, id: str) -> Exit:
        await until(lambda: id in self.exits)
        return self.exits[id]

    def output(self, id: str) -> bytes:
        return b"".join(line.text for line in logs.read(self.folder / "logs" / f"{id}.log"))


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.01)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path / "node")
    await made.runtime.start()
    yield made
    await made.runtime.stop()
    await daemons.end_all(tmp_path)


@pytest.mark.parametrize("kind", [PLAIN, WARM], ids=["exec", "fork"])
async def test_a_python_program_sees_a_fresh_interpreter(world: World, tmp_path: Path, kind: Image) -> None:
    (tmp_path / "prog.py").write_text(
        "import os, sys, json, signal, threading\n"
        "print(sys.argv, os.getcwd(), __name__, sys.path[0], os.environ.get('A'), 'KUBESIM_IMPORT_ROOT' in os.environ)\n"
        "print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, threading.current_thread() is threading.main_thread())\n"
        "import __main__; print(__main__.__file__, 'kubesim' in sys.modules.get('__main__').__dict__)\n"
        "sys.stderr.write('to stderr\\n'); sys.exit(7)\n"
    )
    await world.run(
        "c",
        ["python", str(tmp_path / "prog.py"), "x"],
        image=kind,
        cwd=str(tmp_path),
        env=daemons.base_environment() | {"A": "1"},
    )
    assert (await world.exit("c")).code == 7
    path = str(tmp_path / "prog.py")
    expected = f"[{path!r}, 'x'] {tmp_path} __main__ {tmp_path} 1 False\nTrue True\n{path} False\n"
    out = b"".join(line.text for line in logs.read(world.folder / "logs" / "c.log") if line.stream == "stdout")
    assert out.decode() == expected
    assert b"to stderr\n" in world.output("c")


async def test_a_fork_shows_tracebacks_runs_exit_handlers_and_modules(world: World, tmp_path: Path) -> None:
    await world.run("boom", ["python", "-c", "1/0"], image=WARM)
    assert (await world.exit("boom")).code == 1
    assert world.output("boom").decode().splitlines() == [
        "Traceback (most recent call last):",
        '  File "<string>", line 1, in <module>',
        "ZeroDivisionError: division by zero",
    ]
    code = "import atexit, threading as t, time\natexit.register(lambda: print('bye'))\n"
    code += "t.Thread(target=lambda: (time.sleep(.1), print('joined'))).start()"
    await world.run("ends", ["python", "-c", code], image=WARM)
    assert (await world.exit("ends")).code == 0
    assert world.output("ends") == b"joined\nbye\n"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__main__.py").write_text(
        "import sys; print(sys.argv[1:], __spec__.name); raise SystemExit('said so')"
    )
    await world.run("module", ["python", "-m", "mine", "a"], image=WARM, cwd=str(tmp_path))
    assert (await world.exit("module")).code == 1
    assert sorted(world.output("module").decode().splitlines()) == ["['a'] mine.__main__", "said so"]


async def test_exit_codes_and_signals(world: World) -> None:
    await world.run("code", ["sh", "-c", "exit 3"])
    await world.run("long", ["sleep", "100"])
    assert (await world.exit("code")).code == 3
    await world.runtime.signal("long", signal.SIGTERM)
    ended = await world.exit("long")
    assert (ended.code, ended.signal) == (143, 15)
    await world.runtime.signal("long", signal.SIGTERM)


async def test_a_program_that_is_not_there_is_refused_with_the_runtimes_words(world: World) -> None:
    with pytest.raises(RuntimeFailure, match=r'exec: "nosuch": executable file not found in \$PATH'):
        await world.run("c", ["nosuch"])
    with pytest.raises(RuntimeFailure, match=r'exec: "/etc/passwd": permission denied'):
        await world.run("d", ["/etc/passwd"])


async def test_whatever_a_container_leaves_behind_is_killed_with_it(world: World) -> None:
    await world.run("c", ["sh", "-c", "setsid sleep 987 & sleep 986 & echo $!; wait"])
    await until(lambda: world.output("c") != b"")
    assert len(processes("c")) == 3
    await world.runtime.signal("c", signal.SIGTERM)
    await world.exit("c")
    await until(lambda: processes("c") == [])


def processes(id: str) -> list[int]:
    """Processes that carry the container's id in their environment."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                if f"KUBESIM_CONTAINER={id}".encode() in (place / "environ").read_bytes().split(b"\0"):
                    found.append(int(place.name))
            except OSError:
                continue
    return found


async def test_containers_outlive_the_server_and_exits_are_found_later(world: World, tmp_path: Path) -> None:
    await world.run("stays", ["sleep", "100"])
    await world.run("goes", ["sh", "-c", "read line; echo $line; exit 5"], stdin=True)
    await world.runtime.stop()
    (pid,) = [one for one in processes("goes") if Path(f"/proc/{one}/comm").read_text() == "sh\n"]
    os.kill(pid, signal.SIGKILL)
    await until(lambda: (world.folder / "containers" / "goes" / "exit.json").exists())
    again = Runtime(world.folder, world._exited)
    found = {one.id: one for one in await again.start()}
    stays, goes = found["stays"], found["goes"]
    assert stays.exit is None
    assert stays.labels["container"] == "stays"
    assert goes.exit is not None
    assert (goes.exit.code, goes.exit.lost) == (137, False)
    await again.signal("stays", signal.SIGKILL)
    await world.exit("stays")
    await again.stop()


async def test_a_killed_shim_takes_its_containers_along_and_the_next_start_makes_another(world: World) -> None:
    await world.run("c", ["sh", "-c", "setsid sleep 985 & echo; wait"])
    await until(lambda: world.output("c") != b"")
    connection = await wire.connect(world.folder / "shims" / "plain")
    pid = (await connection.ask({"op": "list"}))["pid"]
    connection.close()
    os.kill(pid, signal.SIGKILL)
    ended = await world.exit("c")
    assert (ended.code, ended.lost) == (137, True)
    await until(lambda: processes("c") == [])
    await world.run("next", ["true"])
    assert (await world.exit("next")).code == 0


async def test_exec_runs_beside_the_container_and_its_exit_code_comes_back(world: World) -> None:
    await world.run(
        "c", ["sleep", "100"], env=daemons.base_environment() | {"WHO": "me", "KUBESIM_CONTAINER": "c"}, cwd="/usr"
    )
    read, write = os.pipe()
    null = os.open(os.devnull, os.O_RDWR)
    process = await world.runtime.exec(
        "c", ["sh", "-c", "echo $WHO $PWD; exit 4"], handles=[null, write, os.dup(write)]
    )
    assert await process.wait() == 4
    process.close()
    assert os.read(read, 100) == b"me /usr\n"
    os.close(read)
    with pytest.raises(RuntimeFailure, match="not running"):
        await world.runtime.exec("unknown", ["true"], handles=[])


@pytest.mark.skipif(not mounts.available().mounts, reason="this user may not have mount namespaces here")
async def test_a_private_root_shows_volumes_at_their_paths_and_hides_the_rest(world: World, tmp_path: Path) -> None:
    volume, secret = tmp_path / "volume", tmp_path / "state" / "secret"
    volume.mkdir()
    secret.mkdir(parents=True)
    (volume / "f").write_text("hello")
    script = (
        f"cat /no/such/path/f; hostname; ls {secret.parent}; touch /no/such/path/g /usr/h /ro/x; id -u; cat /etc/one/f"
    )
    launched = [
        Mount(str(volume), "/no/such/path"),
        Mount(str(volume), "/ro", read_only=True),
        Mount(str(volume), "/etc/one"),
    ]
    await world.run(
        "c",
        ["sh", "-c", script],
        private_root=True,
        mounts=launched,
        hidden=[str(tmp_path / "state")],
        hostname="pod-0",
    )
    await world.exit("c")
    out = [line.text.decode() for line in logs.read(world.folder / "logs" / "c.log")]
    assert "".join(line for line in out if "cannot touch" not in line) == f"hellopod-0\n{os.getuid()}\nhello"
    assert [line.split("'")[1] for line in out if "Read-only" in line] == ["/usr/h", "/ro/x"]
    assert (volume / "g").exists()
    assert not Path("/no").exists()


async def test_two_shims_do_not_share_a_folder(world: World) -> None:
    await world.run("c", ["sleep", "100"])
    place = world.folder / "shims" / "plain"
    assert shims.start(place, None) == 0
    assert shims.lives(place)
    await world.runtime.signal("c", signal.SIGKILL)
    assert (await world.exit("c")).code == 137


async def test_a_shim_whose_folder_is_removed_ends_its_containers(world: World) -> None:
    await world.run("c", ["sleep", "100"])
    (world.folder / "shims" / "plain" / "shim.sock").unlink()
    await world.runtime.signal("c", 0)
    assert (await world.exit("c")).code == 137


def test_a_process_that_is_killed_before_it_heard_the_shim_is_a_failure_and_no_error() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.send(b"G")
    theirs.close()  # with the word unread: the kernel answers ECONNRESET
    word = birth.hear(ours)
    ours.close()
    assert (word.done, word.failed) == (True, "the process was killed before its program ran")


def test_what_goes_wrong_in_a_fork_stays_there() -> None:
    def child(line: birth.Line) -> NoReturn:
        raise ValueError("no such thing")

    pid, line = birth.fork(child, relayed=False)
    word = birth.hear(line)
    line.close()
    assert word.failed == "ValueError: no such thing"
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 126


def test_a_handler_may_close_what_was_ready_beside_it() -> None:
    """An exec that ends at once is heard to its end by the reaper while its line waits to be heard: the shim, and all its containers, live on."""
    loop, pairs = Loop(), [socket.socketpair() for _ in range(2)]
    heard: list[int] = []

    def hear(number: int) -> None:
        heard.append(number)
        for ours, _ in pairs:
            loop.off(ours)
            ours.close()

    for number, (ours, theirs) in enumerate(pairs):
        loop.on(ours, partial(hear, number))
        theirs.send(b"x")
    loop.turn(5)
    assert len(heard) == 1
    for _, theirs in pairs:
        theirs.close()
