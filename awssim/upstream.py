"""ministack, brought up inside this process: its environment set before it is imported, then our corrections applied.

ministack reads its settings while it is imported, so nothing of it may be imported before ``load``. Only the services the lab speaks to
are enabled; its own start-up (schedulers, listeners, containers) is not run.
"""

import importlib.metadata
import os
from collections.abc import Callable, Collection
from typing import Any

from awssim.errors import StandinError
from awssim.journal import Journal
from awssim.overrides.replace import replace
from awssim.root import RootKey
from awssim.settings import Settings
from awssim.sidecars import Sidecars

VERSION = "1.5.33"
SERVICES = ("s3", "ecr", "iam", "sts", "eks")


def load(settings: Settings, root: RootKey, journal: Journal, sidecars: Sidecars) -> tuple[Any, Any]:
    """Import ministack for this state directory and return its ``app`` module, corrected, and the uploads under way."""
    os.environ.update(_environment(settings, root, journal))
    for name in (
        "AWS_SESSION_TOKEN",
        "LOCALSTACK_PERSISTENCE",
        "USE_SSL",
        "S3_REGION_STRICT",
        "MINISTACK_AUTOCREATE_AWS_MANAGED",
    ):
        os.environ.pop(name, None)
    check_version()
    import ministack.app

    from awssim import overrides

    return ministack.app, overrides.apply(journal, sidecars)


def check_version() -> None:
    """The corrections replace functions by name: another version is refused. Raises StandinError."""
    found = importlib.metadata.version("ministack")
    if found != VERSION:
        raise StandinError(f"ministack {VERSION} is needed, this is {found}: run ./inv again")


def _environment(settings: Settings, root: RootKey, journal: Journal) -> dict[str, str]:
    return {
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": root.access_key_id,
        "AWS_SECRET_ACCESS_KEY": root.secret_access_key,
        "MINISTACK_ACCOUNT_ID": settings.account,
        "MINISTACK_REGION": settings.region,
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(settings.port),
        "SERVICES": ",".join(SERVICES),
        "LOG_LEVEL": "WARNING",
        "PERSIST_STATE": "0",
        "S3_PERSIST": "0",
        "S3_DATA_DIR": str(journal.data),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }


def route_modules(ministack: Any, module: Callable[[str], Any], names: Collection[str]) -> None:
    """Let ministack take its services from us, so that one loaded late has its saved state too."""

    def make(original: Any) -> Any:
        return lambda name: module(name) if name in names else original(name)

    replace(ministack, "_get_module", make)
