"""A bucket of 100,000 keys, every third with a Korean name: listed in pages and in one walk, and found again by a start. ``-s`` shows the figures."""

import itertools
import json
import shutil
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.awssim.running import ACCOUNT, REGION, Running, running

pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(3600)]
COUNT, BUCKET = 100_000, "scale"
NAMES = sorted(
    f"{'데이터' if number % 3 else 'data'}/{number // 1000:03}/표본-{number:06}.csv" for number in range(COUNT)
)


def fill(state: Path) -> None:
    """Put one object, and beside it what 99,999 more PUTs leave on disk."""
    with running(state) as stand:
        s3 = stand.client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket=BUCKET, Key=NAMES[0], Body=b"1")
    folder = state / "s3" / "data" / ACCOUNT / BUCKET
    sidecar = json.loads((folder / f"{NAMES[0]}.meta.json").read_text())
    for name in NAMES[1:]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"1")
        path.with_name(f"{path.name}.meta.json").write_text(json.dumps({**sidecar, "key": name}))


def say(what: str, stand: Running, began: float) -> None:
    memory = psutil.Process(stand.process.pid).memory_info().rss / 1e6
    spent = sum(psutil.Process(stand.process.pid).cpu_times()[:2])
    print(
        f"{what}: {time.perf_counter() - began:.1f} s, the server's CPU so far {spent:.1f} s, its memory {memory:.0f} MB",
        flush=True,
    )


def test_a_hundred_thousand_keys(tmp_path: Path) -> None:
    fill(tmp_path)
    began = time.perf_counter()
    with running(tmp_path) as stand:
        say("start without an index", stand, began)
        pages, began = stand.client("s3").get_paginator("list_objects_v2"), time.perf_counter()
        found = [item["Key"] for page in pages.paginate(Bucket=BUCKET) for item in page["Contents"]]
        say("pages of 1,000", stand, began)
        assert found == NAMES
        began = time.perf_counter()
        folders = [
            item["Prefix"] for page in pages.paginate(Bucket=BUCKET, Delimiter="/") for item in page["CommonPrefixes"]
        ]
        say("its folders", stand, began)
        assert folders == ["data/", "데이터/"]
        index = tmp_path / "s3" / "index.sqlite"
        for _ in itertools.takewhile(lambda _: not index.exists(), range(1200)):
            time.sleep(0.5)  # made in the background, a few rows at a time
        if shutil.which("aws"):
            began = time.perf_counter()
            walk = ["aws", "s3", "ls", "--recursive", f"s3://{BUCKET}"]
            listed = subprocess.run(walk, env=stand.environment(), capture_output=True, text=True, check=True).stdout
            say("aws s3 ls --recursive", stand, began)
            assert [line.split(maxsplit=3)[3] for line in listed.splitlines()] == NAMES
    began = time.perf_counter()
    with running(tmp_path) as stand:
        say("start with an index", stand, began)
        first = stand.client("s3").list_objects_v2(Bucket=BUCKET, MaxKeys=2)
        assert [item["Key"] for item in first["Contents"]] == NAMES[:2]
