"""The model registry: versions, and the alias `champion` that the service follows.

The alias moves by itself only to a version whose test score is not worse than the champion's, and that takes the same features and knows
the same classes: who asks the service must not have to ask differently because somebody trained. A person may move it anywhere.

Every move is written down before it happens, as a tag of the registered model: `champion.<when>` = which version, after which, why, with
what score. Nothing is overwritten, so two who move at once both find both entries, and decide the same: a person's word last, else the
better score. `previous` reads the same entries to go back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Literal

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from training.record import reaching

ALIAS = "champion"
SCORE, INTERFACE, MOVED = "score", "interface", "champion."
LONGEST_HISTORY = 100
Why = Literal["better", "hand", "back"]


@dataclass(frozen=True)
class Move:
    """One entry: the alias went to `version`; `before` is where it was, "" for nowhere."""

    version: str
    before: str
    why: Why
    score: float | None = None


@dataclass(frozen=True)
class Promotion:
    """Whether the alias points at the version now, what it pointed at before ("" for nothing), and, where it stays, why."""

    moved: bool
    before: str
    reason: str = ""


def register(
    client: MlflowClient, name: str, *, source: str, run_id: str, model_id: str | None, tags: dict[str, str]
) -> ModelVersion:
    """A new version of `name`, whose files are in S3 already."""
    with reaching(f"MLflow does not register a version of {name!r}"):
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        return client.create_model_version(name, source=source, run_id=run_id, tags=tags, model_id=model_id)


def promote(client: MlflowClient, version: ModelVersion, *, strictly: bool = False) -> Promotion:
    """Move the alias to `version` where it may move by itself; `strictly`: only where its score is better, not equal."""
    with reaching(f"MLflow does not move the alias {ALIAS!r} of {version.name!r}"):
        known = history(client, version.name)
        before = champion(client, version.name)
        if before is not None and before.version == version.version:
            return Promotion(moved=False, before=before.version, reason=f"version {before.version} is champion already")
        if reason := objection(version, before, strictly=strictly):
            return Promotion(moved=False, before=before.version if before else "", reason=reason)
        mine = _move(client, version, before, "better")
        rivals = {key: move for key, move in history(client, version.name).items() if key not in known}
        winner = _winner({mine[0]: mine[1], **rivals})
        if winner.version != version.version:
            client.set_registered_model_alias(version.name, ALIAS, winner.version)
            return Promotion(moved=False, before=winner.version, reason=f"version {winner.version} came first")
        return Promotion(moved=True, before=before.version if before else "")


def objection(version: ModelVersion, before: ModelVersion | None, *, strictly: bool) -> str:
    """Why the alias may not move by itself from `before` to `version`; "" where it may."""
    if before is None:
        return ""
    mine, theirs = version.tags.get(INTERFACE), before.tags.get(INTERFACE)
    if mine and theirs and mine != theirs:
        return f"version {before.version} has other columns or classes, and who asks the service expects those"
    score, known = _score(version), _score(before)
    if known is None or score is None or score > known or (score == known and not strictly):
        return ""
    verb = "scores as well" if score == known else "scores better"
    return f"version {before.version} {verb} (accuracy {known:.4f})"


def move(client: MlflowClient, version: ModelVersion, why: Why) -> Promotion:
    """Move the alias whatever the scores, as a person asks."""
    with reaching(f"MLflow does not move the alias {ALIAS!r} of {version.name!r}"):
        before = champion(client, version.name)
        if before is not None and before.version == version.version:
            return Promotion(moved=False, before=before.version, reason=f"version {before.version} is champion already")
        _move(client, version, before, why)
        return Promotion(moved=True, before=before.version if before else "")


def champion(client: MlflowClient, name: str) -> ModelVersion | None:
    """The version the alias points at; None where there is none, or it was deleted."""
    try:
        return client.get_model_version_by_alias(name, ALIAS)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def history(client: MlflowClient, name: str) -> dict[str, Move]:
    """Every move that was written down, the oldest first, by its key."""
    return read_history(client.get_registered_model(name).tags)


def read_history(tags: Mapping[str, str]) -> dict[str, Move]:
    """The moves among a registered model's tags; what is no entry is passed over."""
    found = {}
    for key in sorted(tags):
        if key.startswith(MOVED):
            try:
                found[key] = Move(**json.loads(tags[key]))
            except (ValueError, TypeError):
                continue
    return found


def earlier(moves: Iterable[Move], current: str) -> list[str]:
    """The champions before `current`, the latest first: going back twice goes back two, not to and fro."""
    stack: list[str] = []
    for one in moves:
        if one.version in stack and one.why == "back":
            del stack[stack.index(one.version) + 1 :]
        elif not stack or stack[-1] != one.version:
            stack += [one.before] if one.before and not stack else []
            stack.append(one.version)
    if current in stack:
        del stack[len(stack) - 1 - stack[::-1].index(current) :]
    return [version for version in dict.fromkeys(reversed(stack)) if version != current]


def _move(client: MlflowClient, version: ModelVersion, before: ModelVersion | None, why: Why) -> tuple[str, Move]:
    """Write down, then move: a move that is not written down cannot be found again, an entry without one does no harm."""
    key = f"{MOVED}{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{version.version}"
    entry = Move(str(version.version), str(before.version) if before else "", why, _score(version))
    client.set_registered_model_tag(version.name, key, json.dumps(asdict(entry)))
    client.set_registered_model_alias(version.name, ALIAS, version.version)
    for old in list(history(client, version.name))[:-LONGEST_HISTORY]:
        client.delete_registered_model_tag(version.name, old)
    return key, entry


def _winner(moves: Mapping[str, Move]) -> Move:
    """Of moves made at once: the last a person made, else the best, of equals the newest version."""
    in_order = [moves[key] for key in sorted(moves)]
    by_hand = [one for one in in_order if one.why != "better"]
    return by_hand[-1] if by_hand else max(in_order, key=lambda one: (one.score or 0.0, int(one.version)))


def _score(version: ModelVersion | None) -> float | None:
    try:
        return float(version.tags[SCORE]) if version else None
    except (KeyError, ValueError):
        return None  # registered by hand: nothing to compare with
