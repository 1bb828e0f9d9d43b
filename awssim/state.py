"""ministack's state on disk: one JSON file per service, replaced atomically after each write, damaged files set aside and named.

ministack saves on a graceful stop only, ignores a file it cannot read and overwrites it later. Here a file that does not parse is moved
to ``NAME.damaged-TIME`` before anything is written, the last good one (``NAME.previous``) is taken instead, and health reports it.

A save writes all that a service holds, and a class is set up by hundreds of calls: so it has to cost little. ministack copies its
records deeply first, to write them some time later; here they are written at once, on the loop, where nothing changes them
meanwhile, and by orjson.
"""

import hashlib
import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
from ministack.core import persistence

from awssim.files import write_atomically

log = logging.getLogger("awssim.state")


_STRICT = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME


def written(state: Any) -> bytes:
    """A state as JSON. What orjson refuses (half a surrogate pair, a number of more than 64 bits) the slower encoder knows."""
    try:
        return orjson.dumps(state, persistence._json_default, _STRICT)
    except orjson.JSONEncodeError:
        return json.dumps(state, default=persistence._json_default).encode()


@contextmanager
def _uncopied(module: Any) -> Iterator[None]:
    """The module's ``get_state`` gives the records themselves."""
    if not hasattr(module, "copy"):
        yield
        return
    original, module.copy = module.copy, SimpleNamespace(deepcopy=lambda records: records)
    try:
        yield
    finally:
        module.copy = original


class State:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._written: dict[str, bytes] = {}
        self.damaged: list[str] = []

    def path(self, service: str) -> Path:
        return self._directory / f"{service}.json"

    def load(self, service: str, module: Any) -> None:
        """Give ``module`` what was saved of it."""
        for path in (self.path(service), self._previous(service)):
            saved = self._read(path)
            if saved is not None:
                module.load_persisted_state(saved)
                return

    def save(self, service: str, module: Any) -> None:
        """Write what ``module`` holds now, where it has changed. Raises OSError where it cannot."""
        with _uncopied(module):
            text = written(module.get_state())
        digest = hashlib.blake2b(text).digest()
        if self._written.get(service) == digest:
            return
        path = self.path(service)
        with suppress(FileNotFoundError):
            previous = self._previous(service)
            previous.unlink(missing_ok=True)
            previous.hardlink_to(path)
        write_atomically(path, text)
        self._written[service] = digest

    def _previous(self, service: str) -> Path:
        return self._directory / f"{service}.json.previous"

    def _read(self, path: Path) -> Any:
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            return json.loads(text, object_hook=persistence._json_object_hook)
        except ValueError as error:
            self._set_aside(path, error)
            return None

    def _set_aside(self, path: Path, error: Exception) -> None:
        aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S')}")
        path.rename(aside)
        self.damaged.append(str(aside))
        log.error("%s was damaged (%s); kept as %s, and the last good state is used", path, error, aside.name)
