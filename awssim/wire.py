"""One connection: uvicorn's protocol, but for large bodies, which are read from the socket straight into the blocks that are stored.

uvicorn's parser copies every piece of a body three times and wakes the application for each. Of a body whose length is known only the
head, and what came with it, goes through the parser here; the rest is counted, not parsed.
"""

import asyncio
from collections import deque
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from awssim.asgi import Message
from awssim.pipe import BLOCK

_LARGE = 256 * 1024
_LONGEST_HEAD = 128 * 1024
_head = bytearray(64 * 1024)  # one for all connections: what is read into it is taken out before the loop goes on


class Wire(asyncio.BufferedProtocol):
    """What uvicorn makes for each connection; the loop asks it where to put what arrives."""

    def __init__(self, config: Any, server_state: Any, app_state: Any, _loop: Any = None) -> None:
        self._http = _Http(config, server_state, app_state, _loop)

    def connection_made(self, transport: Any) -> None:
        self._http.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._http.connection_lost(exc)

    def eof_received(self) -> None:
        self._http.eof_received()

    def pause_writing(self) -> None:
        self._http.pause_writing()

    def resume_writing(self) -> None:
        self._http.resume_writing()

    def get_buffer(self, sizehint: int) -> memoryview:
        intake = self._http.intake
        return intake.room() if intake else memoryview(_head)

    def buffer_updated(self, nbytes: int) -> None:
        intake = self._http.intake
        if intake is None:
            self._http.data_received(bytes(memoryview(_head)[:nbytes]))
        elif intake.arrived(nbytes):
            self._http.body_complete()


class _Http(HttpToolsProtocol):
    """uvicorn's protocol, which lets an Intake have the bodies that are large."""

    intake: "Intake | None" = None
    _head: int | None = None  # what has come of a head that is not complete yet

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head = 0

    def data_received(self, data: bytes) -> None:
        if self._head is not None:
            self._head += len(data)
            if self._head > _LONGEST_HEAD:  # the parser would keep it, however long it is
                self.send_400_response("The head of the request is too long.")
                return
        super().data_received(data)

    def on_headers_complete(self) -> None:
        self._head = None
        super().on_headers_complete()
        length = next((value for name, value in self.headers if name == b"content-length"), b"0")
        if int(length) > _LARGE:
            self.intake = Intake(self.cycle, int(length))

    def on_body(self, body: bytes) -> None:
        if self.intake is None:
            super().on_body(body)
        else:
            self.intake.put(body)

    def body_complete(self) -> None:
        """The parser has not seen the body: a new one waits for the next request."""
        self.intake = None
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.intake is not None:
            self.intake.hand_over()  # what had arrived, before the client's going is told
            self.intake = None
        super().connection_lost(exc)


class Intake:
    """A large body on its way in: one block is being filled while the application has the one before it."""

    def __init__(self, cycle: RequestResponseCycle, length: int) -> None:
        self._cycle = cycle
        self._left = length
        self._ready: deque[memoryview] = deque()
        self._block, self._filled = memoryview(b""), 0
        self._receive = cycle.receive
        cycle.receive = self.receive  # type: ignore[method-assign,assignment]

    def room(self) -> memoryview:
        """Where the next bytes belong; never more than the body's own, for what follows is another request."""
        if not self._block:
            self._block, self._filled = memoryview(bytearray(min(BLOCK, self._left))), 0
        return self._block[self._filled :]

    def arrived(self, size: int) -> bool:
        """``size`` bytes are in the room; is the body complete?"""
        self._filled += size
        self._left -= size
        if self._filled == len(self._block):
            self.hand_over()
        return not self._left

    def put(self, data: bytes) -> None:
        """Take what came with the head."""
        while data:
            room = self.room()
            size = min(len(room), len(data))
            room[:size] = data[:size]
            self.arrived(size)
            data = data[size:]

    def hand_over(self) -> None:
        """Give the application what has arrived; nobody wants it where the answer is out already."""
        if self._cycle.response_complete:
            self._ready.clear()
        elif self._filled:
            self._ready.append(self._block[: self._filled])
            self._cycle.message_event.set()
        self._block, self._filled = memoryview(b""), 0
        if self._ready:
            self._cycle.flow.pause_reading()

    async def receive(self) -> Message:
        """ASGI's ``receive``: a block, the next one, and the end."""
        cycle = self._cycle
        if cycle.waiting_for_100_continue and not cycle.transport.is_closing():
            cycle.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            cycle.waiting_for_100_continue = False
        while self._left and not self._ready and not cycle.disconnected and not cycle.response_complete:
            cycle.flow.resume_reading()
            cycle.message_event.clear()
            await cycle.message_event.wait()
        if not self._ready:
            return cast(Message, await self._receive())
        block = self._ready.popleft()
        cycle.message_event.clear()
        cycle.flow.resume_reading()
        return {"type": "http.request", "body": block, "more_body": bool(self._left or self._ready)}
