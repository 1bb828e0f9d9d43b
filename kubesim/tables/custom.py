"""Custom kinds: the columns their definitions ask for."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from kubesim.resources import Object
from kubesim.schema.model import Model
from kubesim.tables import jsonpath
from kubesim.tables.column import duration, moment, name_of

AGE = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
CREATED_ABOUT = "apimachinery.pkg.apis.meta.v1.ObjectMeta.creationTimestamp"


def printed(model: Model) -> list[Object]:
    """The definition's columns for this version; age where it has none."""
    assert model.structural is not None
    for version in model.structural.crd["spec"]["versions"]:
        if version["name"] == model.structural.version:
            return version.get("additionalPrinterColumns") or [AGE]
    return [AGE]


def cells(model: Model, obj: Object, now: datetime) -> list[Any]:
    return [name_of(obj), *(_cell(column, obj, now) for column in printed(model))]


def _cell(column: Object, obj: Object, now: datetime) -> Any:
    try:
        found = jsonpath.find(column["jsonPath"], obj)
    except jsonpath.PathError:
        return None
    return _shown(column["type"], found[0], now) if found else None


def _shown(kind: str, value: Any, now: datetime) -> Any:
    """A value as a cell of this type; None where it does not fit."""
    if value is None:
        return None
    if kind == "string":
        return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    if kind == "date":
        return _age(value, now)
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if kind == "integer" else float(value)


def _age(value: Any, now: datetime) -> str:
    try:
        return duration((now - moment(value)).total_seconds())
    except (TypeError, ValueError):
        return "<invalid>"
