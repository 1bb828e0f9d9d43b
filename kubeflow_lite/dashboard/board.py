"""A page as parts that change one by one, with revisions: whoever has seen revision 7 is sent what changed since, and nothing twice.

A part is rendered again only when its value (a frozen row) differs. Where the list of parts itself or the page around them changed, or the page
was made by a program that has ended meanwhile, a reader must load the page again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    value: object
    html: str
    revision: int


class Board:
    def __init__(self, render: Callable[[str, object], str]) -> None:
        """`render(kind, value)`; a part's kind is its id up to the first dash."""
        self._render = render
        self._epoch = secrets.token_hex(4)
        self._shaped_at = 0
        self._revision = 0
        self._frame: object = None
        self.parts: dict[str, Part] = {}

    @property
    def version(self) -> str:
        """What the page on a reader's screen is to say it has seen."""
        return f"{self._epoch}.{self._revision}"

    def update(self, values: Mapping[str, object], frame: object = None) -> None:
        """`frame` is what the page around the parts is made of: another one, and readers load the page again."""
        reshaped = list(values) != list(self.parts) or frame != self._frame
        self._frame = frame
        changed = {
            key: value for key, value in values.items() if key not in self.parts or self.parts[key].value != value
        }
        if changed or reshaped:
            self._revision += 1
        if reshaped:
            self._shaped_at = self._revision
        fresh = {
            key: Part(value, self._render(key.partition("-")[0], value), self._revision)
            for key, value in changed.items()
        }
        self.parts = {key: fresh.get(key) or self.parts[key] for key in values}

    def of(self, kind: str) -> Iterator[str]:
        """The HTML of all parts of a kind, in their order."""
        return (part.html for key, part in self.parts.items() if key.startswith(f"{kind}-"))

    def since(self, version: str) -> dict[str, str] | None:
        """What changed after a version, by id; None where the page must be loaded again."""
        epoch, _, number = version.partition(".")
        if epoch != self._epoch or not number.isdigit() or int(number) < self._shaped_at:
            return None
        return {key: part.html for key, part in self.parts.items() if part.revision > int(number)}
