"""Reading objects as Go does: wrong types, unknown and duplicate fields, what disappears and what appears."""

from __future__ import annotations

from typing import Any

import pytest

from kubesim.builtin import resources
from kubesim.errors import BadRequest
from kubesim.resources import Object, Registry
from kubesim.schema import Model, Schemas, duplicates

SCHEMAS, REGISTRY = Schemas(), Registry(resources())


def model(key: str) -> Model:
    return SCHEMAS.of(REGISTRY[key])


def deployment(**spec: Any) -> Object:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}


def pod(**container: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", **container}]},
    }


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            deployment(replicas="two"),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            deployment(replicas=1.5),
            "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            deployment(replicas=1 << 40),
            f"json: cannot unmarshal number {1 << 40} into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            deployment(paused="yes"),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.paused of type bool",
        ),
        (
            deployment(template=[]),
            "json: cannot unmarshal array into Go struct field DeploymentSpec.spec.template of type v1.PodTemplateSpec",
        ),
    ],
)
def test_wrong_types_are_refused_in_gos_words(body: Object, said: str) -> None:
    with pytest.raises(BadRequest) as refused:
        model("apps/v1/deployments").decode(body)
    assert refused.value.message == f'Deployment in version "v1" cannot be handled as a Deployment: {said}'


def test_a_bad_quantity_and_bad_base64_are_refused() -> None:
    with pytest.raises(BadRequest, match="quantities must match the regular expression"):
        model("v1/pods").decode(pod(resources={"limits": {"cpu": "much"}}))
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"k": "***"}}
    with pytest.raises(BadRequest, match="illegal base64 data at input byte 0"):
        model("v1/secrets").decode(secret)


def test_values_take_their_canonical_form() -> None:
    read = model("v1/pods").decode(pod(resources={"limits": {"cpu": "1000m", "memory": 1024}}))
    assert read["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "1", "memory": "1024"}}
    lease = {"metadata": {"name": "l"}, "spec": {"renewTime": "2026-01-01T02:00:00+01:00"}}
    assert model("coordination.k8s.io/v1/leases").decode(lease)["spec"]["renewTime"] == "2026-01-01T01:00:00.000000Z"


def test_what_omitempty_hides_goes_and_structs_appear() -> None:
    body = pod(env=[], stdin=False, image="", command=None)
    body["spec"] |= {
        "hostNetwork": False,
        "volumes": [{"name": "v", "emptyDir": {}}],
        "securityContext": {},
        "nodeSelector": {},
    }
    read = model("v1/pods").decode(body)
    assert read["spec"] == {
        "containers": [{"name": "c", "resources": {}}],
        "volumes": [{"name": "v", "emptyDir": {}}],
        "securityContext": {},
    }
    assert read["status"] == {}


def test_pointers_keep_their_zero() -> None:
    read = model("apps/v1/deployments").decode(deployment(replicas=0, minReadySeconds=0, revisionHistoryLimit=0))
    assert read["spec"]["replicas"] == 0
    assert read["spec"]["revisionHistoryLimit"] == 0
    assert "minReadySeconds" not in read["spec"]


def test_unknown_fields_are_named_with_their_path() -> None:
    kind = model("v1/pods")
    body = pod(imagee="x") | {"specc": 1}
    assert kind.unknown_fields(body) == ['unknown field "spec.containers[0].imagee"', 'unknown field "specc"']
    assert kind.strict_error(['unknown field "dataa"']).message == (
        'Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "dataa"'
    )
    assert "imagee" not in kind.decode(body)["spec"]["containers"][0]


def test_keys_of_maps_are_not_fields() -> None:
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c", "labels": {"x": "y"}},
        "data": {"z": "1"},
    }
    assert model("v1/configmaps").unknown_fields(body) == []


def test_duplicate_fields_are_found() -> None:
    raw = b'{"a": 1, "b": {"c": 1, "c": 2}, "d": [{"e": 1, "e": 1, "e": 3}], "a": 2}'
    assert duplicates(raw) == ['duplicate field "b.c"', 'duplicate field "d[0].e"', 'duplicate field "a"']


@pytest.mark.parametrize(
    "resource", [each for each in resources() if each.group != "metrics.k8s.io"], ids=lambda each: each.key
)
def test_every_kind_reads_an_empty_object(resource: Any) -> None:
    kind = SCHEMAS.of(resource)
    body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": "x"}}
    read = kind.decode(body)
    assert read["metadata"] == {"name": "x"}
    assert kind.decode(read) == read
