"""OpenAPI documents: everything referred to is there, and what kubectl looks for is where it looks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kubesim.builtin import resources
from kubesim.resources import Object, Resource
from kubesim.schema import Model, Schemas, openapi

SCHEMAS = Schemas()
PROFILES = Resource("kubeflow.org", "v1", "profiles", "Profile", namespaced=False, custom=True, list_kind="ProfileList")
CRD: Object = {
    "spec": {
        "versions": [
            {
                "name": "v1",
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "description": "Profile is a tenant.",
                        "properties": {
                            "spec": {"type": "object", "properties": {"size": {"type": "integer", "default": 1}}}
                        },
                    }
                },
            }
        ]
    }
}


@pytest.fixture(scope="module")
def models() -> list[Model]:
    SCHEMAS.add(PROFILES, CRD)
    return [*(SCHEMAS.of(resource) for resource in resources()), SCHEMAS.of(PROFILES)]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for child in value.values():
            yield from references(child)
    elif isinstance(value, list):
        for child in value:
            yield from references(child)


def test_every_document_is_complete(models: list[Model]) -> None:
    index = openapi.v3_index(models)["paths"]
    assert {"api/v1", "apis/apps/v1", "apis/kubeflow.org/v1"} <= set(index)
    for path, entry in index.items():
        assert entry["serverRelativeURL"].startswith(f"/openapi/v3/{path}?hash=")
        document = openapi.v3(models, path)
        assert document is not None
        names = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
        assert set(references(document)) <= names
    assert openapi.v3(models, "apis/none/v1") is None


def test_operation_ids_are_unique(models: list[Model]) -> None:
    for path in openapi.v3_index(models)["paths"]:
        document = openapi.v3(models, path) or {}
        ids = [
            each["operationId"]
            for item in document["paths"].values()
            for verb, each in item.items()
            if verb != "parameters"
        ]
        assert len(ids) == len(set(ids))


def test_explain_finds_a_kind_and_its_descriptions(models: list[Model]) -> None:
    document = openapi.v3(models, "apis/apps/v1") or {}
    read = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["get"]
    gvk = read["x-kubernetes-group-version-kind"]
    assert gvk == {"group": "apps", "kind": "Deployment", "version": "v1"}
    schema = next(
        each
        for each in document["components"]["schemas"].values()
        if gvk in each.get("x-kubernetes-group-version-kind", ())
    )
    assert schema["description"].startswith("Deployment enables declarative updates")
    spec = document["components"]["schemas"]["io.k8s.api.apps.v1.DeploymentSpec"]
    assert "template" in spec["required"]
    assert spec["properties"]["replicas"]["format"] == "int32"
    assert spec["properties"]["template"]["description"]


def test_a_patch_takes_the_parameters_that_kubectl_looks_for(models: list[Model]) -> None:
    document = openapi.v3(models, "api/v1") or {}
    operation = document["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"]
    assert {"dryRun", "fieldManager", "fieldValidation", "force"} <= {each["name"] for each in operation["parameters"]}
    assert operation["x-kubernetes-action"] == "patch"


def test_merge_strategies_are_published(models: list[Model]) -> None:
    document = openapi.v3(models, "api/v1") or {}
    containers = document["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-patch-strategy"] == "merge"
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    assert containers["x-kubernetes-list-map-keys"] == ["name"]


def test_a_custom_kind_is_documented_as_defined(models: list[Model]) -> None:
    document = openapi.v3(models, "apis/kubeflow.org/v1") or {}
    schema = document["components"]["schemas"]["org.kubeflow.v1.Profile"]
    assert schema["description"] == "Profile is a tenant."
    assert schema["properties"]["spec"]["properties"]["size"] == {"type": "integer", "default": 1}
    assert schema["properties"]["metadata"]["allOf"][0]["$ref"].endswith("ObjectMeta")
    assert "application/strategic-merge-patch+json" not in str(document["paths"])


def test_version_two_is_one_document(models: list[Model]) -> None:
    document = openapi.v2(models)
    assert set(references(document)) <= {f"#/definitions/{name}" for name in document["definitions"]}
    assert document["swagger"] == "2.0"
    assert "io.k8s.api.core.v1.PodList" in document["definitions"]
    assert document["definitions"]["org.kubeflow.v1.Profile"]["properties"]["spec"]["properties"]["size"] == {
        "type": "integer"
    }
