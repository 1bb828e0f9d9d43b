"""Programs that are not here (docker, kind, k3s): executables that write down how they were called and answer as they are told."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

SCRIPT = """#!{python}
import json, re, sys
from pathlib import Path
folder = Path({folder!r})
name = {name!r}
words = sys.argv[1:]
line = " ".join([name, *words])
with (folder / "calls.jsonl").open("a") as log:
    log.write(json.dumps([name, *words]) + "\\n")
for rule in json.loads((folder / "rules.json").read_text()):
    if re.search(rule["pattern"], line):
        for path, text in rule["writes"].items():
            found = re.sub(r"\\{{after (.+?)\\}}", lambda m: words[words.index(m.group(1)) + 1], path)
            Path(found).write_text(text)
        sys.stdout.write(rule["stdout"])
        sys.stderr.write(rule["stderr"])
        sys.exit(rule["code"])
"""


@dataclass(frozen=True)
class Programs:
    """A folder for PATH. A rule answers the calls that its pattern matches, the newest rule first; a call without a rule succeeds silently."""

    folder: Path

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    def install(self, *names: str) -> None:
        self.bin.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "rules.json").exists():
            (self.folder / "rules.json").write_text("[]")
        for name in names:
            path = self.bin / name
            path.write_text(SCRIPT.format(python=sys.executable, folder=str(self.folder), name=name))
            path.chmod(0o755)

    def answer(
        self, pattern: str, *, stdout: str = "", stderr: str = "", code: int = 0, writes: dict[str, str] | None = None
    ) -> None:
        """`writes` are files that the program makes; "{after --flag}" in a name is what follows that flag."""
        rule = {"pattern": pattern, "stdout": stdout, "stderr": stderr, "code": code, "writes": writes or {}}
        path = self.folder / "rules.json"
        path.write_text(json.dumps([rule, *json.loads(path.read_text())]))

    def calls(self, start: str = "") -> list[str]:
        """Every call so far that starts so, as one line each."""
        log = self.folder / "calls.jsonl"
        lines = [" ".join(json.loads(line)) for line in log.read_text().splitlines()] if log.exists() else []
        return [line for line in lines if line.startswith(start)]

    def forget(self) -> None:
        (self.folder / "calls.jsonl").unlink(missing_ok=True)
