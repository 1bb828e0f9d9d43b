"""Streams that the standard program reads and writes too, and breaks in them that are noticed."""

from __future__ import annotations

import io
import random
import shutil
import subprocess

import pytest

from lab.bundle import zstd

DATA = random.Random(7).randbytes(300_000) + b"the same again " * 50_000


def packed(data: bytes = DATA, piece: int = 70_001) -> bytes:
    raw = io.BytesIO()
    with zstd.writer(raw) as out:
        for start in range(0, len(data), piece):
            out.write(data[start : start + piece])
    return raw.getvalue()


@pytest.mark.parametrize("size", [0, 1, 131_072, len(DATA)])
def test_what_goes_in_comes_out(size: int) -> None:
    assert zstd.reader(io.BytesIO(packed(DATA[:size]))).read() == DATA[:size]


def test_it_is_smaller() -> None:
    assert packed().startswith(zstd.MAGIC)
    assert len(packed()) < 310_000


@pytest.mark.skipif(shutil.which("zstd") is None, reason="no zstd program")
def test_the_program_agrees() -> None:
    assert subprocess.run(["zstd", "-dc"], input=packed(), capture_output=True, check=True).stdout == DATA
    theirs = subprocess.run(["zstd", "-19c"], input=DATA, capture_output=True, check=True).stdout
    assert zstd.reader(io.BytesIO(theirs)).read() == DATA


@pytest.mark.parametrize("left", [4, 20, 1000, 299_000])
def test_cut_off(left: int) -> None:
    with pytest.raises(OSError, match=r"Zstandard|Compressed"):
        zstd.reader(io.BytesIO(packed()[:left])).read()


@pytest.mark.parametrize("place", [5, 150_000, -3])
def test_a_changed_byte(place: int) -> None:
    changed = bytearray(packed())
    changed[place] ^= 0x55
    with pytest.raises(OSError, match=r"Zstandard|Compressed"):
        zstd.reader(io.BytesIO(bytes(changed))).read()
