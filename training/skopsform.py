"""scikit-learn's own form of a forest as a skops file, which is not pickle; the same forest gives the same bytes.

What skops writes is a zip file that depends on where in memory objects lay (their ids name nodes and files), on the clock (the zip's
entries) and on bytes that nothing was ever written to (the padding between a tree's fields). `dump` writes the same content without
those three: ids are counted, entries have the zip format's first date, padding is zero. It is compressed, too: a ninth of the size.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from sklearn.ensemble import RandomForestClassifier
from skops.io._utils import (
    SaveContext,
    get_state,
)  # what skops.io.dump is made of; the versions are pinned, the tests read it back

FILE = "model.skops"
# Node tables of trees; skops asks for each such type to be reviewed by whoever loads a file. This is the only one a forest needs.
TRUSTED = ["sklearn.tree._tree.Tree"]
_EPOCH = (1980, 1, 1, 0, 0, 0)


class _Files(dict[str, bytes]):
    """Stands in for the zip file that skops writes arrays into: what is put there is kept under its name."""

    def namelist(self) -> Container[str]:
        return self

    def writestr(self, name: str, data: bytes) -> None:
        self[name] = bytes(data)


def dump(forest: RandomForestClassifier) -> bytes:
    """The file. `skops.io.dump` would also indent its JSON, which takes longer than everything else here."""
    arrays = _Files()
    context = SaveContext(zip_file=arrays)
    state = get_state(forest, context) | {"protocol": context.protocol, "_skops_version": skops.__version__}
    schema = json.loads(json.dumps(state))  # a tree: nothing in it is shared, nor a tuple
    names = _count(schema)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
        for before, after in names.items():
            made.writestr(_entry(after), _clean(arrays[before]))
        made.writestr(_entry("schema.json"), json.dumps(schema))
    return buffer.getvalue()


def load(file: Path | io.BytesIO) -> RandomForestClassifier:
    """The forest. Raises skops's UntrustedTypesFoundException for a file with types in it that a forest does not need."""
    return skops.io.load(file, trusted=TRUSTED)


def _count(schema: dict[str, Any]) -> dict[str, str]:
    """Number nodes and files in the order in which they come; returns the files' names, old -> new."""
    ids: dict[int, int] = {}
    files: dict[str, str] = {}
    for number, node in enumerate(_nodes(schema)):
        if "__id__" in node:
            # Whether two equal words or numbers are one object is the interpreter's affair; nothing is lost by calling them two.
            shared = node["__loader__"] != "JsonNode"
            node["__id__"] = ids.setdefault(node["__id__"], number) if shared else number
        if "file" in node:
            node["file"] = files.setdefault(node["file"], f"{len(files)}.npy")
    return files


def _nodes(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every node, in the order of a walk that is the same for the same schema."""
    waiting: list[Any] = [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "__loader__" in value:
                yield value
            waiting += [inner for inner in value.values() if isinstance(inner, dict | list)]
        else:
            waiting += [inner for inner in value if isinstance(inner, dict | list)]


def _clean(file: bytes) -> bytes:
    """An array's file; of an array with fields only the fields are kept."""
    if b"'descr': [" not in file[:128]:  # NumPy's header: only an array with fields has a list of them
        return file
    array = np.load(io.BytesIO(file), allow_pickle=False)
    clean = np.zeros(array.shape, array.dtype)
    for name in array.dtype.names:
        clean[name] = array[name]
    buffer = io.BytesIO()
    np.save(buffer, clean, allow_pickle=False)
    return buffer.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry
