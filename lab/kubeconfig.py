"""A kubeconfig, read and never written: one of its contexts, with every file that it names in place.

All of the lab's Python reads kubeconfigs here: the lab's own, a tenant's, and somebody's, of which one context becomes a file that stands alone.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab import documents
from lab.errors import LabError
from lab.messages import t

_FILES = ("certificate-authority", "client-certificate", "client-key")


@dataclass(frozen=True)
class Context:
    """One context: its name, the file that has it, and its cluster and user with every file that they named inlined."""

    name: str
    file: Path
    cluster: dict[str, Any]
    user: dict[str, Any]

    @property
    def server(self) -> str:
        return str(self.cluster.get("server", "")).rstrip("/")

    @property
    def authority(self) -> str:
        """PEM text; empty where the machine's own authorities are meant. So are the next two: empty where there is none."""
        return self._decoded(self.cluster, "certificate-authority-data")

    @property
    def certificate(self) -> str:
        return self._decoded(self.user, "client-certificate-data")

    @property
    def key(self) -> str:
        return self._decoded(self.user, "client-key-data")

    def alone(self) -> str:
        """A kubeconfig with just this context."""
        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "cluster", "cluster": self.cluster}],
                "users": [{"name": "user", "user": self.user}],
                "contexts": [{"name": self.name, "context": {"cluster": "cluster", "user": "user"}}],
                "current-context": self.name,
            },
            sort_keys=False,
        )

    def _decoded(self, part: Mapping[str, Any], field: str) -> str:
        try:
            return b64decode(str(part.get(field, "")), validate=True).decode()
        except ValueError:
            raise LabError(t("{field} in {file} is not base64 of PEM text", field=field, file=self.file)) from None


def files(environ: Mapping[str, str]) -> list[Path]:
    """Where kubectl looks: the files of KUBECONFIG, else ~/.kube/config."""
    named = [Path(part).expanduser() for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    home = Path(environ.get("HOME") or Path.home())
    return named or [home / ".kube" / "config"]


def read(paths: Sequence[Path], name: str = "") -> Context:
    """The context of that name, or the current one; the first file that sets something wins, as in kubectl. Raises LabError."""
    found = [(path, _document(path)) for path in paths if path.exists()]
    if not found:
        raise LabError(
            t("there is no kubeconfig at {paths}", paths=", ".join(map(str, paths))),
            "KUBECONFIG=/path/to/it ./inv up ...",
        )
    wanted = name or next((str(doc["current-context"]) for _, doc in found if doc.get("current-context")), "")
    if not wanted:
        raise LabError(
            t("{path} has no current context", path=found[0][0]),
            t("kubectl config use-context NAME, or LAB_CONTEXT=NAME"),
        )
    path, context = _find(found, "contexts", wanted)
    cluster_file, cluster = _find(found, "clusters", str(context.get("cluster", "")))
    user_file, user = _find(found, "users", str(context.get("user", "")))
    return Context(wanted, path, _inlined(cluster, cluster_file), _inlined(user, user_file))


def _document(path: Path) -> dict[str, Any]:
    try:
        found = documents.load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise LabError(
            t("cannot read the kubeconfig {path}: {error}", path=path, error=str(error).splitlines()[0])
        ) from None
    return found if isinstance(found, dict) else {}


def _find(files: Sequence[tuple[Path, dict[str, Any]]], section: str, name: str) -> tuple[Path, dict[str, Any]]:
    kind = section.removesuffix("s")
    entries = [(path, item) for path, document in files for item in _entries(document, section)]
    for path, item in entries:
        if item.get("name") == name and isinstance(value := item.get(kind) or {}, dict):
            return path, dict(value)
    known = sorted(str(item.get("name")) for _, item in entries)
    raise LabError(
        t("no {kind} {name!r} in {path}", kind=kind, name=name, path=files[0][0]),
        t("known: {names}", names=", ".join(known) or t("none")),
    )


def _entries(document: dict[str, Any], section: str) -> list[dict[str, Any]]:
    """Those that are entries: somebody's file may hold anything."""
    found = document.get(section)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _inlined(part: dict[str, Any], file: Path) -> dict[str, Any]:
    """Files are named from the kubeconfig's folder; a copy may lie elsewhere, so it carries what they hold."""
    made = dict(part)
    for key in _FILES:
        named = made.pop(key, None)
        if named and not made.get(f"{key}-data"):
            made[f"{key}-data"] = b64encode(_bytes(file.parent / named, key)).decode()
    token = made.pop("tokenFile", None)
    if token and not made.get("token"):
        made["token"] = _bytes(file.parent / token, "tokenFile").decode().strip()
    return made


def _bytes(path: Path, key: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise LabError(
            t("cannot read {path}, the kubeconfig's {key}: {reason}", path=path, key=key, reason=error.strerror)
        ) from None
