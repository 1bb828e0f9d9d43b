"""Images: a config and the files a Dockerfile copies, under STATE/images, found by content.

An image's digest covers its config and every file, so that building unchanged sources again changes nothing, and `set image`, roll out
and roll back are real. A finished image is never written to: containers get copies. Several programs may build at once (a lock file), and
a build that dies leaves nothing half-made (files are moved into place whole).
"""

# os.* on purpose: this runs between fork and exec, in every container, or in a tight loop.
# ruff: noqa: PTH115
from __future__ import annotations

import fcntl
import fnmatch
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubesim.node import dockerfile
from kubesim.node.dockerfile import Copy, DockerfileError, Stage


class BuildError(Exception):
    """The image cannot be built; the message says which line or file."""


class InvalidImageName(Exception):
    """The reference is not `[registry/]name[:tag]`."""


_REFERENCE = re.compile(
    r"^[a-z0-9]+([._-]+[a-z0-9]+)*(:\d+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*(:\w[\w.-]{0,127})?(@sha256:[0-9a-f]{64})?$",
    re.I,
)


@dataclass(frozen=True)
class Image:
    """A built image. `digest` is what a pod's status shows as imageID; `root` holds its files by their paths in a container."""

    name: str
    digest: str
    config: Mapping[str, Any]
    root: Path

    @property
    def env(self) -> dict[str, str]:
        return dict(item.partition("=")[::2] for item in self.config["Env"])

    @property
    def entrypoint(self) -> list[str]:
        return list(self.config["Entrypoint"])

    @property
    def cmd(self) -> list[str]:
        return list(self.config["Cmd"])

    @property
    def workdir(self) -> str:
        return str(self.config["WorkingDir"])

    @property
    def user(self) -> str:
        return str(self.config["User"])

    @property
    def stop_signal(self) -> str:
        return str(self.config["StopSignal"]) or "SIGTERM"

    @property
    def preload(self) -> tuple[str, ...]:
        """Modules that a fork server imports ahead of containers (LABEL kubesim.preload)."""
        return tuple(self.config["Labels"].get("kubesim.preload", "").replace(",", " ").split())

    @property
    def preload_from(self) -> str:
        """The image whose fork server has imported much of that already, so that this one's is forked from it (LABEL kubesim.preload-from)."""
        return str(self.config["Labels"].get("kubesim.preload-from", ""))

    @property
    def source(self) -> Path:
        """Where its working folder lies on the host."""
        return self.root / self.workdir.lstrip("/")

    @property
    def preloads_itself(self) -> bool:
        """Whether the preload list names a module of the image's own working folder."""
        return any((self.source / name.partition(".")[0]).is_dir() for name in self.preload)

    @property
    def warm(self) -> str:
        """When its fork server is made ready (LABEL kubesim.warm): `first`, or on an `idle` processor; otherwise in between."""
        return str(self.config["Labels"].get("kubesim.warm", ""))

    @property
    def tops(self) -> list[Path]:
        """The topmost folders and files the image brings, each to be shown at its own path in a container."""
        return list(_tops(self.root, self.root))


def _tops(folder: Path, root: Path) -> Iterator[Path]:
    """Where the image's tree first holds a file or branches: `/app`, not `/`; but `/usr/bin/x`, not `/usr`."""
    for entry in sorted(folder.iterdir()):
        inside = "/" / entry.relative_to(root)
        if entry.is_dir() and not entry.is_symlink() and inside.is_dir():
            yield from _tops(entry, root)
        else:
            yield entry


def normalize(name: str) -> str:
    """The full reference, as containerd shows it: `ops-demo` is `docker.io/library/ops-demo:latest`."""
    if not _REFERENCE.match(name):
        raise InvalidImageName(name)
    repository, at, digest = name.partition("@")
    head, slash, _ = repository.partition("/")
    if not slash or not ("." in head or ":" in head or head == "localhost"):
        repository = f"docker.io/{repository}" if slash else f"docker.io/library/{repository}"
    if ":" not in repository.rpartition("/")[2] and not at:
        repository += ":latest"
    return repository + at + digest


class ImageStore:
    """The images of one state directory."""

    def __init__(self, state: Path) -> None:
        self.folder = Path(state) / "images"

    def resolve(self, name: str) -> Image | None:
        """The image a reference (or an image's digest) stands for; None where it was never built. Raises InvalidImageName."""
        tags = self._tags()
        reference = name if name in tags else normalize(name)
        digest = tags.get(reference) or (name if name.startswith("sha256:") and name in tags.values() else "")
        return self._open(reference, digest) if digest else None

    def list(self) -> list[Image]:
        return [self._open(name, digest) for name, digest in sorted(self._tags().items())]

    def build(
        self, context: Path, *, tag: str, file: Path | None = None, build_args: Mapping[str, str] | None = None
    ) -> Image:
        """Build `file` (default: the context's Dockerfile) and point `tag` at the result. Raises BuildError."""
        context, file = Path(context).resolve(), Path(file) if file else Path(context) / "Dockerfile"
        reference = _checked(tag)
        try:
            stage = dockerfile.parse(file.read_text(), build_args)
        except (OSError, ValueError, DockerfileError) as error:
            raise BuildError(f"{file}: {error}") from error
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=".build-") as temporary, self._locked():
            built = Path(temporary) / "image"
            (built / "rootfs").mkdir(parents=True)
            _snapshot(stage, context, built / "rootfs", _ignored(context, file))
            digest = self._finish(built, stage)
            self._tag(reference, digest)
        return self._open(reference, digest)

    def _finish(self, built: Path, stage: Stage) -> str:
        config = {
            "architecture": os.uname().machine.replace("x86_64", "amd64").replace("aarch64", "arm64"),
            "os": "linux",
            "config": _config(stage),
            "rootfs": {"type": "layers", "diff_ids": [_tree_digest(built / "rootfs")]},
            "history": [
                {"created_by": text, "comment": f"not run: {why}", "empty_layer": True} for text, why in stage.skipped
            ],
        }
        text = json.dumps(config, sort_keys=True, indent=1)
        digest = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
        target = self._path(digest)
        if not target.exists():
            (built / "config.json").write_text(text)
            built.rename(target)
        return digest

    def _path(self, digest: str) -> Path:
        return self.folder / digest.removeprefix("sha256:")

    def _open(self, name: str, digest: str) -> Image:
        folder = self._path(digest)
        return Image(
            name=name,
            digest=digest,
            config=json.loads((folder / "config.json").read_text())["config"],
            root=folder / "rootfs",
        )

    def _tags(self) -> dict[str, str]:
        try:
            return dict(json.loads((self.folder / "tags.json").read_text()))
        except FileNotFoundError:
            return {}

    def _tag(self, name: str, digest: str) -> None:
        tags = self._tags()
        if tags.get(name) != digest:
            temporary = self.folder / ".tags.json"
            temporary.write_text(json.dumps(tags | {name: digest}, sort_keys=True, indent=1))
            temporary.replace(self.folder / "tags.json")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def build(state: Path, context: Path, *, tag: str, file: Path | None = None) -> Image:
    """`python -m kubesim image build`."""
    return ImageStore(state).build(context, tag=tag, file=file)


