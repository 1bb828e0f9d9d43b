"""Events live an hour, as in Kubernetes, where etcd forgets them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from kubesim.api.strategy import stamp

if TYPE_CHECKING:
    from kubesim.api.app import Server

TTL = timedelta(hours=1)
EVERY = 60.0
STORAGE = "events"


async def expire(server: Server) -> None:
    """Removes old events, for ever."""
    while True:
        await asyncio.sleep(EVERY)
        sweep(server, datetime.now(UTC))


def sweep(server: Server, now: datetime) -> int:
    """How many events were too old: not written within the last hour."""
    limit = stamp(now - TTL)
    old = [record for record in server.store.list(STORAGE) if _last(record.object) < limit]
    for record in old:
        server.store.delete(STORAGE, record)
    return len(old)


def _last(event: dict[str, object]) -> str:
    """When the event was last written; times are all UTC and of one width to the second, so their texts sort."""
    series = event.get("series")
    seen = series.get("lastObservedTime") if isinstance(series, dict) else None
    times = [event.get("lastTimestamp"), event.get("eventTime"), seen, event["metadata"]["creationTimestamp"]]  # type: ignore[index]
    return max(str(time) for time in times if time)
