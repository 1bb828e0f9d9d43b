"""Ports, folders and environments of the processes that the lab starts on this host."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

from lab.errors import LabError
from lab.messages import t


def is_free(port: int, address: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def require_free(port: int, service: str, key: str, variable: str, *, ours: Path | None = None) -> None:
    """Raises LabError naming the port, what wanted it, who has it and how to move it; a program that names the folder `ours` may have it."""
    if is_free(port):
        return
    holder = listener(port)
    if ours is not None and str(ours) in holder:
        return
    raise LabError(
        t(
            "port {port} on 127.0.0.1, wanted by {service}, is taken by {holder}",
            port=port,
            service=service,
            holder=holder or t("another program"),
        ),
        t(
            "end that program (ss -ltnp 'sport = :{port}' shows it), or change {key} in lab.yaml (or {variable}=...)",
            port=port,
            key=key,
            variable=variable,
        ),
    )


def listener(port: int) -> str:
    """Process number and command line of the program that listens on a port; empty where it is not this user's to see."""
    import psutil

    for found in psutil.net_connections("tcp4"):
        if found.status == psutil.CONN_LISTEN and found.laddr[1:] == (port,) and found.pid:
            try:
                return t(
                    "process {pid} ({command})", pid=found.pid, command=" ".join(psutil.Process(found.pid).cmdline())
                )
            except psutil.Error:
                continue
    return ""


def environment(root: Path) -> dict[str, str]:
    """This process's environment for a child, with the repository importable and without the AWS settings of the user's shell."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    return kept | {"PYTHONPATH": str(root), "PYTHONUNBUFFERED": "1"}


def remove_tree(path: Path) -> None:
    """Delete a folder of the lab's; a file that another user owns is named."""
    try:
        shutil.rmtree(path, ignore_errors=False)
    except FileNotFoundError:
        return
    except OSError as error:
        raise LabError(
            t("cannot remove {path}: {reason}", path=error.filename or path, reason=error.strerror),
            t("remove it by hand: sudo rm -r {path}", path=path),
        ) from None
