"""Probes and lifecycle hooks: what the kubelet asks a container, and when it believes the answers."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import aiohttp

from kubesim.node.network import real_port
from kubesim.node.runtime import Runtime
from kubesim.node.wire import RuntimeFailure
from kubesim.resources import Object

Kind = Literal["startup", "readiness", "liveness"]
Outcome = tuple[bool, str]
_OUTPUT = 10 * 1024


class HookFailure(Exception):
    """A lifecycle hook failed; the message is the event's."""


class ProbeError(Exception):
    """A probe could not be carried out: how the container is, nobody knows. Kubernetes throws such an answer away."""


@dataclass(frozen=True)
class Target:
    """What is probed: a container of a pod at an address."""

    id: str
    container: Object
    address: str
    offset: int = 0

    def port(self, value: int | str, host: str) -> int:
        """A port's number; names are those of the container's ports."""
        number = value if isinstance(value, int) else int(value) if value.isdigit() else self._named(value)
        return real_port(host, number, self.offset)

    def _named(self, name: str) -> int:
        for port in self.container.get("ports") or []:
            if port.get("name") == name:
                return int(port["containerPort"])
        raise HookFailure(f"couldn't find port: {name}")


class Prober:
    """Carries out probes and hooks. One HTTP session, no redirects to other hosts, no proxies of the environment."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.session: aiohttp.ClientSession | None = None
        self.closed = False

    def _http(self) -> aiohttp.ClientSession:
        if self.session is None:
            self.session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True, limit=0), cookie_jar=aiohttp.DummyCookieJar()
            )
        return self.session

    async def close(self) -> None:
        """No more probes: a task whose cancellation Python 3.11 swallowed (`kubesim.ending`) sees it here."""
        self.closed = True
        if self.session is not None:
            await self.session.close()

    async def probe(self, target: Target, action: Object, timeout: float) -> Outcome:
        """(success, what was seen): raises ProbeError where the question could not be put, never for a failing container."""
        try:
            if "exec" in action:
                return await self._exec_probe(target, action["exec"].get("command") or [], timeout)
            if "httpGet" in action:
                async with asyncio.timeout(timeout + 0.5):
                    return await self._http_probe(target, action["httpGet"], timeout)
            if "tcpSocket" in action:
                return await self._tcp_probe(target, action["tcpSocket"], timeout)
            if "grpc" in action:
                return await self._grpc_probe(target, action["grpc"], timeout)
        except HookFailure as error:
            raise ProbeError(str(error)) from error
        except TimeoutError:
            return False, "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return False, "missing probe handler"

    async def _http_probe(self, target: Target, action: Object, timeout: float) -> Outcome:
        host = action.get("host") or target.address
        scheme = (action.get("scheme") or "HTTP").lower()
        url = f"{scheme}://{host}:{target.port(action['port'], host)}{_path(action.get('path', '/'))}"
        headers = {"User-Agent": "kube-probe/1.36", "Accept": "*/*"} | {
            item["name"]: item["value"] for item in action.get("httpHeaders") or []
        }
        shown = url.replace(
            f":{target.port(action['port'], host)}", f":{action['port']}" if isinstance(action["port"], int) else ""
        )
        try:
            async with self._http().get(
                url,
                headers=headers,
                ssl=_NO_VERIFY,
                timeout=aiohttp.ClientTimeout(total=timeout),
                allow_redirects=False,
            ) as answer:
                if 200 <= answer.status < 400:
                    return True, ""
                return False, f"HTTP probe failed with statuscode: {answer.status}"
        except TimeoutError:
            return False, f'Get "{shown}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
        except aiohttp.ClientConnectorError as error:
            reason = os.strerror(error.errno).lower() if error.errno else str(error)
            return False, f'Get "{shown}": dial tcp {host}:{action["port"]}: connect: {reason}'
        except (aiohttp.ClientError, OSError) as error:
            return False, f'Get "{shown}": {error or "EOF"}'

    async def _tcp_probe(self, target: Target, action: Object, timeout: float) -> Outcome:
        host = action.get("host") or target.address
        try:
            async with asyncio.timeout(timeout):
                _, writer = await asyncio.open_connection(host, target.port(action["port"], host))
        except TimeoutError:
            return False, f"dial tcp {host}:{action['port']}: i/o timeout"
        except OSError as error:
            return False, f"dial tcp {host}:{action['port']}: connect: {os.strerror(error.errno or 0).lower()}"
        writer.close()
        return True, ""

    async def _grpc_probe(self, target: Target, action: Object, timeout: float) -> Outcome:
        from kubesim.node import grpchealth  # h2 is imported where somebody has such a probe

        host, port = target.address, int(action["port"])
        try:
            async with asyncio.timeout(timeout):
                return await grpchealth.check(host, target.port(port, host), action.get("service") or "")
        except TimeoutError:
            return (
                False,
                f'timeout: failed to connect service "{host}:{port}" within {timeout:g}s: context deadline exceeded',
            )
        except (OSError, ValueError) as error:
            return False, f'error: failed to connect service at "{host}:{port}": {error}'

    async def _exec_probe(self, target: Target, command: Sequence[str], timeout: float) -> Outcome:
        try:
            code, output = await self._run(target.id, command, timeout)
        except RuntimeFailure as error:
            raise ProbeError(f"failed to exec in container: failed to start exec: {error}") from error
        if code is None:
            return False, f"command timed out: {list(command)!r} timed out after {timeout:g}s"
        return code == 0, output.decode(errors="replace")

    async def run(self, id: str, command: Sequence[str], timeout: float | None = None) -> tuple[int | None, bytes]:
        """A command in the container: its exit code (None where it was killed for taking too long, 126 where it could not start) and its output."""
        try:
            return await self._run(id, command, timeout)
        except RuntimeFailure as error:
            return 126, str(error).encode()

    async def _run(self, id: str, command: Sequence[str], timeout: float | None) -> tuple[int | None, bytes]:
        read, write = os.pipe()
        null = os.open(os.devnull, os.O_RDWR)
        try:
            process = await self.runtime.exec(id, command, handles=[null, write, os.dup(write)])
        except RuntimeFailure:
            os.close(read)
            raise
        collecting = asyncio.create_task(collect(read))
        try:
            async with asyncio.timeout(timeout):
                code: int | None = await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
            code = None
        except asyncio.CancelledError:
            collecting.cancel()
            raise
        finally:
            process.close()
        return code, await _at_most(collecting)

    async def hook(self, target: Target, action: Object) -> None:
        """postStart or preStop; raises HookFailure."""
        if "exec" in action:
            command = action["exec"].get("command") or []
            code, output = await self.run(target.id, command)
            if code:
                text = output.decode(errors="replace")
                raise HookFailure(
                    f"Exec lifecycle hook ({command}) failed - error: command '{' '.join(command)}' exited with {code}: , message: {text!r}"
                )
        elif "httpGet" in action:
            success, message = await self._http_probe(target, action["httpGet"], 30)
            if not success and not message.startswith("HTTP probe failed"):
                raise HookFailure(
                    f"HTTP lifecycle hook ({action['httpGet'].get('path', '/')}) failed - error: {message}"
                )
        elif "sleep" in action:
            await asyncio.sleep(action["sleep"]["seconds"])
        elif "tcpSocket" in action:
            success, message = await self._tcp_probe(target, action["tcpSocket"], 5)
            if not success:
                raise HookFailure(f"TCP lifecycle hook failed - error: {message}")


_NO_VERIFY = ssl.create_default_context()
_NO_VERIFY.check_hostname = False
_NO_VERIFY.verify_mode = ssl.CERT_NONE


def _path(path: str) -> str:
    return path if path.startswith("/") else f"/{path}"


async def collect(handle: int, limit: int = _OUTPUT) -> bytes:
    """What is written to a pipe until it is closed, its first bytes kept. The handle is closed."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(handle, "rb", 0)
    )
    kept = b""
    try:
        while data := await reader.read(1 << 16):
            kept = (kept + data)[:limit]
    except asyncio.CancelledError:
        pass
    finally:
        transport.close()
    return kept


