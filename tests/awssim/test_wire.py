"""Connections with large bodies, byte by byte: what comes with the head, what follows the body, clients that wait, go, or are refused."""

import http.client
import os
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.awssim.running import REGION, Running

CONTENT = os.urandom(1 << 20) * 3 + b"the end"


@pytest.fixture(name="bucket", scope="module")
def _bucket(stand: Running) -> str:
    stand.client("s3").create_bucket(Bucket="wire", CreateBucketConfiguration={"LocationConstraint": REGION})
    return "wire"


@pytest.fixture(name="wire")
def _wire(stand: Running) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", urlsplit(stand.endpoint).port or 0), timeout=60) as wire:
        yield wire


def head(stand: Running, bucket: str, key: str, *lines: str, secret: str = "") -> bytes:
    """The head of a PUT of CONTENT, signed in its address."""
    url = stand.client("s3").generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": key})
    target = url.removeprefix(stand.endpoint) + secret
    host = urlsplit(stand.endpoint).netloc
    return "\r\n".join(
        [f"PUT {target} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(CONTENT)}", *lines, "", ""]
    ).encode()


def answer(wire: socket.socket) -> int:
    found = http.client.HTTPResponse(wire)
    found.begin()
    found.read()
    return found.status


def stored(stand: Running, bucket: str, key: str) -> bytes:
    return bytes(stand.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())


@pytest.mark.parametrize("step", [7919, 65536, 1 << 20, 1 << 24])
def test_a_large_body_arrives_however_it_is_cut(stand: Running, bucket: str, wire: socket.socket, step: int) -> None:
    sent = head(stand, bucket, f"cut/{step}") + CONTENT
    for start in range(0, len(sent), step):
        wire.sendall(sent[start : start + step])
    assert answer(wire) == 200
    assert stored(stand, bucket, f"cut/{step}") == CONTENT


def test_what_follows_a_large_body_is_the_next_request(stand: Running, bucket: str, wire: socket.socket) -> None:
    health = b"GET /_awssim/health HTTP/1.1\r\nHost: here\r\n\r\n"
    wire.sendall(head(stand, bucket, "first") + CONTENT + health)
    assert [answer(wire), answer(wire)] == [200, 200]
    wire.sendall(head(stand, bucket, "second") + CONTENT)
    assert answer(wire) == 200
    assert stored(stand, bucket, "first") == stored(stand, bucket, "second") == CONTENT


def test_a_client_that_waits_is_told_to_continue(stand: Running, bucket: str, wire: socket.socket) -> None:
    wire.sendall(head(stand, bucket, "waits", "Expect: 100-continue"))
    assert wire.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.sendall(CONTENT)
    assert answer(wire) == 200


def test_a_client_that_goes_leaves_nothing(stand: Running, bucket: str, wire: socket.socket) -> None:
    wire.sendall(head(stand, bucket, "gone") + CONTENT[:-1])
    wire.shutdown(socket.SHUT_RDWR)
    s3 = stand.client("s3")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket, Prefix="gone")


def test_a_stranger_is_refused_before_the_body_has_come(stand: Running, bucket: str, wire: socket.socket) -> None:
    wire.sendall(head(stand, bucket, "refused", secret="0") + CONTENT[:1000])
    assert answer(wire) == 403
    assert wire.recv(1) == b""
