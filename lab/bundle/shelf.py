"""Files of a bundle that is here: unpacked by `up --bundle` into the lab's folder, or by somebody's tar beside the lab itself."""

from __future__ import annotations

from pathlib import Path

from lab.settings import ROOT


def find(state: Path, name: str) -> Path | None:
    """The file of that path below bundle/, if a bundle here has it."""
    found = (folder / name for folder in (state / "bundle", ROOT / "bundle"))
    return next((path for path in found if path.is_file()), None)


def glob(state: Path, pattern: str) -> list[Path]:
    return [path for folder in (state / "bundle", ROOT / "bundle") for path in sorted(folder.glob(pattern))]
