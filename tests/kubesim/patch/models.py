"""Models for the tests of patches: built-in kinds by key, and a custom kind with granular and atomic parts."""

from __future__ import annotations

from kubesim.builtin import resources
from kubesim.resources import Object, Registry, Resource
from kubesim.schema import Model, Schemas

REGISTRY = Registry(resources())
SCHEMAS = Schemas()
NOW, LATER = "2026-11-22T02:22:25Z", "2026-11-22T02:22:26Z"
WIDGETS = Resource(
    "example.com", "v1", "widgets", "Widget", custom=True, subresources=(("status", ("get", "patch", "update")),)
)
SCHEMA: Object = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "size": {"type": "integer"},
                "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
                "plain": {"type": "array", "items": {"type": "string"}},
                "parts": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {"name": {"type": "string"}, "value": {"type": "string"}},
                    },
                },
                "whole": {
                    "type": "object",
                    "x-kubernetes-map-type": "atomic",
                    "additionalProperties": {"type": "string"},
                },
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            },
        },
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}


def model(key: str) -> Model:
    return SCHEMAS.of(REGISTRY[key])


def widgets() -> Model:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": SCHEMA}}
    SCHEMAS.add(WIDGETS, {"spec": {"versions": [version]}})
    return SCHEMAS.of(WIDGETS)


def widget(**spec: object) -> Object:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "n"}, "spec": spec}


def config_map(**data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n"}, "data": data}


def deployment(*containers: Object) -> Object:
    pod = {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": list(containers)}}
    selector, strategy = {"matchLabels": {"app": "d"}}, {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}
    spec = {"replicas": 1, "selector": selector, "template": pod, "strategy": strategy}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "n"}, "spec": spec}


def entries(obj: Object) -> dict[tuple[str, str], Object]:
    """managedFields by manager and operation."""
    return {(each["manager"], each["operation"]): each["fieldsV1"] for each in obj["metadata"].get("managedFields", ())}
