"""Bodies in signed chunks, judged by the example in AWS's documentation."""

import dataclasses
import hashlib

import pytest

from awssim.asgi import Message, Receive
from awssim.errors import BodyRefused
from awssim.payload import Chain, Payload
from awssim.sigv4 import Signature, sign, signing_key

SEED = Signature(
    access_key_id="AKIAIOSFODNN7EXAMPLE", date="20130524", region="us-east-1", service="s3", time="20130524T000000Z",
    signed_headers="", value="4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9", session_token="", presigned=False,
)  # fmt: skip
KEY = signing_key(SEED, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
SIGNATURES = [
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
]
BODIES = [b"a" * 65536, b"a" * 1024, b""]


def framed(bodies: list[bytes] = BODIES, signatures: list[str] = SIGNATURES, end: bytes = b"\r\n") -> bytes:
    frames = [
        f"{len(body):x};chunk-signature={signature}\r\n".encode() + body + (b"\r\n" if body else b"")
        for body, signature in zip(bodies, signatures, strict=True)
    ]
    return b"".join(frames) + end


def sent(data: bytes, step: int) -> Receive:
    pieces = [data[start : start + step] for start in range(0, len(data), step)] or [b""]

    async def receive() -> Message:
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    return receive


def payload(data: bytes, step: int = 4000, length: int | None = 66560) -> Payload:
    return Payload(receive=sent(data, step), chain=Chain(KEY, SEED), framed=True, length=length)


@pytest.mark.parametrize("step", [1, 7, 4096, 1 << 20])
async def test_awss_example_is_accepted_however_it_arrives(step: int) -> None:
    assert await payload(framed(), step).read(1 << 20) == b"a" * 66560


@pytest.mark.parametrize(
    "data",
    [
        framed([b"a" * 65536, b"b" * 1024, b""]),
        framed(signatures=[SIGNATURES[0], SIGNATURES[2], SIGNATURES[1]]),
        framed(BODIES[:2], SIGNATURES[:2]),
        framed()[:-200],
        b"zz;chunk-signature=x\r\n",
        b"-1;chunk-signature=x\r\n",
        b"a" * 10_000,
    ],
)
async def test_a_changed_or_broken_body_is_refused(data: bytes) -> None:
    with pytest.raises(BodyRefused):
        await payload(data).read(1 << 20)


async def test_a_wrong_length_is_refused() -> None:
    with pytest.raises(BodyRefused, match="IncompleteBody"):
        await payload(framed(), length=66561).read(1 << 20)


async def test_a_declared_hash_is_compared() -> None:
    digest = hashlib.sha256(b"hello").hexdigest()
    assert await Payload(receive=sent(b"hello", 2), declared=digest).read(10) == b"hello"
    with pytest.raises(BodyRefused, match="XAmzContentSHA256Mismatch"):
        await Payload(receive=sent(b"hellO", 2), declared=digest).read(10)


def trailer(checksum: str) -> bytes:
    chain = dataclasses.replace(SEED, value=SIGNATURES[2])
    digest = hashlib.sha256(f"x-amz-checksum-crc32:{checksum}\n".encode()).hexdigest()
    signature = sign(KEY, "\n".join(["AWS4-HMAC-SHA256-TRAILER", chain.time, chain.scope, chain.value, digest]))
    return f"x-amz-checksum-crc32:AAAAAA==\r\nx-amz-trailer-signature:{signature}\r\n\r\n".encode()


async def test_a_signed_trailer_is_handed_on_and_a_changed_one_is_not() -> None:
    body = payload(framed(end=trailer("AAAAAA==")))
    await body.read(1 << 20)
    assert body.trailers == {"x-amz-checksum-crc32": "AAAAAA=="}
    with pytest.raises(BodyRefused, match="SignatureDoesNotMatch"):
        await payload(framed(end=trailer("BBBBBB=="))).read(1 << 20)
    with pytest.raises(BodyRefused, match="not signed"):
        await payload(framed(end=b"x-amz-checksum-crc32:AAAAAA==\r\n\r\n")).read(1 << 20)
