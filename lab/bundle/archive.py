"""A bundle's file, written and read as a stream. What is read is checked as it arrives: nothing that the manifest does not say is kept."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import secrets
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from lab.bundle import manifest, zstd
from lab.bundle.manifest import CLONE, FOLDER, NAME, Manifest
from lab.errors import LabError
from lab.messages import t

_PIECE = 1 << 20


def write(
    path: Path,
    described: Manifest,
    files: Mapping[str, Path],
    source: Mapping[str, Path],
    *,
    at: Callable[[str], None] = lambda text: None,
) -> None:
    """`files` by their path below bundle/, `source` by theirs in the clone; `at` is told how far it is. The file appears whole or not at all."""
    written, total = 0, sum(one.size for one in described.files)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with (
            _writing(path),
            draft.open("xb") as raw,
            _compressed(raw, path.name) as out,
            tarfile.open(fileobj=out, mode="w|") as tar,
        ):
            _add_text(tar, NAME, described.text())
            for name in sorted(source):
                tar.add(source[name], arcname=CLONE + name, recursive=False, filter=_plain)
            for one in described.files:
                tar.add(files[one.path], arcname=FOLDER + one.path, recursive=False, filter=_plain)
                written += one.size
                at(t("{written:.0f} of {total:.0f} MB written", written=written / 1e6, total=total / 1e6))
        with _writing(path):
            draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _compressed(raw: IO[bytes], name: str) -> Iterator[IO[bytes]]:
    """As the name says; the inner stream is finished at the end of the block, `raw` stays open."""
    if name.endswith(".zst"):
        with zstd.writer(raw) as out:
            yield out
    elif name.endswith((".gz", ".tgz")):
        with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6) as packed:
            yield cast("IO[bytes]", packed)
    else:
        yield raw


def _plain(item: tarfile.TarInfo) -> tarfile.TarInfo:
    """Nobody's name, nobody's number: a bundle says nothing of who made it."""
    item.uid = item.gid = 0
    item.uname = item.gname = ""
    item.mode = 0o755 if item.mode & 0o100 else 0o644
    item.mtime = int(item.mtime)  # its fraction would be a header of its own before every file
    return item


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    item = tarfile.TarInfo(name)
    item.size, item.mode = len(text.encode()), 0o644
    tar.addfile(item, io.BytesIO(text.encode()))


def peek(path: Path) -> Manifest:
    """The manifest alone, which is the first member: quick however large the bundle is."""
    with _members(path) as tar:
        return _first(tar, path)


def unpack(path: Path, folder: Path) -> Manifest:
    """Everything below bundle/ into `folder`, checked, replacing what was there; the same bundle a second time is left as it is.

    Raises LabError naming the bundle, and the file in it, that is not what the manifest says. `folder` is whole or as it was before.
    """
    described = peek(path)
    manifest.require_machine(described, source=path.name)
    if is_whole(folder, described):
        return described
    draft = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    draft.mkdir(parents=True, mode=0o700)
    try:
        with _members(path) as tar:
            _first(tar, path)
            _take(tar, draft, described, path.name)
        (draft / "manifest.json").write_text(described.text())
        shutil.rmtree(folder, ignore_errors=True)
        draft.replace(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return described


def is_whole(folder: Path, described: Manifest) -> bool:
    """Whether `folder` is this very bundle, unpacked: its sums were checked then, so sizes are enough now."""
    try:
        same = (folder / "manifest.json").read_text() == described.text()
        return same and all((folder / one.path).stat().st_size == one.size for one in described.files)
    except OSError:
        return False


def verify(folder: Path) -> Manifest:
    """A bundle that somebody unpacked with tar: every file against its sum. Raises LabError naming the first that differs."""
    path = folder / "manifest.json"
    try:
        described = manifest.read(path.read_text(), source=str(folder))
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(t("{folder} is not an unpacked bundle: {error}", folder=folder, error=error)) from None
    manifest.require_machine(described, source=str(folder))
    for one in described.files:
        try:
            with (folder / one.path).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise _broken(
                str(folder), t("{path} cannot be read ({reason})", path=one.path, reason=error.strerror)
            ) from None
        if found != one.sha256:
            raise _broken(str(folder), t("{path} is not what was packed", path=one.path))
    return described


@contextmanager
def _members(path: Path) -> Iterator[tarfile.TarFile]:
    """The tar inside, whatever it is compressed with; every way in which a file can be broken becomes one error that names it."""
    try:
        with path.open("rb") as raw, contextlib.ExitStack() as stack:
            start = raw.read(4)
            raw.seek(0)
            inner = stack.enter_context(zstd.reader(raw)) if start == zstd.MAGIC else raw
            yield stack.enter_context(tarfile.open(fileobj=inner, mode="r|*"))
    except FileNotFoundError:
        raise LabError(
            t("there is no file {path}", path=path),
            t("./inv bundle -o lab.tar.zst makes one, on a machine with a network"),
        ) from None
    except (PermissionError, IsADirectoryError) as error:
        raise LabError(t("cannot read {path}: {reason}", path=path, reason=error.strerror)) from None
    except (zstd.Damaged, tarfile.TarError, EOFError, OSError) as error:
        raise _broken(path.name, str(error)) from None


def _first(tar: tarfile.TarFile, path: Path) -> Manifest:
    item = tar.next()
    file = tar.extractfile(item) if item is not None and item.name == NAME else None
    if file is None:
        raise LabError(
            t("{name} is not a bundle of this lab", name=path.name), t("./inv bundle -o lab.tar.zst makes one")
        )
    return manifest.read(file.read().decode(errors="replace"), source=path.name)


def _take(tar: tarfile.TarFile, folder: Path, described: Manifest, source: str) -> None:
    """Everything below bundle/ into `folder`; the clone beside it is only checked."""
    wanted = {FOLDER + one.path: one for one in described.files} | {CLONE + one.path: one for one in described.source}
    for item in iter(tar.next, None):
        one = wanted.pop(item.name, None)
        file = tar.extractfile(item) if item.isreg() else None
        if one is None or file is None:
            raise _broken(source, t("{name} is in it, the manifest does not name it", name=item.name))
        inside = item.name.startswith(FOLDER)
        path = _inside(folder, one.path, source) if inside else Path(os.devnull)
        if _copy(file, path, executable=bool(item.mode & 0o100)) != one.sha256:
            raise _broken(source, t("{path} is not what was packed", path=one.path))
    if wanted:
        raise _broken(source, t("{name} is missing", name=min(wanted)))


def _inside(folder: Path, name: str, source: str) -> Path:
    path = folder / name
    if folder not in Path(os.path.normpath(path)).parents:
        raise _broken(source, t("{name} would be written outside its folder", name=name))
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _copy(file: IO[bytes], path: Path, *, executable: bool) -> str:
    """Write it and return its sum."""
    digest = hashlib.sha256()
    with _writing(path):
        out = path.open("wb", buffering=0)  # a full disk is told by the write, not by the end of the block
    with out:
        while piece := memoryview(file.read(_PIECE)):
            digest.update(piece)
            with _writing(path):
                while piece:
                    piece = piece[out.write(piece) :]
    if path != Path(os.devnull):
        path.chmod(0o755 if executable else 0o644)
    return digest.hexdigest()


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """What cannot be written is this machine's fault, not the bundle's."""
    try:
        yield
    except OSError as error:
        raise LabError(
            t("cannot write {path}: {reason}", path=path, reason=error.strerror or error), t("is there room? df -h")
        ) from None


def _broken(source: str, what: str) -> LabError:
    return LabError(
        t("{source} is damaged: {what}; nothing of it was used", source=source, what=what),
        t("copy it again, or make a new one"),
    )
