"""What the programs of this image end with: one line, RESULT and JSON. Whoever started the Job reads it back from the log.

Imports nothing heavy, so that the reader needs none of the image's packages.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

RESULT = "RESULT "


@dataclass(frozen=True)
class Result:
    """What a training made.

    `version` is "" where none was asked for; `champion_reason` says why the alias stays where it was, where it does.
    """

    run_id: str
    run_path: str
    experiment_id: str
    model: str
    version: str
    champion: bool
    champion_before: str
    champion_reason: str
    artifact_uri: str
    model_uri: str
    model_digest: str
    skops_digest: str
    data_digest: str
    accuracy: float
    f1: float
    seconds: float

    def line(self) -> str:
        return RESULT + json.dumps(asdict(self))


@dataclass(frozen=True)
class Promoted:
    """What came of a promotion.

    `moved`: whether the alias moved now; where not, `reason` says why. `before`: the champion until then, "" for none.
    """

    model: str
    version: str
    run_id: str
    moved: bool
    before: str
    reason: str
    model_digest: str
    golden: int

    def line(self) -> str:
        return RESULT + json.dumps(asdict(self))