async def _at_most(task: asyncio.Task[bytes], wait: float = 1.0) -> bytes:
    """What was collected; a process left behind that holds the pipe open does not hold us."""
    done, _ = await asyncio.wait({task}, timeout=wait)
    if not done:
        task.cancel()
    return await task


@dataclass(frozen=True)
class Result:
    """A change of what a probe says: `success` after enough answers in a row."""

    kind: Kind
    success: bool
    message: str


async def watch(
    prober: Prober,
    target: Target,
    kind: Kind,
    spec: Object,
    *,
    may_run: Callable[[], Awaitable[None]],
    report: Callable[[Result], None],
    failed: Callable[[Kind, str], None],
) -> None:
    """Probe for ever (a startup probe: until it is decided): `failed` for each failing answer (for an event), `report` when a threshold
    is reached.

    A container that is not ready yet is asked more often than its period says, so that what is ready is ready now and not ten seconds
    later; those extra answers count only if they are good.
    """
    period, timeout = spec.get("periodSeconds", 10), spec.get("timeoutSeconds", 1)
    need = {True: spec.get("successThreshold", 1), False: spec.get("failureThreshold", 3)}
    await may_run()
    await asyncio.sleep(spec.get("initialDelaySeconds", 0) or 0)
    clock = asyncio.get_running_loop().time
    state: bool | None = None
    last, row, counted, eager = None, 0, clock(), 0.1
    while not prober.closed:
        try:
            success, message = await prober.probe(target, spec, timeout)
        except ProbeError as error:
            failed(kind, f"errored and resulted in unknown state: {error}")
            await asyncio.sleep(period)
            continue
        starting = state is None and not success and kind != "liveness"
        if not starting or clock() - counted >= period:
            counted = clock()
            row = row + 1 if success == last else 1
            last = success
            if not success:
                failed(kind, f"failed: {message}")
            if row >= need[success] and state is not success:
                state = success
                report(Result(kind, success, message))
                if kind == "startup":
                    return
        await asyncio.sleep(eager if starting else period)
        eager = min(eager * 1.5, 1.0, period)
