"""Everything the environment may say, read once.

`release` and `pod` say who answers, in a header of every answer: the image's RELEASE and the container's host name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

MOST_ROWS = 10_000
ONE_ROW_BYTES, BATCH_BYTES = 64 * 1024, 16 * 1024 * 1024
MODEL_BYTES = 256 * 1024 * 1024


class BadSettings(Exception):
    """The environment is wrong; the message names the variable."""


@dataclass(frozen=True)
class Settings:
    """`poll` and `drain` are seconds: between two looks at the alias, and between SIGTERM and the end of listening."""

    tracking_uri: str
    model: str = "iris"
    alias: str = "champion"
    caches: tuple[Path, ...] = ()
    host: str = "0.0.0.0"
    port: int = 8000
    poll: float = 1.0
    drain: float = 2.0
    s3_endpoint: str = ""
    region: str = "ap-northeast-2"
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    log_requests: bool = False
    release: str = "dev"
    pod: str = ""

    @classmethod
    def read(cls, env: Mapping[str, str]) -> Settings:
        """Raise BadSettings for what is missing or no number."""
        if not env.get("MLFLOW_TRACKING_URI", "").startswith(("http://", "https://")):
            raise BadSettings("MLFLOW_TRACKING_URI must be the http address of MLflow")
        return cls(
            tracking_uri=env["MLFLOW_TRACKING_URI"].rstrip("/"),
            model=env.get("MODEL_NAME", "iris"),
            alias=env.get("MODEL_ALIAS", "champion"),
            caches=tuple(Path(path) for path in env.get("MODEL_CACHE", "").split(":") if path),
            host=env.get("POD_IP") or "0.0.0.0",
            port=int(_number(env, "PORT", 8000)),
            poll=_number(env, "POLL_SECONDS", 1.0),
            drain=_number(env, "DRAIN_SECONDS", 2.0),
            s3_endpoint=env.get("MLFLOW_S3_ENDPOINT_URL", "").rstrip("/"),
            region=env.get("AWS_DEFAULT_REGION", "ap-northeast-2"),
            access_key=env.get("AWS_ACCESS_KEY_ID", ""),
            secret_key=env.get("AWS_SECRET_ACCESS_KEY", ""),
            session_token=env.get("AWS_SESSION_TOKEN", ""),
            log_requests=env.get("LOG_REQUESTS", "").lower() in ("1", "true", "yes"),
            release=_word(env, "RELEASE", "dev"),
            pod=_word(env, "HOSTNAME", ""),
        )


def _word(env: Mapping[str, str], name: str, default: str) -> str:
    """Fit for a header."""
    value = env.get(name) or default
    if len(value) > 128 or not value.isascii() or not value.isprintable():
        raise BadSettings(f"{name} is {value[:40]!r}: at most 128 printable ASCII characters")
    return value


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    try:
        value = float(env.get(name) or default)
    except ValueError:
        value = -1
    if not 0 <= value <= 65535:
        raise BadSettings(f"{name} is {env.get(name)!r}, which is no number from 0 to 65535")
    return value
