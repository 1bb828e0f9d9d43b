"""Contexts of somebody's kubeconfig, read and never written: one of them becomes a file of the lab's own that stands alone."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

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
        return str(self.cluster.get("server", ""))

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


def files(environ: Mapping[str, str]) -> list[Path]:
    """Where kubectl looks: the files of KUBECONFIG, else ~/.kube/config."""
    named = [Path(part).expanduser() for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    home = Path(environ.get("HOME") or Path.home())
    return named or [home / ".kube" / "config"]


def read(paths: Sequence[Path], name: str = "") -> Context:
    """The context of that name, or the current one; the first file that sets something wins, as in kubectl. Raises LabError."""
    documents = [(path, _document(path)) for path in paths if path.exists()]
    if not documents:
        raise LabError(
            t("there is no kubeconfig at {paths}", paths=", ".join(map(str, paths))),
            "KUBECONFIG=/path/to/it ./inv up ...",
        )
    wanted = name or next((str(doc["current-context"]) for _, doc in documents if doc.get("current-context")), "")
    if not wanted:
        raise LabError(
            t("{path} has no current context", path=documents[0][0]),
            t("kubectl config use-context NAME, or LAB_CONTEXT=NAME"),
        )
    path, context = _find(documents, "contexts", wanted)
    cluster_file, cluster = _find(documents, "clusters", str(context.get("cluster", "")))
    user_file, user = _find(documents, "users", str(context.get("user", "")))
    return Context(wanted, path, _inlined(cluster, cluster_file), _inlined(user, user_file))


def _document(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise LabError(
            t("cannot read the kubeconfig {path}: {error}", path=path, error=str(error).splitlines()[0])
        ) from None
    return found if isinstance(found, dict) else {}


def _find(documents: Sequence[tuple[Path, dict[str, Any]]], section: str, name: str) -> tuple[Path, dict[str, Any]]:
    kind = section.removesuffix("s")
    for path, document in documents:
        for item in document.get(section) or []:
            if item.get("name") == name:
                return path, dict(item.get(kind) or {})
    known = sorted(str(item.get("name")) for _, document in documents for item in document.get(section) or [])
    raise LabError(
        t("no {kind} {name!r} in {path}", kind=kind, name=name, path=documents[0][0]),
        t("known: {names}", names=", ".join(known) or t("none")),
    )


def _inlined(part: dict[str, Any], file: Path) -> dict[str, Any]:
    """Files are named from the kubeconfig's folder; the copy lies elsewhere, so it carries what they hold."""
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
