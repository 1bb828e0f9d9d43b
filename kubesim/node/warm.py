"""Fork servers ahead of need: an image with a preload list is imported when it appears, not when its first pod does.

Importing is what a start costs; while PostgreSQL initialises and operators come up a processor is free for it. The image with the longest import
says so (LABEL kubesim.warm="first"): everything ends with it. One that is not needed at once (kubesim.warm="idle") waits until the machine has
little else to do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable

import psutil

from kubesim.node.images import Image, ImageStore

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
PATIENCE_SECONDS = 60
ORDER = {"first": 0, "idle": 2}  # what says nothing goes between
IDLE_PERCENT = 50.0


async def _idle() -> None:
    """Until the processors were half idle for a moment, or a minute has passed."""
    psutil.cpu_percent(None)
    for _ in range(int(PATIENCE_SECONDS / LOOK_SECONDS)):
        await asyncio.sleep(LOOK_SECONDS)
        if psutil.cpu_percent(None) < IDLE_PERCENT:
            return


class Warmer:
    """Looks for new images and has each warmed once; images with the same `key` share a fork server."""

    def __init__(
        self, images: ImageStore, warm: Callable[[Image], Awaitable[None]], key: Callable[[Image], Hashable]
    ) -> None:
        self.images, self.warm, self.key = images, warm, key
        self.known: set[Hashable] = set()
        self.seen = 0

    async def run(self) -> None:
        """Until cancelled. One after another, by name: what a pod asks for meanwhile goes ahead by itself."""
        while True:
            for image in sorted(self._new(), key=lambda image: ORDER.get(image.warm, 1)):
                if image.warm == "idle":
                    await _idle()
                await self._warm(image)
            await asyncio.sleep(LOOK_SECONDS)

    def _new(self) -> list[Image]:
        """Images not warmed yet; nothing is read while nothing was built."""
        try:
            changed = (self.images.folder / "tags.json").stat().st_mtime_ns
        except FileNotFoundError:
            return []
        if changed == self.seen:
            return []
        self.seen = changed
        found = []
        for image in self.images.list():
            if image.preload and self.key(image) not in self.known:
                self.known.add(self.key(image))
                found.append(image)
        return found

    async def _warm(self, image: Image) -> None:
        try:
            await self.warm(image)
        except Exception:
            # Whatever is wrong with the image is told again, and to the right person, when a pod asks for it.
            log.exception("image %s cannot be warmed", image.name)
