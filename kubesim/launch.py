"""What the program does to be ready soon and to answer evenly. Nothing here changes what it does.

Half of a start is importing, and of that a third was two things that nobody asked for: aiohttp reads every certificate authority that the
system trusts when it is imported, three times with the node's probes (0.1 s of processor time; what kubesim connects to has authorities of
its own, and a webhook without one reads the system's when it is called), and Python looks for garbage among modules that will live as long
as the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from collections.abc import Iterator

AUTHORITIES = {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": os.devnull}
"""Where OpenSSL looks for the authorities that a default context trusts."""

YOUNG = 10_000
"""Objects made and not freed before the youngest are looked through for garbage (Python's own: 700). A request makes and frees some
hundred, without cycles; what stays is what is stored."""


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Imports in this block are quick. The environment is afterwards what it was: containers inherit it."""
    before = {name: os.environ.get(name) for name in AUTHORITIES}
    os.environ.update(AUTHORITIES)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def settle() -> None:
    """Once everything is there: it is set aside unsearched, and garbage is looked for among what comes from now on."""
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 20)


def loop() -> asyncio.AbstractEventLoop:
    """uvloop where it is to be had: it halves what a request costs."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
