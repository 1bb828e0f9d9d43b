"""The import seam to what another engineer lands; goes once it has."""
# ruff: noqa
# mypy: ignore-errors

from __future__ import annotations

from kubesim import patch as patch
from kubesim.admission import defaults as defaults
from kubesim.schema import Model as Model
from kubesim.schema import Schemas as Schemas
from kubesim.schema import duplicates as duplicates

try:
    from kubesim.admission import validation as validation

    validation.create
except (ImportError, AttributeError):

    class validation:
        @staticmethod
        def create(model, obj):
            pass

        @staticmethod
        def update(model, obj, old, subresource=""):
            pass


try:
    from kubesim import tables as tables

    tables.columns
except (ImportError, AttributeError):

    class tables:
        @staticmethod
        def columns(model):
            return [{"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0}]

        @staticmethod
        def cells(model, obj, now):
            return [obj["metadata"]["name"]]
