"""Programs that are not here (docker, kind, k3s): shell scripts that write down how they were called and answer as they are told."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

TOOLS = {name: shutil.which(name) for name in ("ls", "grep", "cat")}
SCRIPT = """#!/bin/sh
line="{name} $*"
printf '%s\\n' "$line" >> {folder}/calls
for rule in $({ls} -r {folder}/rules); do
    rule={folder}/rules/$rule
    printf '%s\\n' "$line" | {grep} -Eq -f "$rule/pattern" || continue
    while [ -s "$rule/after" ] && [ $# -gt 0 ]; do
        [ "$1" = "$({cat} "$rule/after")" ] && {cat} "$rule/text" > "$2"
        shift
    done
    {cat} "$rule/stdout"
    {cat} "$rule/stderr" >&2
    exit "$({cat} "$rule/code")"
done
"""


@dataclass(frozen=True)
class Programs:
    """A folder for PATH. A rule answers the calls that its pattern matches, the newest rule first; a call without a rule succeeds silently."""

    folder: Path

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    def install(self, *names: str) -> None:
        for folder in (self.bin, self.folder / "rules"):
            folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            path = self.bin / name
            path.write_text(SCRIPT.format(name=name, folder=self.folder, **TOOLS))
            path.chmod(0o755)

    def answer(
        self, pattern: str, *, stdout: str = "", stderr: str = "", code: int = 0, after: str = "", text: str = ""
    ) -> None:
        """With `after`, the program writes `text` to the file that follows that option."""
        rule = self.folder / "rules" / f"{len(list((self.folder / 'rules').iterdir())):03d}"
        rule.mkdir()
        parts = {
            "pattern": pattern,
            "stdout": stdout,
            "stderr": stderr,
            "code": str(code),
            "after": after,
            "text": text,
        }
        for name, value in parts.items():
            (rule / name).write_text(value)

    def calls(self, start: str = "") -> list[str]:
        """Every call so far that starts so, as one line each."""
        log = self.folder / "calls"
        return [line for line in log.read_text().splitlines() if line.startswith(start)] if log.exists() else []

    def forget(self) -> None:
        (self.folder / "calls").unlink(missing_ok=True)
