"""The gRPC probe: one call of grpc.health.v1.Health/Check over HTTP/2 without TLS, as the kubelet makes it.

The two messages have one field each, so they are written and read here rather than by a protobuf library; HTTP/2 is h2's.
"""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import unquote

import h2.config
import h2.connection
import h2.events
import h2.exceptions

_SERVING = 1
_STATUS = {0: "UNKNOWN", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
_CODES = {5: "NotFound", 12: "Unimplemented", 14: "Unavailable"}


async def check(host: str, port: int, service: str) -> tuple[bool, str]:
    """(healthy, what was seen). Raises OSError where nobody listens; the caller bounds the time."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        call = _Call(f"{host}:{port}", service)
        writer.write(call.connection.data_to_send())
        while not call.done:
            data = await reader.read(65536)
            if not data:
                return False, "service unhealthy: the connection was closed before an answer"
            call.receive(data)
            writer.write(call.connection.data_to_send())
        return call.outcome(service)
    except h2.exceptions.H2Error as error:
        return False, f"service unhealthy: not gRPC: {error}"
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


class _Call:
    """One request and its answer, without I/O."""

    def __init__(self, authority: str, service: str) -> None:
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.body, self.headers, self.done = b"", dict[str, str](), False
        self.connection.initiate_connection()
        self.connection.send_headers(
            1,
            [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", "/grpc.health.v1.Health/Check"),
                (":authority", authority),
                ("content-type", "application/grpc"),
                ("user-agent", "kube-probe/1.36"),
                ("te", "trailers"),
            ],
        )
        self.connection.send_data(1, request(service), end_stream=True)

    def receive(self, data: bytes) -> None:
        for event in self.connection.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
                self.headers |= {str(name): str(value) for name, value in event.headers}
            elif isinstance(event, h2.events.DataReceived):
                self.body += event.data
                self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset | h2.events.ConnectionTerminated):
                self.done = True

    def outcome(self, service: str) -> tuple[bool, str]:
        code = int(self.headers.get("grpc-status") or (2 if not self.body else 0))
        if code:
            told = unquote(self.headers.get("grpc-message", ""))
            return (
                False,
                f"service unhealthy (rpc error: code = {_CODES.get(code, str(code))} desc = {told}) for service {service!r}",
            )
        status = serving(self.body)
        if status == _SERVING:
            return True, ""
        return False, f"service unhealthy (responded with {_STATUS.get(status, str(status))!r})"


def request(service: str) -> bytes:
    """HealthCheckRequest {string service = 1}, framed as gRPC frames messages."""
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    return b"\0" + len(message).to_bytes(4, "big") + message


def serving(body: bytes) -> int:
    """The status of a framed HealthCheckResponse {ServingStatus status = 1}."""
    message = body[5 : 5 + int.from_bytes(body[1:5], "big")]
    return message[1] if message[:1] == b"\x08" and len(message) > 1 else 0


def _varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out, number = out + bytes([number & 0x7F | 0x80]), number >> 7
    return out + bytes([number])
