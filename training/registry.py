"""The model registry: versions, and the alias `champion` that the service follows.

The alias moves only to a version whose test score is not worse than the champion's. Two trainings may end at once, so whoever moved the
alias looks again: where a better version was promoted meanwhile, the alias goes back to it. Every promoted version carries its score, so
all of them come to the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from training.record import reaching

ALIAS = "champion"
SCORE, PROMOTED = "score", "promoted"


@dataclass(frozen=True)
class Promotion:
    """Whether the alias points at the new version now, and what it pointed at before ("" for nothing)."""

    moved: bool
    before: str
    before_score: float | None


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


def promote(client: MlflowClient, version: ModelVersion, score: float) -> Promotion:
    """Move the alias to `version` where its score is not worse than the champion's."""
    with reaching(f"MLflow does not move the alias {ALIAS!r} of {version.name!r}"):
        before = champion(client, version.name)
        known = _score(before)
        if known is not None and score < known:
            return Promotion(moved=False, before=str(before.version) if before else "", before_score=known)
        client.set_model_version_tag(version.name, version.version, PROMOTED, "true")
        client.set_registered_model_alias(version.name, ALIAS, version.version)
        best = _best(client, version, after=int(before.version) if before else 0)
        if best is not None and best.version != version.version:
            client.set_registered_model_alias(version.name, ALIAS, best.version)
            return Promotion(moved=False, before=str(best.version), before_score=_score(best))
        return Promotion(moved=True, before=str(before.version) if before else "", before_score=known)


def champion(client: MlflowClient, name: str) -> ModelVersion | None:
    """The version the alias points at; None where there is none, or it was deleted."""
    try:
        return client.get_model_version_by_alias(name, ALIAS)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def _score(version: ModelVersion | None) -> float | None:
    try:
        return float(version.tags[SCORE]) if version else None
    except (KeyError, ValueError):
        return None  # registered by hand: nothing to compare with


def _best(client: MlflowClient, version: ModelVersion, *, after: int) -> ModelVersion | None:
    """The best of the versions promoted since the champion this training saw; of equals the newest."""
    found = client.search_model_versions(f"name = '{version.name}'", max_results=50, order_by=["version_number DESC"])
    rivals = [one for one in found if int(one.version) > after and one.tags.get(PROMOTED) == "true"]
    return max(rivals, key=lambda one: (_score(one) or 0.0, int(one.version)), default=None)
