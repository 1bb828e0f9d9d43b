"""Tables (meta.k8s.io/v1 Table): what `kubectl get` prints, made by the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from kubesim import tables
from kubesim.resources import Object, Resource
from kubesim.schema import Schemas


class Tabler:
    """Prints objects. `clock` gives the time that ages are counted to."""

    def __init__(self, schemas: Schemas, clock: Callable[[], datetime]) -> None:
        self._schemas, self._clock = schemas, clock

    def table(
        self,
        resource: Resource,
        objects: Sequence[Object],
        metadata: Mapping[str, object],
        *,
        include: str = "Metadata",
        headed: bool = True,
    ) -> Object:
        """`include` is None, Metadata or Object: what each row carries of its object."""
        model, now = self._schemas.of(resource), self._clock()
        if objects and objects[0].get("kind") == "Scale":  # the subresource of any kind
            cells, columns = [tables.scale_cells(obj, now) for obj in objects], tables.scale_columns()
        else:
            cells, columns = [tables.cells(model, obj, now) for obj in objects], tables.columns(model)
        rows = [{"cells": row} | _carried(obj, include) for row, obj in zip(cells, objects, strict=True)]
        return {
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata,
            "columnDefinitions": columns if headed else [],
            "rows": rows,
        }


def _carried(obj: Object, include: str) -> Object:
    if include == "Object":
        return {"object": obj}
    if include == "None":
        return {}
    return {"object": {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}}
