"""Tables (meta.k8s.io/v1 Table): what `kubectl get` prints, made by the server."""

from __future__ import annotations

from collections.abc import Sequence

from kubesim.resources import Object, Resource


def table(
    resource: Resource, objects: Sequence[Object], metadata: Object, *, include: str = "Metadata", headed: bool = True
) -> Object:
    """`include` is None, Metadata or Object: what each row carries of its object."""
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": columns(resource) if headed else [],
        "rows": [row(resource, obj, include) for obj in objects],
    }


def row(resource: Resource, obj: Object, include: str) -> Object:
    found: Object = {"cells": cells(resource, obj)}
    if include == "Object":
        found["object"] = obj
    elif include != "None":
        found["object"] = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
    return found


def columns(resource: Resource) -> list[Object]:
    return [{"name": "Name", "type": "string", "format": "name", "description": "Name must be unique within a namespace.", "priority": 0}]


def cells(resource: Resource, obj: Object) -> list[object]:
    return [obj["metadata"]["name"]]
