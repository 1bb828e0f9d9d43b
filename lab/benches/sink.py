"""A server that takes S3 uploads and throws their bytes away: what a client needs for itself, whoever serves it.

``python -m lab.benches.sink PORT``. It answers what boto3 and the AWS command line want to hear for PutObject and for the calls of a
multipart upload, checks nothing and keeps nothing.
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_ETAG = '"d41d8cd98f00b204e9800998ecf8427e"'
_BEGUN = b"<InitiateMultipartUploadResult><UploadId>none</UploadId></InitiateMultipartUploadResult>"
_COMPLETED = f"<CompleteMultipartUploadResult><ETag>{_ETAG}</ETag></CompleteMultipartUploadResult>".encode()
_BLOCK = 1 << 20


class Sink(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        self._swallow()
        self._answer(b"")

    def do_POST(self) -> None:
        self._swallow()
        self._answer(_BEGUN if "uploads" in self.path else _COMPLETED)

    def do_GET(self) -> None:
        self._answer(b"")

    def _swallow(self) -> None:
        left, block = int(self.headers.get("content-length") or 0), memoryview(bytearray(_BLOCK))
        while left and (taken := self.rfile.readinto(block[:left])):
            left -= taken

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("ETag", _ETAG)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *values: object) -> None: ...


class _Server(ThreadingHTTPServer):
    request_queue_size = 128


if __name__ == "__main__":
    _Server(("127.0.0.1", int(sys.argv[1])), Sink).serve_forever()
