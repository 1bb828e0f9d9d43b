"""A service over real HTTP on a free port, following a registry that the test holds in its hand."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache

import httpx
import pytest
import uvicorn

from serving.app import create
from serving.errors import NoChampion, Unreachable
from serving.registry import Files, Registry, Version
from serving.service import Service
from serving.settings import Settings
from tests.images.stack import stack
from training import data, equality, model, profile
from training.arguments import Parameters
from training.onnxform import convert

__all__ = ["stack"]


@cache
def files(*, seed: int = 42, trees: int = 20) -> Files:
    """What the training writes of an iris forest."""
    table = data.iris()
    parameters = Parameters(n_estimators=trees, max_depth=None, seed=seed, test_size=0.2, folds=2)
    trained = model.train(model.split(table, parameters), parameters)
    body = convert(trained.forest)
    made = profile.profile(table, trained, body, equality.session(body))
    return Files(profile=profile.encode(made), model=body)


@dataclass
class Shelf(Registry):
    """A registry in memory. `down` is raised by every question, `broken` by the files only."""

    contents: dict[str, Files] = field(default_factory=dict)
    champion_version: str = ""
    down: Exception | None = None
    broken: Exception | None = None
    looks: int = 0

    def put(self, version: str, content: Files) -> None:
        """Register a version and move the alias to it."""
        self.contents[version] = content
        self.champion_version = version

    def champion(self) -> Version:
        self.looks += 1
        if self.down:
            raise self.down
        if not self.champion_version:
            raise NoChampion("no model 'iris' with alias 'champion' is registered")
        digest = hashlib.sha256(self.contents[self.champion_version].model).hexdigest()
        return Version("iris", self.champion_version, f"run-{self.champion_version}", digest)

    def files(self, version: Version) -> Files:
        if self.down or self.broken:
            raise self.down or self.broken or Unreachable("")
        return self.contents[version.version]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def settings() -> Settings:
    """The alias is looked at when the test says so (`service.look()`), not by the clock."""
    return Settings(tracking_uri="http://mlflow", poll=3600, drain=0.2)


@asynccontextmanager
async def serving(service: Service, *, server: uvicorn.Server | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """The application behind uvicorn and httptools, and a client for it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        config = uvicorn.Config(create(service), http="httptools", log_config=None, access_log=False)
        running = server or uvicorn.Server(config)
        task = asyncio.create_task(running.serve([listener]))
        while not running.started:  # noqa: ASYNC110  uvicorn has no event for it
            await asyncio.sleep(0.005)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with httpx.AsyncClient(base_url=url, timeout=20, trust_env=False) as client:
            yield client
        running.should_exit = True
        await task


@pytest.fixture
async def client(shelf: Shelf, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A service with version 1 in it."""
    shelf.put("1", files())
    service = Service(settings, shelf)
    await service.look()
    async with serving(service) as made:
        yield made


def poisoned(**changes: bytes) -> Files:
    """Version 1's files with something else in one of them."""
    return replace(files(), **changes)
