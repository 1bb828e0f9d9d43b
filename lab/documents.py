"""YAML documents, read by libyaml where PyYAML was built with it: a tenth of the time, and `up` reads sixty kilobytes of manifests."""

from __future__ import annotations

from typing import Any

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load(text: str) -> Any:
    """The one document of a text. Raises yaml.YAMLError, which knows the line."""
    return yaml.load(text, Loader=_LOADER)


def load_all(text: str) -> list[Any]:
    """Its documents, the empty ones left out."""
    return [document for document in yaml.load_all(text, Loader=_LOADER) if document]
