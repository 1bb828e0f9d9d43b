"""What a fork server imports before its first fork."""

from __future__ import annotations

import gc
import importlib
import sys
import time
from collections.abc import Sequence


def load(modules: Sequence[str], source: str = "") -> None:
    """Import what the image lists; what cannot be imported is left to the container, which will say so itself.

    A module of the image's own (below `source`, its working folder) is imported for what it does to the packages it warms up, and then
    forgotten: a container imports the copy of its own file system. No garbage is collected meanwhile: there is none, and looking for
    it costs a fifth of the import.
    """
    gc.disable()
    sys.path[:0] = [source] if source else []
    for name in modules:
        begun = time.monotonic()
        try:
            importlib.import_module(name)
            print(f"imported {name} in {time.monotonic() - begun:.2f} s", flush=True)
        except Exception as error:  # noqa: BLE001  a module may raise anything while it is imported
            print(f"cannot import {name}: {error!r}", flush=True)
    if source:
        _forget(source)
    gc.collect()
    gc.freeze()
    gc.enable()


def _forget(source: str) -> None:
    sys.path.remove(source)
    sys.path_importer_cache.pop(source, None)
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(f"{source}/"):
            del sys.modules[name]
