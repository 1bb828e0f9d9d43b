"""The grammar of repositories, tags and digests, as ECR and the OCI distribution specification write it. Pure."""

import hashlib
import re
from typing import Any

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
REPOSITORY = rf"{_PART}(?:/{_PART})*"
_REPOSITORY = re.compile(REPOSITORY)
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128}")
_TAIL = re.compile(
    r"^(?P<name>.+?)/(?:(?P<uploads>blobs/uploads)(?:/(?P<upload>[^/]*))?|(?P<kind>blobs|manifests|referrers)/(?P<reference>[^/]+)|(?P<tags>tags/list))$"
)


def is_repository(name: str) -> bool:
    return 2 <= len(name) <= 256 and _REPOSITORY.fullmatch(name) is not None


def is_tag(text: str) -> bool:
    return _TAG.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    return _DIGEST.fullmatch(text) is not None


def hasher(digest: str) -> Any:
    """An empty hash of a digest's algorithm."""
    return hashlib.new(digest.partition(":")[0])


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def split(path: str) -> tuple[str, str, str] | None:
    """``/v2/NAME/KIND/REFERENCE`` as (name, kind, reference), kind being uploads, blobs, manifests, referrers or tags."""
    match = _TAIL.match(path.removeprefix("/v2/"))
    if match is None:
        return None
    if match["uploads"]:
        return match["name"], "uploads", match["upload"] or ""
    if match["tags"]:
        return match["name"], "tags", ""
    return match["name"], match["kind"], match["reference"]
