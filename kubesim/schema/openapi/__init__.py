"""OpenAPI v2 and v3 of the served kinds, built when asked for: descriptions are read, used and let go.

A document takes some hundred milliseconds to build and megabytes to hold; whoever serves it keeps the encoded bytes until the registry's
`generation` changes. kubectl asks for v3 (explain, apply), and for v2 as protobuf for objects of kind List.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from kubesim.resources import Object
from kubesim.schema.model import Model
from kubesim.schema.openapi.definitions import Builder
from kubesim.schema.openapi.paths import paths, root

INFO = {"title": "Kubernetes", "version": "v1.36.2"}
BEARER = {
    "BearerToken": {
        "type": "apiKey",
        "name": "authorization",
        "in": "header",
        "description": "Bearer Token authentication",
    }
}


def v2(models: Iterable[Model]) -> Object:
    """One document of everything."""
    build = Builder(2)
    found: Object = {}
    for model in models:
        found.update(paths(model, build))
    document = {"swagger": "2.0", "info": INFO, "paths": found, "definitions": build.schemas}
    return document | {"securityDefinitions": BEARER, "security": [{"BearerToken": []}]}


def v3_index(models: Iterable[Model]) -> Object:
    """The group versions, each with the URL of its document; the hash in it changes with what is served."""
    groups: dict[str, list[Model]] = {}
    for model in models:
        groups.setdefault(root(model.resource).lstrip("/"), []).append(model)
    return {
        "paths": {
            path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={_hash(group)}"}
            for path, group in sorted(groups.items())
        }
    }


def _hash(models: list[Model]) -> str:
    parts = [[model.resource.key, model.structural.schema if model.structural else None] for model in models]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:64].upper()


def v3(models: Iterable[Model], path: str) -> Object | None:
    """The document of one group version ("api/v1", "apis/apps/v1"); None where nothing is served there."""
    build = Builder(3)
    found: Object = {}
    for model in models:
        if root(model.resource).lstrip("/") == path:
            found.update(paths(model, build))
    if not found:
        return None
    components = {"schemas": build.schemas, "securitySchemes": BEARER}
    return {"openapi": "3.0.0", "info": INFO, "paths": found, "components": components}
