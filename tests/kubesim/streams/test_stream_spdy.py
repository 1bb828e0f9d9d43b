"""SPDY/3.1 framing: pure."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubesim.api.streams import spdy
from kubesim.api.streams.spdy import Codec, Frame, ProtocolError


def test_the_dictionary_is_the_drafts() -> None:
    """Every SPDY/3 header block begins with a zlib header that names this checksum."""
    assert (len(spdy.DICTIONARY), zlib.adler32(spdy.DICTIONARY)) == (1423, 0xE3C6A7C2)
    block = Codec().syn_reply(1)[12:]
    assert block[2:6] == bytes.fromhex("e3c6a7c2")


@settings(deadline=None)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(["streamtype", "port", "requestid", "x"]), st.text(max_size=40)),
        min_size=1,
        max_size=4,
    ),
    st.integers(1, 7),
)
def test_headers_survive_one_compression_context_cut_anywhere(blocks: list[dict[str, str]], size: int) -> None:
    blocks = [{name: value.encode("ascii", "replace").decode() for name, value in block.items()} for block in blocks]
    sender, receiver = Codec(), Codec()
    sent = b"".join(sender.syn_stream(2 * number + 1, block, fin=number == 0) for number, block in enumerate(blocks))
    got = [frame for at in range(0, len(sent), size) for frame in receiver.feed(sent[at : at + size])]
    assert [(frame.stream, dict(frame.headers)) for frame in got] == [
        (2 * number + 1, block) for number, block in enumerate(blocks)
    ]
    assert [frame.fin for frame in got] == [number == 0 for number in range(len(blocks))]


def test_data_resets_and_pings() -> None:
    received = list(Codec().feed(spdy.data(5, b"abc", fin=True) + spdy.reset(5) + spdy.ping(7)))
    assert received[0] == Frame(0, 5, spdy.FIN, b"abc")
    assert (received[1].type, received[1].stream) == (spdy.RST_STREAM, 5)
    assert (received[2].type, received[2].stream) == (spdy.PING, 7)


@pytest.mark.parametrize(
    "wrong",
    [
        struct.pack(">HHI", 0x8002, 1, 10) + bytes(10),
        struct.pack(">HHI", 0x8003, 1, 14) + bytes(10) + b"\xff\xff\xff\xff",
        struct.pack(">HHI", 0x8003, 6, 0),
    ],
)
def test_what_is_not_spdy_is_refused(wrong: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(Codec().feed(wrong))
