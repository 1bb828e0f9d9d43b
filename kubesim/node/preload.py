"""What a fork server imports before its first fork."""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import sys
import time
from collections.abc import Iterator, Sequence
from importlib import metadata
from typing import Any


def load(modules: Sequence[str], source: str = "") -> None:
    """Import what the image lists; what cannot be imported is left to the container, which will say so itself.

    A module of the image's own (below `source`, its working folder) is imported for what it does to the packages it warms up, and then
    forgotten: a container imports the copy of its own file system. No garbage is collected, neither meanwhile nor at the end: of half a million
    objects four thousand are garbage, and looking for them costs a quarter of the import.
    """
    gc.disable()
    sys.path[:0] = [source] if source else []
    with _packages_listed_once():
        for name in modules:
            begun = time.monotonic()
            try:
                importlib.import_module(name)
                print(f"imported {name} in {time.monotonic() - begun:.2f} s", flush=True)
            except Exception as error:  # noqa: BLE001  a module may raise anything while it is imported
                print(f"cannot import {name}: {error!r}", flush=True)
    if source:
        _forget(source)
    gc.freeze()
    gc.enable()


@contextlib.contextmanager
def _packages_listed_once() -> Iterator[None]:
    """MLflow asks a dozen times which plugins there are, and each time every installed package is read for the answer (20 ms)."""
    ask = metadata.entry_points
    everything = functools.cache(ask)

    def answer(**wanted: Any) -> Any:
        return everything().select(**wanted) if metadata.entry_points is answer else ask(**wanted)

    metadata.entry_points = answer
    try:
        yield
    finally:
        metadata.entry_points = ask


def _forget(source: str) -> None:
    sys.path.remove(source)
    sys.path_importer_cache.pop(source, None)
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(f"{source}/"):
            del sys.modules[name]
