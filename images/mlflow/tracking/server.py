"""MLflow's own server application, in this one process.

`mlflow server` starts a process manager, workers and, unless forbidden, a job runner with seven helpers; here it is one uvicorn on
MLflow's ASGI application, which is all a tenant needs and a thirtieth of the memory. The event loop is asyncio's, because
name look-ups must go through Python's own resolver (docs/architecture.md, "How containers run").

MLflow reads its settings from the environment, most of them when a request needs them, but its allowed hosts when the application
is imported: those belong in the image (images/mlflow/Dockerfile).

Environment: MLFLOW_BACKEND_STORE_URI, MLFLOW_ARTIFACT_ROOT, POD_IP (where to listen), PORT.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType

import uvicorn


class Refused(Exception):
    """The server cannot be started; the message says what to change."""


@dataclass(frozen=True)
class Config:
    """What the environment asks for."""

    backend: str
    artifacts: str
    host: str
    port: int

    @classmethod
    def read(cls, env: Mapping[str, str]) -> Config:
        """Raise Refused where something needed is missing."""
        backend, artifacts = env.get("MLFLOW_BACKEND_STORE_URI", ""), env.get("MLFLOW_ARTIFACT_ROOT", "")
        if not backend:
            raise Refused("MLFLOW_BACKEND_STORE_URI is not set: give it from key 'uri' of the Secret 'mlflow-database'")
        if not artifacts.startswith("s3://"):
            raise Refused(f"MLFLOW_ARTIFACT_ROOT must be s3://BUCKET/mlflow-artifacts, not {artifacts!r}")
        return cls(
            backend=backend, artifacts=artifacts, host=env.get("POD_IP") or "0.0.0.0", port=int(env.get("PORT", "5000"))
        )


def settings(config: Config) -> dict[str, str]:
    """The environment MLflow's server expects of whoever starts it (`mlflow.server._run_server` sets the same)."""
    return {
        "_MLFLOW_SERVER_FILE_STORE": config.backend,
        "_MLFLOW_SERVER_REGISTRY_STORE": config.backend,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": config.artifacts,
        "_MLFLOW_SERVER_BOOT_ID": uuid.uuid4().hex,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": "2",
        "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": "6",
    }


class Server(uvicorn.Server):
    """uvicorn asks itself ten times a second whether it is to end, which costs two hundred idle servers a processor. This one is told."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told = asyncio.Event()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # 0: answers get a new Date, which they do once a second
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._told.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        asyncio.get_running_loop().call_soon_threadsafe(self._told.set)


def run(config: Config) -> None:
    """Serve until SIGTERM. The stores are opened first, so that a server that answers is a server that works."""
    os.environ.update(settings(config))
    from mlflow.server.fastapi_app import app
    from mlflow.server.handlers import initialize_backend_stores

    from . import plain

    if plain.wanted(os.environ):
        plain.install()
    initialize_backend_stores(config.backend, config.backend, config.artifacts)
    settled = uvicorn.Config(
        app,
        host=config.host,
        port=config.port,
        loop="asyncio",
        http="httptools",
        log_level="warning",
        timeout_graceful_shutdown=5,
    )
    server = Server(settled)
    server.run()
    if not server.started:
        raise Refused("MLflow's application does not start: see above")
