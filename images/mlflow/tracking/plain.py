"""Connections to PostgreSQL without TLS, where the image says so.

pg8000 prepares a TLS context for every connection before it asks whether the server speaks TLS at all: 48 ms of CPU each, more than
all else a connection costs. In this lab PostgreSQL is in the same cluster and speaks none; PGSSLMODE=disable, libpq's own word,
says so. With any other value nothing changes, so an external database with TLS works.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine


def wanted(env: Mapping[str, str]) -> bool:
    """Whether the environment asks for connections without TLS."""
    return env.get("PGSSLMODE") == "disable"


def install() -> None:
    """From now on every pg8000 connection SQLAlchemy makes in this process is plain."""
    event.listen(Engine, "do_connect", _plain)


def _plain(dialect: Any, _record: Any, _arguments: list[Any], parameters: dict[str, Any]) -> None:
    if dialect.driver == "pg8000":
        parameters.setdefault("ssl_context", False)
