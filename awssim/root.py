"""The one root key of a lab: random, made on the first start, readable by its owner only."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from awssim.errors import StateUnusable
from awssim.files import write_atomically
from awssim.settings import Settings

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass(frozen=True, kw_only=True)
class RootKey:
    access_key_id: str
    secret_access_key: str
    account: str
    region: str


def root_key(settings: Settings) -> RootKey:
    """The key in ``root.json``, made first where there is none."""
    path = settings.state / "root.json"
    if not path.exists():
        _make(path, settings)
    return _read(path)


def _make(path: Path, settings: Settings) -> None:
    key = {
        "access_key_id": "AKIA" + "".join(secrets.choice(_ALPHABET) for _ in range(16)),
        "secret_access_key": secrets.token_urlsafe(30),
        "account": settings.account,
        "region": settings.region,
    }
    write_atomically(path, json.dumps(key, indent=1).encode())


def _read(path: Path) -> RootKey:
    try:
        return RootKey(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise StateUnusable(f"{path}: not a root key ({error}); restore it, or move it away for a new key") from error
