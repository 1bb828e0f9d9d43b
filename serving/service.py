"""The model in service, and the task that follows the registry's alias.

What it guarantees:

* Requests never wait for a swap: a new model is fetched, checked and tried in a thread; taking it is one assignment.
* A model that fails a check is remembered and not tried again until the alias moves; the old one stays.
* MLflow or S3 down: the model in service stays. A service that starts then takes the last good model of its cache, which it gives up
  again should MLflow come back and say that there is no champion (the cache may be older than the registry).
* A champion deleted while it is served stays in service until there is another.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Mapping

from serving.cache import Cache
from serving.drift import Drift
from serving.errors import BadModel, NoChampion, ServingError, Unreachable
from serving.metrics import Metrics
from serving.model import Model
from serving.registry import Registry, Version
from serving.settings import Settings

_log = logging.getLogger("serving")


class Service:
    """One per process."""

    def __init__(self, settings: Settings, registry: Registry | None = None) -> None:
        self.settings = settings
        self.registry = registry or Registry(settings)
        self.cache = Cache(settings.caches, settings.model)
        self.metrics = Metrics(self._drift)
        self.model: Model | None = None
        self.drift: Drift | None = None
        self.draining = False
        self.from_cache = False
        self.why_not = "the registry has not answered yet"
        self._said = ""
        self.rejected: tuple[str, str] | None = None

    def _drift(self) -> Mapping[str, float]:
        return self.drift.index() if self.drift else {}

    async def follow(self) -> None:
        """Look at the alias for ever, every `poll` seconds (a tenth more or less, so that pods do not look in step)."""
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001  this task must not end: nobody would notice that nothing is followed any more
                self._explain(f"looking at the registry failed: {error!r}")
            await asyncio.sleep(self.settings.poll * random.uniform(0.9, 1.1))

    async def look(self) -> None:
        """Look at the alias once, and do what it says."""
        try:
            champion = await asyncio.to_thread(self.registry.champion)
            self.metrics.following.set(1)
            await self._take(champion)
        except NoChampion as error:
            self.metrics.following.set(1)
            self._without_champion(str(error))
        except Unreachable as error:
            self.metrics.following.set(0)
            self._explain(str(error))
            if self.model is None:
                await self._from_cache()

    async def _take(self, champion: Version) -> None:
        if self.model and self.model.version == champion:
            self.from_cache, self.why_not = False, ""
            return
        if self.rejected and self.rejected[0] == champion.version:
            return
        files = await asyncio.to_thread(self.registry.files, champion)
        try:
            model = await asyncio.to_thread(Model.load, champion, files)
        except BadModel as error:
            self._reject(champion, error)
            return
        self._swap(model)
        await asyncio.to_thread(self.cache.save, champion, files)

    async def _from_cache(self) -> None:
        found = await asyncio.to_thread(self.cache.load)
        if found is None:
            return
        try:
            self._swap(await asyncio.to_thread(Model.load, *found), from_cache=True)
        except BadModel as error:
            self._explain(f"the cached model cannot be used: {error}")

    def _swap(self, model: Model, *, from_cache: bool = False) -> None:
        before = self.model.version.version if self.model else None
        self.drift = Drift(model.profile.features)
        self.model, self.from_cache = model, from_cache
        self.why_not, self.rejected = "", None
        self.metrics.swaps.inc()
        self.metrics.model.clear()
        self.metrics.model.labels(**model.identity).set(1)
        log("model in service", model=model.identity, before=before, from_cache=from_cache, engine=model.engine)

    def _reject(self, champion: Version, error: ServingError) -> None:
        self.rejected = (champion.version, str(error))
        self.metrics.rejected.inc()
        self._explain(f"version {champion.version} of {champion.name!r} was refused: {error}")

    def _without_champion(self, why: str) -> None:
        self.rejected = None
        self._explain(why)
        if self.from_cache:
            self.model, self.drift, self.from_cache = None, None, False

    def _explain(self, why: str) -> None:
        """Say it once, not every second."""
        if why != self._said:
            log(why, level=logging.WARNING)
        self.why_not = self._said = why


def log(event: str, *, level: int = logging.INFO, **fields: object) -> None:
    """A line of JSON."""
    _log.log(level, json.dumps({"event": event, **fields}, default=str))
