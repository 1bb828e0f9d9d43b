"""`python -m kubesim serve` as a process of its own, to be killed and started again, and an HTTP client that its kubeconfig makes."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import sys
from pathlib import Path

import aiohttp
import yaml


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Process:
    """A server on one state directory and one port, which it keeps over its lives."""

    def __init__(self, state: Path, port: int) -> None:
        self.state, self.port = state, port
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Returns when it says that it is ready."""
        self._process = await self.spawn()
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert b"ready" in line, (self.state / "serve.log").read_text()

    async def spawn(self) -> asyncio.subprocess.Process:
        command = [sys.executable, "-m", "kubesim", "serve", "--state", str(self.state), "--port", str(self.port)]
        with (self.state / "serve.log").open("a") as log:
            return await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=log)

    async def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> None:
        """With its containers, whether it runs or not."""
        command = [sys.executable, "-m", "kubesim", "stop", "--state", str(self.state)]
        await (await asyncio.create_subprocess_exec(*command)).wait()
        if self._process is not None:
            await self._process.wait()

    def context(self) -> ssl.SSLContext:
        """TLS as its administrator."""
        config = yaml.safe_load((self.state / "admin.kubeconfig").read_text())
        user, cluster = config["users"][0]["user"], config["clusters"][0]["cluster"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        context = ssl.create_default_context(cadata=authority)
        pair = self.state / "test-client.pem"
        pair.touch(0o600)
        pair.write_bytes(b"".join(base64.b64decode(user[f"client-{part}-data"]) for part in ("certificate", "key")))
        context.load_cert_chain(pair)
        return context

    def session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(ssl=self.context(), limit=0)
        return aiohttp.ClientSession(self.url, connector=connector, timeout=aiohttp.ClientTimeout(total=20))
