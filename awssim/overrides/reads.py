"""GetObject streams from the file, whole or a range; ministack reads the whole file into memory, and ignores Range on a version."""

import asyncio
import os
from typing import IO, Any

from awssim.asgi import Receive, Send
from awssim.blobs import Blob
from awssim.overrides.replace import replace

_AT_ONCE = 64 * 1024
_BLOCK = 512 * 1024


def apply() -> None:
    from ministack.core.responses import StreamingResponse
    from ministack.services import s3

    def make(original: Any) -> Any:
        def get_object(bucket: str, key: str, headers: Any, query: Any = None) -> Any:
            status, answer, body = original(bucket, key, headers, query)
            if (
                status == 200
                and headers.get("range")
                and (query or {}).get("versionId")
                and "Content-Range" not in answer
            ):
                status, answer, body = _ranged(s3, bucket, key, headers["range"], answer, body)
            if not isinstance(body, Blob):
                return status, answer, body
            if body.size <= _AT_ONCE:
                return status, answer, body.read()
            return status, answer, StreamingResponse(_Stream(body).run)

        return get_object

    replace(s3, "_get_object", make)


def _ranged(s3: Any, bucket: str, key: str, text: str, headers: Any, body: Any) -> Any:
    found = s3._parse_range(text, len(body))
    if found is None:
        error = s3._xml_body(s3._range_error_xml(bucket, key))
        return 416, {"Content-Type": "application/xml", "Content-Range": f"bytes */{len(body)}"}, error
    start, end = found
    headers = {name: value for name, value in headers.items() if not name.lower().startswith("x-amz-checksum-")}
    headers |= {"Content-Length": str(end - start + 1), "Content-Range": f"bytes {start}-{end}/{len(body)}"}
    return 206, headers, body[start : end + 1]


class _Stream:
    """A blob on its way to a client. The file is opened at once: a later write of the same key does not change what is read."""

    def __init__(self, blob: Blob) -> None:
        self._file: IO[bytes] = blob.open()
        self._offset, self._left = blob.offset, blob.size

    async def run(self, send: Send, receive: Receive) -> None:
        with self._file:
            while self._left:
                block = bytearray(
                    min(_BLOCK, self._left)
                )  # made by the loop: each thread's own would keep memory of its own
                size = await asyncio.to_thread(os.preadv, self._file.fileno(), [block], self._offset)
                if not size:
                    return  # the client sees a short body, which is an error to it
                self._offset += size
                self._left -= size
                await send(
                    {"type": "http.response.body", "body": memoryview(block)[:size], "more_body": self._left > 0}
                )
