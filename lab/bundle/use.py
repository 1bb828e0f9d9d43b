"""A bundle for a lab that has its environment: unpacked into the lab's folder, where providers look before they fetch or build anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lab.bundle import archive, manifest
from lab.bundle.install import sum_of
from lab.errors import LabError
from lab.messages import t
from lab.settings import ROOT, Settings


def provide(settings: Settings, file: str, cluster: str, *, say: Callable[[str], None]) -> None:
    """Checked and unpacked, unless it is there already. Raises LabError naming the bundle where it is for something else."""
    path = Path(file).expanduser().absolute()
    described = archive.peek(path)
    manifest.require_lock(described, sum_of(ROOT / "requirements.lock"), source=path.name)
    if cluster != "sim" and described.cluster != cluster:
        raise LabError(
            t(
                "{name} is for --cluster {cluster}, not {wanted}",
                name=path.name,
                cluster=described.cluster,
                wanted=cluster,
            ),
            t(
                "./inv up --cluster {cluster} --bundle {file}, or make one: ./inv bundle --cluster {wanted}",
                cluster=described.cluster,
                file=file,
                wanted=cluster,
            ),
        )
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    archive.unpack(path, settings.state / "bundle")
    say(
        t(
            "bundle: {name} of {made}, {files} files, checked",
            name=path.name,
            made=described.made,
            files=len(described.files),
        )
    )
