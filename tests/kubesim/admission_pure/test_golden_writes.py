"""What a real Kubernetes 1.36 made of created objects: defaults, what `omitempty` hides, who owns which field, and how it refused others.

`creates.json` and `refused.json` are recorded answers, without what every run makes anew (ids, times, addresses).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kubesim import patch
from kubesim.admission import defaults, validation
from kubesim.builtin import resources
from kubesim.errors import Invalid
from kubesim.resources import Registry
from kubesim.schema import Model, Schemas

HERE = Path(__file__).parent
CREATES: list[dict[str, Any]] = json.loads((HERE / "creates.json").read_text())
REFUSED: list[dict[str, Any]] = json.loads((HERE / "refused.json").read_text())


def model(key: str) -> Model:
    return Schemas().of(Registry(resources())[key])


@pytest.mark.parametrize("case", CREATES, ids=[case["case"] for case in CREATES])
def test_a_created_object_is_kept_as_kubernetes_keeps_it(case: dict[str, Any]) -> None:
    kind = model(case["resource"])
    assert kind.unknown_fields(case["sent"]) == []
    obj = kind.decode(case["sent"])
    defaults.apply(kind, obj)
    patch.track_update(kind, None, obj, manager="test", now="2026-11-22T02:22:19Z")
    managed = obj["metadata"].pop("managedFields", [])
    assert [entry["fieldsV1"] for entry in managed] == ([case["owned"]] if case["owned"] else [])
    obj.pop("status", None)
    obj["metadata"].pop("namespace", None)
    if case["case"].startswith("workloads"):
        obj["metadata"].pop("finalizers", None)
    assert obj == case["kept"]
    if kind.resource.namespaced:
        obj["metadata"]["namespace"] = "team"
    validation.create(kind, obj)


@pytest.mark.parametrize("case", CREATES, ids=[case["case"] for case in CREATES])
def test_reading_again_what_was_kept_changes_nothing(case: dict[str, Any]) -> None:
    kind = model(case["resource"])
    obj = kind.decode(case["kept"])
    defaults.apply(kind, obj)
    again = kind.decode(obj)
    defaults.apply(kind, again)
    assert again == obj


@pytest.mark.parametrize("case", REFUSED, ids=[case["case"] for case in REFUSED])
def test_an_invalid_object_is_refused_with_kubernetes_words(case: dict[str, Any]) -> None:
    kind = model(case["resource"])
    obj = kind.decode(case["sent"])
    defaults.apply(kind, obj)
    obj["metadata"]["namespace"] = "team"
    with pytest.raises(Invalid) as refused:
        validation.create(kind, obj)
    assert refused.value.message == case["message"]
    assert refused.value.details == case["details"]
