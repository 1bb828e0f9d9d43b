"""Which cluster of somebody's the lab is on, whether they agreed to it, and what was made there: `STATE/current/record.json`.

It is written before anything is made, so a half-finished `up` is known to `down` too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab.clusters.footprint import Ref
from lab.errors import LabError
from lab.host.files import write_private
from lab.messages import t


@dataclass(frozen=True)
class Identity:
    """Which cluster: a context may be pointed elsewhere, the UID of kube-system belongs to one cluster for ever."""

    context: str
    server: str
    uid: str
    version: str


@dataclass(frozen=True)
class Record:
    """Of the lab in the state folder `state`; nothing is kept in memory, for another command may have written."""

    state: Path

    @property
    def path(self) -> Path:
        return self.state / "current" / "record.json"

    def agree(self, here: Identity) -> None:
        self._write({**self._read(), **asdict(here), "agreed": here.uid})

    def agreed(self, here: Identity) -> bool:
        return bool(self._read().get("agreed") == here.uid)

    def made(self) -> list[Ref]:
        return [Ref(**item) for item in self._read().get("made") or []]

    def add(self, refs: Iterable[Ref]) -> None:
        """What is about to be made."""
        self._write({**self._read(), "made": [asdict(ref) for ref in sorted({*self.made(), *refs})]})

    def require_not_elsewhere(self, here: Identity) -> None:
        """Raises LabError where the lab is on another cluster already."""
        kept = self._read()
        if kept.get("made") and kept.get("uid") != here.uid:
            raise LabError(
                t(
                    "the lab in {state} is on {old_server} (context {old}), the context is {context} now, which is {server}",
                    state=self.state,
                    old_server=kept.get("server"),
                    old=kept.get("context"),
                    context=here.context,
                    server=here.server,
                ),
                t(
                    "LAB_CONTEXT={context} goes on there; LAB_STATE=/another/folder is for a second lab",
                    context=kept.get("context"),
                ),
            )

    def require_same(self, uid: str) -> None:
        """Raises LabError where the kubeconfig that was kept leads to another cluster by now."""
        kept = self._read()
        if uid != kept.get("uid"):
            raise LabError(
                t(
                    "{server} is another cluster than the one that the lab was brought up on",
                    server=kept.get("server"),
                ),
                t("nothing was removed; where that cluster is gone for good: rm -r {folder}", folder=self.path.parent),
            )

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, content: dict[str, Any]) -> None:
        write_private(self.path, json.dumps(content, indent=1))
