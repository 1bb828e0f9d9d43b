"""Which providers this lab folder was brought up with: `up --cluster kind` once, and every later command means that cluster.

Kept from the first moment of `up`, not its end, so that `status` and `down` find what a half-finished `up` has made. `down --purge` forgets it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.errors import LabError
from lab.host.files import write_private
from lab.messages import t


@dataclass(frozen=True)
class Choice:
    """Names of providers; empty where nothing was chosen yet."""

    cluster: str = ""
    aws: str = ""


def read(state: Path) -> Choice:
    """What was kept; nothing where the file is missing or damaged, as for a lab that was never up."""
    try:
        found = json.loads(_path(state).read_text())
        return Choice(str(found["cluster"]), str(found["aws"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Choice()


def keep(state: Path, choice: Choice) -> None:
    """Raises LabError where the folder belongs to another cluster: two clusters in one folder would share users, keys and records."""
    kept = read(state)
    if kept.cluster and kept.cluster != choice.cluster:
        raise LabError(
            t(
                "the lab in {state} is on {cluster}, not {wanted}",
                state=state,
                cluster=kept.cluster,
                wanted=choice.cluster,
            ),
            t("./inv down --purge removes it; LAB_STATE=/another/folder keeps both"),
        )
    if kept != choice:
        write_private(_path(state), json.dumps(asdict(choice)))


def forget(state: Path) -> None:
    _path(state).unlink(missing_ok=True)


def _path(state: Path) -> Path:
    return state / "providers.json"
