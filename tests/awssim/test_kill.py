"""kill -9 at any moment loses nothing that was acknowledged. ``AWSSIM_KILLS=100`` asks for more kills than the default."""

import contextlib
import hashlib
import os
import random
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.awssim.running import REGION, Running, running

KILLS = int(os.environ.get("AWSSIM_KILLS", "4"))
BUCKET = "kill"


class Clients:
    """Made once: every process of the test listens on the same port."""

    def __init__(self, stand: Running) -> None:
        self.s3, self.iam, self.ecr = (stand.client(service) for service in ("s3", "iam", "ecr"))


@dataclass
class Acknowledged:
    """What the stand-in has said yes to. A write without an answer may be there or not."""

    objects: dict[str, set[str]] = field(default_factory=dict)
    users: set[str] = field(default_factory=set)
    repositories: set[str] = field(default_factory=set)
    tag: set[str] = field(default_factory=lambda: {""})  # nothing, until one is acknowledged
    writes: int = 0
    _more: threading.Condition = field(default_factory=threading.Condition)

    def count(self, writes: int) -> None:
        with self._more:
            self.writes += writes
            self._more.notify_all()

    def wait_for(self, writes: int) -> None:
        """Until that many more are acknowledged."""
        aim = self.writes + writes
        with self._more:
            assert self._more.wait_for(lambda: self.writes >= aim, 120)


def put_objects(clients: Clients, known: Acknowledged, stop: threading.Event, seed: int) -> None:
    """Overwrite a few keys with bodies of all sizes; a key's content is the last acknowledged or the one under way."""
    generator = random.Random(seed)
    while not stop.is_set():
        key = f"{seed % 4}/{generator.randrange(8)}"
        body = generator.randbytes(generator.choice([1, 1000, 100_000, 600_000]))
        digest = hashlib.md5(body).hexdigest()
        known.objects.setdefault(key, {""}).add(digest)
        clients.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        known.objects[key] = {digest}
        known.count(1)


def make_names(clients: Clients, known: Acknowledged, stop: threading.Event, seed: int) -> None:
    number = 0
    while not stop.is_set():
        number += 1
        name = f"n{seed}-{number}"
        clients.iam.create_user(UserName=name)
        known.users.add(name)
        clients.ecr.create_repository(repositoryName=name)
        known.repositories.add(name)
        known.tag.add(name)
        clients.s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": [{"Key": "n", "Value": name}]})
        known.tag = {name}
        known.count(3)


def work(stand: Running, clients: Clients, known: Acknowledged, generator: random.Random) -> None:
    """Kill the stand-in while three writers write, at any moment after a few writes."""
    stop, seed = threading.Event(), generator.randrange(1 << 30)

    def run(writer: Any, number: int) -> None:
        with contextlib.suppress(BotoCoreError, ClientError):
            writer(clients, known, stop, number)

    writers = [threading.Thread(target=run, args=(put_objects, seed * 4 + n)) for n in range(2)]
    writers.append(threading.Thread(target=run, args=(make_names, seed)))
    for writer in writers:
        writer.start()
    known.wait_for(generator.randrange(1, 12))
    stop.wait(generator.uniform(0, 0.05))
    stand.kill()
    stop.set()
    for writer in writers:
        writer.join(20)


def lost(clients: Clients, known: Acknowledged) -> list[str]:
    s3, missing = clients.s3, []
    listed = {item["Key"]: item for item in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])}
    for key, digests in known.objects.items():
        body = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() if key in listed else None
        digest = "" if body is None else hashlib.md5(body).hexdigest()
        sane = body is None or (listed[key]["ETag"] == f'"{digest}"' and listed[key]["Size"] == len(body))
        if digest not in digests or not sane:
            missing.append(f"object {key}")
        known.objects[key] = {digest}
    users = {user["UserName"] for page in clients.iam.get_paginator("list_users").paginate() for user in page["Users"]}
    repositories = {
        item["repositoryName"]
        for page in clients.ecr.get_paginator("describe_repositories").paginate()
        for item in page["repositories"]
    }
    missing += [f"user {name}" for name in known.users - users]
    missing += [f"repository {name}" for name in known.repositories - repositories]
    tag = tag_of(s3)
    if tag not in known.tag:
        missing.append("bucket tag")
    known.tag = {tag}
    return missing


def tag_of(s3: Any) -> str:
    try:
        return str(s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"][0]["Value"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchTagSet":
            raise
        return ""


@pytest.mark.timeout(60 + 60 * KILLS)
def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    known, generator = Acknowledged(), random.Random()
    with running(tmp_path / "state") as stand:
        stand.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        stand.client("s3").put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        port, clients = stand.endpoint.rpartition(":")[2], Clients(stand)
    for kill in range(KILLS):
        with running(tmp_path / "state", "--port", port) as stand:
            assert lost(clients, known) == [], f"after {kill} kills and {known.writes} writes"
            work(stand, clients, known, generator)
            print(f"{kill + 1} kills, {known.writes} acknowledged writes, none lost so far", flush=True)
    with running(tmp_path / "state", "--port", port):
        assert lost(clients, known) == []
        print(f"{KILLS} kills, {known.writes} acknowledged writes, none lost")
    assert known.writes > KILLS


def test_a_damaged_file_is_set_aside_and_reported(tmp_path: Path) -> None:
    import json
    import urllib.request

    with running(tmp_path / "state") as stand:
        stand.client("iam").create_user(UserName="first")
        stand.client("iam").create_user(UserName="second")
        stand.stop()
    file = tmp_path / "state" / "services" / "iam.json"
    file.write_text(file.read_text()[:-20])
    with running(tmp_path / "state") as stand:
        with urllib.request.urlopen(f"{stand.endpoint}/_awssim/health", timeout=5) as answer:
            damaged = json.load(answer)["damaged"]
        assert len(damaged) == 1
        assert Path(damaged[0]).read_text() == file.with_name(Path(damaged[0]).name).read_text()
        assert stand.client("iam").get_user(UserName="first")["User"]["UserName"] == "first"
