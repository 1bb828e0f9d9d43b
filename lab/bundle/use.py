"""A bundle for a lab that has its environment: unpacked into the lab's folder, where providers look before they fetch or build anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lab.bundle import archive, manifest
from lab.bundle.install import sum_of
from lab.errors import LabError
from lab.settings import ROOT, Settings


def provide(settings: Settings, file: str, cluster: str, *, say: Callable[[str], None]) -> None:
    """Checked and unpacked, unless it is there already. Raises LabError naming the bundle where it is for something else."""
    path = Path(file).expanduser().absolute()
    described = archive.peek(path)
    manifest.require_lock(described, sum_of(ROOT / "requirements.lock"), source=path.name)
    if cluster != "sim" and described.cluster != cluster:
        raise LabError(
            f"{path.name} is for --cluster {described.cluster}, not {cluster}",
            f"./inv up --cluster {described.cluster} --bundle {file}, or make one: ./inv bundle --cluster {cluster}",
        )
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    archive.unpack(path, settings.state / "bundle")
    say(f"bundle: {path.name} of {described.made}, {len(described.files)} files, checked")
