"""Paths where there are no mount namespaces: what a manifest calls /models is a folder under the state directory.

A path at the start of a word of the command, the arguments or an environment value, or after `=`, `:` or `,` in it, is replaced by the
host's. Programs that build such a path themselves do not find it; the docs say so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_BOUNDARY = r"(?:(?<=^)|(?<=[=:,\s\"'(]))"


class Rewriter:
    """Container paths to host paths, longest first."""

    def __init__(self, mapping: Mapping[str, str]) -> None:
        self.mapping = {path: host for path, host in mapping.items() if path != "/"}
        paths = sorted(self.mapping, key=len, reverse=True)
        alternatives = "|".join(re.escape(path) for path in paths)
        self.pattern = re.compile(f"{_BOUNDARY}(?:file://)?({alternatives})(?=[/\\s:,;\"')]|$)") if paths else None

    def text(self, value: str) -> str:
        if self.pattern is None:
            return value
        return self.pattern.sub(lambda match: match[0].replace(match[1], self.mapping[match[1]]), value)

    def words(self, values: Sequence[str]) -> list[str]:
        return [self.text(value) for value in values]

    def values(self, env: Mapping[str, str]) -> dict[str, str]:
        return {name: self.text(value) for name, value in env.items()}
