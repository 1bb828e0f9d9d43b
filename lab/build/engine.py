"""The Docker engine that this user's `docker` command talks to, through the `docker` package."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from lab.errors import ToolMissing
from lab.messages import mark, t

USUAL = "unix:///var/run/docker.sock"
HINT = mark(
    "start Docker (docker version says whether it answers), or use what needs none: --cluster sim, --aws standin"
)


def connect(*, timeout: int = 600) -> Any:
    """A client of the engine; raises ToolMissing where none answers. `timeout` is for one answer, in seconds."""
    address = _address()
    try:
        _knock(address, timeout)
        return _client(address, timeout)
    except OSError as error:
        raise ToolMissing(
            t("no Docker engine answers at {address}: {reason}", address=address, reason=error.strerror or error),
            t(HINT),
        ) from None


def _knock(address: str, timeout: int) -> None:
    """Whether somebody listens; asked before the package is imported, which takes longer than most engines to answer."""
    if address.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(timeout)
            probe.connect(address.removeprefix("unix://"))


def _client(address: str, timeout: int) -> Any:
    import docker
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        client = docker.DockerClient(base_url=address, timeout=timeout)
        client.ping()
    except (DockerException, RequestException) as error:
        raise OSError(_reason(error)) from None
    return client


def answers() -> bool:
    """Whether there is an engine; within a second or so, whatever happens."""
    try:
        connect(timeout=1).close()
    except ToolMissing:
        return False
    return True


def _address() -> str:
    """DOCKER_HOST, else that of the context chosen with `docker context use` (Docker Desktop, rootless, colima), else the usual socket."""
    if host := os.environ.get("DOCKER_HOST"):
        return host
    folder = Path(os.environ.get("DOCKER_CONFIG", Path.home() / ".docker"))
    return _of_context() if (folder / "contexts").is_dir() else USUAL


def _of_context() -> str:
    from docker.context import ContextAPI

    chosen = ContextAPI.get_current_context()
    return str(chosen.Host) if chosen is not None and chosen.Host else USUAL


def _reason(error: BaseException) -> str:
    """The innermost cause: the package wraps a socket's error four times."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return getattr(error, "strerror", None) or str(error)
