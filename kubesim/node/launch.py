"""What a shim is told to start: one frozen value, sent as JSON from the node to the shim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Mount:
    """`source` (a host path) shown at `target` (the container's path)."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class Launch:
    """One container. `folder` is its own folder on the host (state.json, exit.json), `log` its CRI log file.

    `private_root` asks for mount namespaces; `mounts` matter only then. `private_pids` asks for a PID namespace too. `user` is None for the user
    that runs the lab. `hidden` are host folders that the container must not see, `reachable` those that it must be able to enter whatever user
    it runs as.
    """

    id: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    folder: str
    log: str
    private_root: bool = False
    private_pids: bool = False
    mounts: Sequence[Mount] = ()
    hidden: Sequence[str] = ()
    reachable: Sequence[str] = ()
    hostname: str = ""
    user: int | None = None
    group: int | None = None
    groups: Sequence[int] = ()
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    stop_signal: int = 15

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(body: Mapping[str, Any]) -> Launch:
        return Launch(**{**body, "mounts": [Mount(**mount) for mount in body["mounts"]]})
