"""The import seam to what another engineer lands; goes once it has."""
# ruff: noqa
# mypy: ignore-errors

from __future__ import annotations

import copy
from typing import Any

try:
    from kubesim import patch as patch
    from kubesim import tables as tables
    from kubesim.admission import defaults as defaults
    from kubesim.admission import validation as validation
    from kubesim.schema import Model as Model
    from kubesim.schema import Schemas as Schemas
    from kubesim.schema import duplicates as duplicates

    patch.track_update
except (ImportError, AttributeError):
    from kubesim.errors import BadRequest

    def duplicates(raw):
        return []

    class Model:
        def __init__(self, resource):
            self.resource = resource

        def unknown_fields(self, obj):
            return []

        def strict_error(self, problems):
            return BadRequest(str(problems))

        def decode(self, obj):
            return copy.deepcopy(obj)

    class Schemas:
        def of(self, resource):
            return Model(resource)

        def add(self, resource, crd):
            pass

        def remove(self, resource):
            pass

    def merge(obj: Any, change: Any) -> Any:
        if not isinstance(change, dict):
            return copy.deepcopy(change)
        result = dict(obj) if isinstance(obj, dict) else {}
        for key, value in change.items():
            if value is None:
                result.pop(key, None)
            else:
                result[key] = merge(result.get(key), value)
        return result

    class patch:
        merge_patch = staticmethod(merge)

        @staticmethod
        def strategic_merge(model, obj, change):
            return merge(obj, change)

        @staticmethod
        def json_patch(obj, operations):
            import jsonpatch

            return jsonpatch.apply_patch(obj, operations)

        @staticmethod
        def track_update(model, live, obj, **_):
            pass

        @staticmethod
        def after_apply(model, live, obj, **_):
            pass

        @staticmethod
        def server_side_apply(model, live, body, **_):
            return merge(live or {}, body)

    class defaults:
        @staticmethod
        def apply(model, obj):
            if model.resource.key == "v1/services":
                spec = obj.setdefault("spec", {})
                spec.setdefault("type", "ClusterIP")
                spec.setdefault("sessionAffinity", "None")
            if model.resource.key == "v1/namespaces":
                obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = obj["metadata"].get("name", "")

    class validation:
        @staticmethod
        def create(model, obj):
            pass

        @staticmethod
        def update(model, obj, old, subresource=""):
            pass

    class tables:
        @staticmethod
        def columns(model):
            return [{"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0}]

        @staticmethod
        def cells(model, obj, now):
            return [obj["metadata"]["name"]]
