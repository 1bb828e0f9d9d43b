"""Where an object's file is, and what a service's answers are called: asked for every request, and answered here without a walk.

ministack resolves every folder on the way to a key three times over, against links that lead out of the directory. A key that is a plain
path has no ``..``, and nobody but this program makes anything below the directory. For the content type of an answer it reads botocore's
description of the whole service, with the first answer: two seconds in which nobody else is answered, and 20 MB that stay.
"""

import functools
from itertools import takewhile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from awssim.overrides.replace import replace
from awssim.sidecars import SUFFIX

_PROTOCOLS = {
    "s3": {"protocol": "rest-xml"}, "iam": {"protocol": "query"}, "sts": {"protocol": "query"},
    "ecr": {"protocol": "json", "jsonVersion": "1.1"}, "eks": {"protocol": "rest-json", "jsonVersion": "1.1"},
}  # fmt: skip


def apply() -> None:
    from ministack.core import responses
    from ministack.services import s3

    @functools.lru_cache
    def root(base: str) -> Path:
        return Path(base).resolve()

    def encoded(base: str, key: str) -> Path:
        return root(base) / str(s3._ENCODED_KEYS_DIR) / str(s3._encoded_key_name(key))

    def place(base: str, key: str) -> str:
        if not s3._plain_path_key(key):
            return str(encoded(base, key))
        plain = root(base) / key
        if _is_object(plain):
            return str(plain)
        other = encoded(base, key)
        return str(other if _is_object(other) or _is_covered(root(base), plain) else plain)

    def other_place(base: str, key: str, found: str) -> str | None:
        other = str(encoded(base, key))
        if found != other:
            return other
        return str(root(base) / key) if s3._plain_path_key(key) else None

    replace(s3, "_key_disk_path", lambda _: place)
    replace(s3, "_other_key_disk_path", lambda _: other_place)
    replace(responses, "_service_model", _make_model)


def _is_object(path: Path) -> bool:
    return path.is_file() or path.with_name(f"{path.name}{SUFFIX}").is_file()


def _is_covered(root: Path, plain: Path) -> bool:
    """Is the name taken by a folder, or one of its folders' names by a file?"""
    folders = takewhile(lambda folder: folder != root, plain.parents)
    return any(folder.is_file() for folder in folders) or plain.is_dir()


def _make_model(original: Any) -> Any:
    known = {name: SimpleNamespace(metadata=metadata) for name, metadata in _PROTOCOLS.items()}
    return lambda service: known.get(service) or original(service)
