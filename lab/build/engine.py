"""The Docker engine that this user's `docker` command talks to, through the `docker` package."""

from __future__ import annotations

import os
from typing import Any

from lab.errors import ToolMissing

HINT = "start Docker (docker version says whether it answers), or use what needs none: --cluster sim, --aws standin"


def connect(*, timeout: int = 600) -> Any:
    """A client of the engine; raises ToolMissing where none answers. `timeout` is for one answer, in seconds."""
    import docker
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        client = docker.DockerClient(base_url=_address(), timeout=timeout)
        client.ping()
    except (DockerException, RequestException, OSError) as error:
        raise ToolMissing(
            f"no Docker engine answers at {_address() or 'its usual socket'}: {_reason(error)}", HINT
        ) from None
    return client


def answers() -> bool:
    """Whether there is an engine; within a second or so, whatever happens."""
    try:
        connect(timeout=1).close()
    except ToolMissing:
        return False
    return True


def _address() -> str | None:
    """DOCKER_HOST, else that of the context chosen with `docker context use` (Docker Desktop, rootless, colima); None is the usual socket."""
    from docker.context import ContextAPI

    if host := os.environ.get("DOCKER_HOST"):
        return host
    chosen = ContextAPI.get_current_context()
    return str(chosen.Host) if chosen is not None and chosen.Host else None


def _reason(error: BaseException) -> str:
    """The innermost cause: the package wraps a socket's error four times."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return getattr(error, "strerror", None) or str(error)
