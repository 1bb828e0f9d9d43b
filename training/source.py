"""Where a table comes from: a file beside the program, or one in S3 whose name is its SHA-256, so that it is this very one or none."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from training.errors import BadData, Unavailable
from training.table import MOST_BYTES

_NAMED = re.compile(r"[0-9a-f]{64}\.csv")


def fetch(place: str, folder: Path) -> Path:
    """The file itself; from s3://BUCKET/KEY it is put into `folder`. Raise BadData for a file that is not the one its name says."""
    if not place.startswith("s3://"):
        return Path(place)
    url = urlsplit(place)
    name = url.path.rsplit("/", 1)[-1]
    if not _NAMED.fullmatch(name):
        raise BadData(f"{place} is not s3://BUCKET/.../SHA256.csv: the name must say what is in it")
    body = _get(place, url.netloc, url.path.lstrip("/"))
    if hashlib.sha256(body).hexdigest() != name.removesuffix(".csv"):
        raise BadData(f"{place} is not the file that was uploaded (its SHA-256 differs)")
    path = folder / name
    path.write_bytes(body)
    return path


def _get(place: str, bucket: str, key: str) -> bytes:
    client = boto3.client("s3", endpoint_url=os.environ.get("MLFLOW_S3_ENDPOINT_URL") or None)
    try:
        answer = client.get_object(Bucket=bucket, Key=key)
        if answer["ContentLength"] > MOST_BYTES:
            raise BadData(f"{place} has {answer['ContentLength'] / 1e6:.0f} MB; {MOST_BYTES / 1e6:.0f} MB are the most")
        body: bytes = answer["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchBucket", "404"):
            raise BadData(f"{place} does not exist: upload the table again") from error
        raise Unavailable(f"S3 does not give {place}: {error}") from error
    except BotoCoreError as error:
        raise Unavailable(f"S3 does not give {place}: {error}") from error
    return body
