"""MLflow's model registry as this service needs it: what the alias points at, and that version's files. Blocking: call it in a thread."""

from __future__ import annotations

import json
import urllib.error
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from serving import objects
from serving.errors import NoChampion, Unreachable
from serving.settings import MODEL_BYTES, Settings

_API = "/api/2.0/mlflow/"
_MOST_JSON = 4 * 1024 * 1024


@dataclass(frozen=True)
class Version:
    """A registered version. `digest` is what the training said the ONNX file hashes to, empty where it did not."""

    name: str
    version: str
    run_id: str
    digest: str


@dataclass(frozen=True)
class Files:
    """What the service reads of a version."""

    profile: bytes
    model: bytes


class Registry:
    """A client without a cache and without state."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def champion(self) -> Version:
        """Raise NoChampion where MLflow knows no such model or alias, Unreachable where it does not say."""
        query = {"name": self.settings.model, "alias": self.settings.alias}
        found = self._get("registered-models/alias", query, "model_version")
        try:
            tags = {tag["key"]: tag["value"] for tag in found.get("tags", [])}
            return Version(
                name=found["name"],
                version=str(found["version"]),
                run_id=found.get("run_id", ""),
                digest=tags.get("model_digest", ""),
            )
        except (LookupError, TypeError, AttributeError) as error:
            raise Unreachable("MLflow: an answer of another form than a model version") from error

    def files(self, version: Version) -> Files:
        """Fetch them from S3."""
        query = {"name": version.name, "version": version.version}
        source = self._get("model-versions/get-download-uri", query, "artifact_uri")
        return Files(
            profile=objects.get(self.settings, f"{source}/serving.json", most=_MOST_JSON),
            model=objects.get(self.settings, f"{source}/model.onnx", most=MODEL_BYTES),
        )

    def _get(self, path: str, query: dict[str, str], key: str) -> Any:
        url = f"{self.settings.tracking_uri}{_API}{path}?{urlencode(query)}"
        try:
            body = objects.fetch(url, {}, most=_MOST_JSON, what="MLflow")
        except Unreachable as error:
            if _is_missing(error.__cause__, str(error)):
                raise NoChampion(
                    f"no model {query['name']!r} with alias {self.settings.alias!r} is registered"
                ) from error
            raise
        try:
            return json.loads(body)[key]
        except (ValueError, LookupError, TypeError) as error:
            raise Unreachable(f"MLflow: no {key} in the answer of {path}") from error


def _is_missing(cause: BaseException | None, text: str) -> bool:
    """MLflow says 404 for a model that does not exist, and 400 for an alias that does not."""
    if not isinstance(cause, urllib.error.HTTPError):
        return False
    return "RESOURCE_DOES_NOT_EXIST" in text or ("alias" in text and cause.code == 400)
