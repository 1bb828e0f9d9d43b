"""One S3 call, GetObject, signed here (Signature Version 4): boto3 would be a third of this process's memory.

Keys come from the environment. Path-style with an endpoint of one's own, virtual-hosted style on AWS.
"""

from __future__ import annotations

import hashlib
import hmac
import urllib.error
import urllib.request
from datetime import UTC, datetime
from http.client import HTTPException
from urllib.parse import quote, urlsplit

from serving.errors import Unreachable
from serving.settings import Settings

TIMEOUT = 10.0
_EMPTY = hashlib.sha256(b"").hexdigest()
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fetch(url: str, headers: dict[str, str], *, most: int, what: str) -> bytes:
    """GET; raise Unreachable for anything but 200 with at most `most` bytes. HTTP errors are the cause's `code`."""
    try:
        with _opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT) as answer:
            body: bytes = answer.read(most + 1)
    except urllib.error.HTTPError as error:
        with error:
            text = error.read(500).decode(errors="replace")
        raise Unreachable(f"{what}: HTTP {error.code} {' '.join(text.split())}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise Unreachable(f"{what}: {getattr(error, 'reason', error)}") from error
    if len(body) > most:
        raise Unreachable(f"{what}: more than {most} bytes")
    return body


def get(settings: Settings, uri: str, *, most: int) -> bytes:
    """The object at s3://bucket/key."""
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc:
        raise Unreachable(f"{uri} is not an s3:// address")
    url = _url(settings, parts.netloc, parts.path.lstrip("/"))
    headers = _signed(settings, url, datetime.now(UTC)) if settings.access_key else {}
    return fetch(url, headers, most=most, what=uri)


def _url(settings: Settings, bucket: str, key: str) -> str:
    path = quote(key, safe="/-_.~")
    if settings.s3_endpoint:
        return f"{settings.s3_endpoint}/{bucket}/{path}"
    return f"https://{bucket}.s3.{settings.region}.amazonaws.com/{path}"


def _signed(settings: Settings, url: str, now: datetime) -> dict[str, str]:
    parts, stamp, day = urlsplit(url), now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    headers = {"host": parts.netloc, "x-amz-content-sha256": _EMPTY, "x-amz-date": stamp}
    if settings.session_token:
        headers["x-amz-security-token"] = settings.session_token
    names = ";".join(sorted(headers))
    canonical = "\n".join(
        ["GET", parts.path, "", *(f"{name}:{headers[name]}" for name in sorted(headers)), "", names, _EMPTY]
    )
    scope = f"{day}/{settings.region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{settings.secret_key}".encode()
    for word in (day, settings.region, "s3", "aws4_request"):
        key = hmac.digest(key, word.encode(), "sha256")
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    credential = f"Credential={settings.access_key}/{scope}"
    del headers["host"]
    return headers | {"Authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}"}