def _checked(tag: str) -> str:
    try:
        return normalize(tag)
    except InvalidImageName as error:
        raise BuildError(f'invalid tag "{tag}": want NAME or NAME:TAG') from error


def _config(stage: Stage) -> dict[str, Any]:
    return {
        "Env": [f"{name}={value}" for name, value in stage.env.items()],
        "Entrypoint": list(stage.entrypoint),
        "Cmd": list(stage.cmd),
        "WorkingDir": stage.workdir,
        "User": stage.user,
        "StopSignal": stage.stop_signal,
        "Labels": dict(stage.labels),
        "ExposedPorts": {port if "/" in port else f"{port}/tcp": {} for port in stage.ports},
    }


def _snapshot(stage: Stage, context: Path, root: Path, ignored: list[str]) -> None:
    if stage.workdir != "/":
        (root / stage.workdir.lstrip("/")).mkdir(parents=True, exist_ok=True)
    for step in stage.copies:
        _copy(step, context, root, ignored)


def _copy(step: Copy, context: Path, root: Path, ignored: list[str]) -> None:
    target = root / step.target.strip("/")
    sources = [path for source in step.sources for path in _matches(context, source, ignored)]
    into_folder = step.target.endswith("/") or len(sources) + len(step.inline) > 1
    for source in sources:
        if source.is_dir():
            _copy_folder(source, target, context=context, ignored=ignored)
        else:
            _copy_file(source, target / source.name if into_folder or target.is_dir() else target, step.mode)
    for name, text in step.inline:
        path = target / name if into_folder else target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _matches(context: Path, source: str, ignored: list[str]) -> list[Path]:
    pattern = source.strip("/") or "."
    found = [context] if pattern == "." else sorted(context.glob(pattern))
    kept = [path for path in found if not _is_ignored(path, context, ignored)]
    if not kept:
        raise BuildError(f'"/{pattern}": not found in the build context {context}')
    return kept


def _copy_folder(source: Path, target: Path, *, context: Path, ignored: list[str]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for entry in sorted(source.iterdir()):
        if _is_ignored(entry, context, ignored):
            continue
        if entry.is_dir() and not entry.is_symlink():
            _copy_folder(entry, target / entry.name, context=context, ignored=ignored)
        else:
            _copy_file(entry, target / entry.name, "")


def _copy_file(source: Path, target: Path, mode: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    shutil.copyfile(source, target, follow_symlinks=False)
    if not target.is_symlink():
        target.chmod(int(mode, 8) if mode else 0o755 if os.access(source, os.X_OK) else 0o644)


def _ignored(context: Path, file: Path) -> list[str]:
    for path in (file.with_name(file.name + ".dockerignore"), context / ".dockerignore"):
        if path.is_file():
            lines = [line.strip() for line in path.read_text().splitlines()]
            return ["**/__pycache__", *(line for line in lines if line and not line.startswith("#"))]
    return ["**/__pycache__"]


def _is_ignored(path: Path, context: Path, patterns: list[str]) -> bool:
    """The last pattern that matches the path or a parent of it decides; `!` takes back."""
    relative, verdict = path.relative_to(context).as_posix(), False
    for pattern in patterns:
        negated, body = pattern.startswith("!"), pattern.lstrip("!").strip("/")
        if any(_ignore_match(part, body) for part in _parents(relative)):
            verdict = not negated
    return verdict


def _parents(relative: str) -> Iterator[str]:
    parts = relative.split("/")
    return ("/".join(parts[:end]) for end in range(1, len(parts) + 1))


def _ignore_match(path: str, pattern: str) -> bool:
    parts, wanted = path.split("/"), pattern.split("/")

    def match(at: int, want: int) -> bool:
        if want == len(wanted):
            return at == len(parts)
        if wanted[want] == "**":
            return any(match(rest, want + 1) for rest in range(at, len(parts) + 1))
        return at < len(parts) and fnmatch.fnmatchcase(parts[at], wanted[want]) and match(at + 1, want + 1)

    return match(0, 0)


def _tree_digest(root: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            total.update(f"link {name} {os.readlink(path)}\n".encode())
        elif path.is_file():
            total.update(
                f"file {name} {path.stat().st_mode & 0o777:o} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode()
            )
        else:
            total.update(f"folder {name}\n".encode())
    return "sha256:" + total.hexdigest()
