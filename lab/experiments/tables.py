"""A user's own table on its way to a Job: checked here, where the user sees it, then into S3 under its SHA-256.

S3 and not a ConfigMap, whatever the size: it is where the Job's other data lies, a name that is a digest cannot come to mean another
file, and a run can be reproduced for as long as the bucket exists.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.experiments.mlflow import Place
from lab.messages import mark, t
from lab.said import said
from training import table
from training.errors import BadData

HOW = mark("what a table must look like: docs/how-to/own-data.md")


@dataclass(frozen=True)
class Sent:
    """A table in S3; `name` is what the user calls it."""

    uri: str
    name: str
    sha256: str

    def arguments(self) -> list[str]:
        """For the training program."""
        return ["--data", self.uri, "--data-name", self.name]


def check(path: Path, *, folds: int = 5) -> table.Csv:
    """Read it as the training will. Raise LabError, naming line and column."""
    try:
        return table.read(path.expanduser(), folds=folds)
    except BadData as error:
        raise LabError(f"--data: {said(str(error))}", t(HOW)) from None


def send(place: Place, path: Path, *, folds: int = 5) -> Sent:
    """Check it, and put it where the Job will find it. Nothing is sent of a table that cannot be used."""
    check(path, folds=folds)
    body = path.expanduser().read_bytes()
    sha256 = hashlib.sha256(body).hexdigest()
    key = f"datasets/{sha256}.csv"
    _put(place, key, body)
    return Sent(uri=f"s3://{place.bucket}/{key}", name=_name(path), sha256=sha256)


def _name(path: Path) -> str:
    """Of 1 to 200 printable characters: it becomes a parameter of the run."""
    kept = "".join(letter for letter in path.name if letter.isprintable())
    return kept[-200:] or "table.csv"


def _put(place: Place, key: str, body: bytes) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    from lab.aws.clients import refused

    clients = place.world.aws_as(place.tenant) if place.tenant else place.world.root
    try:
        clients("s3").put_object(Bucket=place.bucket, Key=key, Body=body, ContentType="text/csv")
    except (BotoCoreError, ClientError) as error:
        raise refused(error) from None
