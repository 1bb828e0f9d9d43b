"""What somebody else waits for a small answer while a large object moves: ``python -m lab.benches.probe URL [CA]``, until its input ends.

A process of its own: in the client's, it would wait for the client's own work. One connection, a request every 20 ms, as a program that
keeps its connection has it. Prints the seconds each answer took, as JSON.
"""

from __future__ import annotations

import http.client
import json
import select
import ssl
import sys
import time
from urllib.parse import urlsplit

_EVERY = 0.02


def main(url: str, authority: str = "") -> None:
    parts, waits = urlsplit(url), list[float]()
    where, context = (parts.hostname or "", parts.port), ssl.create_default_context(cafile=authority or None)
    connection = (
        http.client.HTTPSConnection(*where, timeout=120, context=context)
        if parts.scheme == "https"
        else http.client.HTTPConnection(*where, timeout=120)
    )
    _asked(connection, parts.path)
    print(flush=True)  # it has asked once: the transfer may begin
    while not select.select([sys.stdin], [], [], _EVERY)[0]:
        waits.append(_asked(connection, parts.path))
    print(json.dumps(waits))


def _asked(connection: http.client.HTTPConnection, path: str) -> float:
    began = time.perf_counter()
    connection.request("GET", path)
    connection.getresponse().read()
    return time.perf_counter() - began


if __name__ == "__main__":
    main(*sys.argv[1:])
