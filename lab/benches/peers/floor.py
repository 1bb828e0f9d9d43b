"""The same answer to everything, without a framework, a parser or a model: what the machine, the kernel and the load generator cost."""

import asyncio
import sys

import uvloop

BODY = b'{"prediction": "setosa", "class_id": 0, "probabilities": {"setosa": 1.0, "versicolor": 0.0, "virginica": 0.0}}'
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)


class Floor(asyncio.Protocol):
    """Takes whatever arrives at once for a whole request."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(ANSWER)  # type: ignore[attr-defined]


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Floor, "127.0.0.1", port)
    await server.serve_forever()


uvloop.run(main(int(sys.argv[1])))
