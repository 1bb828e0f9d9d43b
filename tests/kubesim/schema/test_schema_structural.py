"""Custom kinds: pruning, defaults, validation messages, CEL, and whether a definition is valid."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kubesim.admission import defaults, validation
from kubesim.admission.validation.fields import Problems
from kubesim.builtin import resources
from kubesim.errors import Invalid
from kubesim.resources import Object, Registry, Resource
from kubesim.schema import Model, Schemas, definitions

OWNER = {
    "type": "object",
    "required": ["kind", "name"],
    "properties": {
        "kind": {"type": "string", "enum": ["User", "Group", "ServiceAccount"]},
        "name": {"type": "string", "minLength": 1},
    },
}


def kind(**properties: Any) -> Model:
    """A Profile whose spec has these properties; `rules` are CEL rules of the spec, `required` its required fields."""
    spec: Object = {
        "type": "object",
        "x-kubernetes-validations": properties.pop("rules", []),
        "required": properties.pop("required", []),
    }
    spec["properties"] = properties
    root = {"type": "object", "required": ["spec"], "properties": {"spec": spec}}
    crd = {"spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": root}}]}}
    resource = Resource("kubeflow.org", "v1", "profiles", "Profile", namespaced=False, custom=True)
    schemas = Schemas()
    schemas.add(resource, crd)
    assert schemas.crd(resource) is crd
    return schemas.of(resource)


def profile(**spec: Any) -> Object:
    return {"apiVersion": "kubeflow.org/v1", "kind": "Profile", "metadata": {"name": "p"}, "spec": spec}


def refusal(model: Model, obj: Object, old: Object | None = None) -> str:
    """What is said of an object, without its name; "" where it is taken."""
    try:
        if old is None:
            validation.create(model, obj)
        else:
            validation.update(model, obj, old)
    except Invalid as error:
        return error.message.removeprefix('Profile.kubeflow.org "p" is invalid: ')
    return ""


def test_unknown_fields_are_pruned_and_told() -> None:
    model = kind(owner=OWNER, free={"type": "object", "x-kubernetes-preserve-unknown-fields": True})
    body = profile(owner={"kind": "User", "name": "a", "x": 1}, nope=1, free={"anything": [1]}) | {"more": 1}
    assert model.decode(body)["spec"] == {"owner": {"kind": "User", "name": "a"}, "free": {"anything": [1]}}
    assert model.unknown_fields(body) == [
        'unknown field "more"',
        'unknown field "spec.nope"',
        'unknown field "spec.owner.x"',
    ]


def test_defaults_are_filled_in_from_outside_in() -> None:
    nested = {"type": "object", "default": {}, "properties": {"deep": {"type": "integer", "default": 3}}}
    listed = {"type": "array", "items": {"type": "object", "properties": {"on": {"type": "boolean", "default": True}}}}
    model = kind(tier={"type": "string", "default": "student"}, nested=nested, listed=listed)
    obj = model.decode(profile(listed=[{}, {"on": False}], tier=None))
    defaults.apply(model, obj)
    assert obj["spec"] == {"tier": "student", "nested": {"deep": 3}, "listed": [{"on": True}, {"on": False}]}


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        (
            OWNER,
            {"kind": "Robot", "name": "x"},
            'spec.x.kind: Unsupported value: "Robot": supported values: "User", "Group", "ServiceAccount"',
        ),
        (OWNER, {"kind": "User"}, "spec.x.name: Required value"),
        (
            OWNER,
            {"kind": "User", "name": 5},
            'spec.x.name: Invalid value: "integer": spec.x.name in body must be of type string: "integer"',
        ),
        (
            OWNER,
            {"kind": "User", "name": ""},
            'spec.x.name: Invalid value: "": spec.x.name in body should be at least 1 chars long',
        ),
        (
            {"type": "integer", "minimum": 1},
            0,
            "spec.x: Invalid value: 0: spec.x in body should be greater than or equal to 1",
        ),
        (
            {"type": "integer", "maximum": 9, "exclusiveMaximum": True},
            9,
            "spec.x: Invalid value: 9: spec.x in body should be less than 9",
        ),
        ({"type": "integer", "multipleOf": 3}, 4, "spec.x: Invalid value: 4: spec.x in body should be a multiple of 3"),
        (
            {"type": "string", "pattern": "^a+$"},
            "b",
            "spec.x: Invalid value: \"b\": spec.x in body should match '^a+$'",
        ),
        ({"type": "string", "maxLength": 2}, "abc", "spec.x: Too long: may not be more than 2 bytes"),
        (
            {"type": "string", "format": "date-time"},
            "soon",
            'spec.x: Invalid value: "soon": spec.x in body must be of type date-time: "soon"',
        ),
        (
            {"type": "array", "maxItems": 1, "items": {"type": "string"}},
            ["a", "b"],
            "spec.x: Too many: 2: must have at most 1 items",
        ),
        (
            {"type": "array", "minItems": 1, "items": {"type": "string"}},
            [],
            "spec.x: Invalid value: 0: spec.x in body should have at least 1 items",
        ),
        (
            {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            ["a", "a"],
            'spec.x[1]: Duplicate value: "a"',
        ),
        (
            {"x-kubernetes-int-or-string": True},
            True,
            'spec.x: Invalid value: "boolean": spec.x in body must be of type integer,string: "boolean"',
        ),
        ({"type": "string"}, None, 'spec.x: Invalid value: "null": spec.x in body must be of type string: "null"'),
    ],
)
def test_values_are_refused_in_kubernetes_words(schema: Object, value: Any, said: str) -> None:
    assert refusal(kind(x=schema), profile(x=value)) == said


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "nullable": True}, None),
        ({"x-kubernetes-int-or-string": True}, 5),
        ({"x-kubernetes-int-or-string": True}, "5%"),
        ({"type": "number"}, 5),
        ({"type": "integer"}, 5.0),
        ({"type": "object", "additionalProperties": {"type": "string"}}, {"a": "b"}),
        ({"type": "string", "format": "unheard-of"}, "x"),
    ],
)
def test_values_that_fit_are_taken(schema: Object, value: Any) -> None:
    assert refusal(kind(x=schema), profile(x=value)) == ""


def test_alternatives() -> None:
    either = {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
    }
    model = kind(x=either)
    assert refusal(model, profile(x={"a": "1"})) == ""
    assert '"spec.x" must validate one and only one schema (oneOf). Found none valid' in refusal(model, profile(x={}))
    assert "Found 2 valid alternatives" in refusal(model, profile(x={"a": "1", "b": "1"}))
    never = kind(x={"type": "integer", "not": {"enum": [3]}})
    assert refusal(never, profile(x=3)) == 'spec.x: Invalid value: "": "spec.x" must not validate the schema (not)'


NUMBERS = {"low": {"type": "integer"}, "high": {"type": "integer"}, "name": {"type": "string"}}


def test_rules_see_the_object() -> None:
    model = kind(**NUMBERS, rules=[{"rule": "self.low <= self.high", "message": "low must not be above high"}])
    assert refusal(model, profile(low=1, high=2)) == ""
    assert refusal(model, profile(low=3, high=2)) == 'spec: Invalid value: "object": low must not be above high'


def test_a_rule_without_message_is_quoted_and_may_make_its_own() -> None:
    assert (
        refusal(kind(**NUMBERS, rules=[{"rule": "self.low > 5"}]), profile(low=1))
        == 'spec: Invalid value: "object": failed rule: self.low > 5'
    )
    own = {
        "rule": "self.low > 5",
        "messageExpression": "'low is ' + string(self.low)",
        "reason": "FieldValueForbidden",
        "fieldPath": ".low",
    }
    assert refusal(kind(**NUMBERS, rules=[own]), profile(low=1)) == "spec.low: Forbidden: low is 1"


def test_transition_rules_need_an_old_object() -> None:
    model = kind(
        name={"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "is immutable"}]}
    )
    assert refusal(model, profile(name="a")) == ""
    assert refusal(model, profile(name="b"), profile(name="a")) == 'spec.name: Invalid value: "string": is immutable'
    assert refusal(model, profile(name="a"), profile(name="a")) == ""


def test_an_optional_old_value_is_there_for_new_objects_too() -> None:
    rule = {"rule": "oldSelf.hasValue() ? self >= oldSelf.value() : self == 1", "optionalOldSelf": True}
    model = kind(level={"type": "integer", "x-kubernetes-validations": [rule | {"message": "one step at a time"}]})
    assert refusal(model, profile(level=1)) == ""
    assert refusal(model, profile(level=2)) == 'spec.level: Invalid value: "integer": one step at a time'
    assert refusal(model, profile(level=3), profile(level=2)) == ""
    assert refusal(model, profile(level=1), profile(level=2)) != ""


def test_rules_wait_until_the_form_is_right() -> None:
    model = kind(**NUMBERS, rules=[{"rule": "self.low <= self.high"}])
    assert "some validation rules were not checked because the object was invalid" in refusal(
        model, profile(low="x", high=1)
    )


def test_fields_that_cel_cannot_name_are_escaped() -> None:
    model = kind(
        **{"namespace": {"type": "string"}, "a-b": {"type": "string"}},
        rules=[{"rule": "self.__namespace__ == self.a__dash__b"}],
    )
    assert refusal(model, profile(**{"namespace": "x", "a-b": "x"})) == ""
    assert refusal(model, profile(**{"namespace": "x", "a-b": "y"})) != ""


def definition(**changes: Any) -> Object:
    schema = changes.pop("schema", {"type": "object", "properties": {"spec": {"type": "object"}}})
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    spec: Object = {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget", "singular": "widget", "listKind": "WidgetList"},
        "versions": [version],
    }
    return {"metadata": {"name": "widgets.example.com"}, "spec": spec | changes}


def found(crd: Object) -> list[str]:
    problems = Problems()
    for kind_of, path, arguments in definitions.problems(crd):
        getattr(problems, kind_of)(path, *arguments)
    return [f"{each.field}: {each.message}" for each in problems]


SPEC = "spec.versions[0].schema.openAPIV3Schema"


@pytest.mark.parametrize(
    ("crd", "said"),
    [
        (
            definition(group="other.com"),
            'metadata.name: Invalid value: "widgets.example.com": must be spec.names.plural+"."+spec.group',
        ),
        (
            definition(scope="World"),
            'spec.scope: Unsupported value: "World": supported values: "Cluster", "Namespaced"',
        ),
        (definition(versions=[]), "spec.versions: Required value: must have at least one version"),
        (definition(schema={"type": "string"}), f'{SPEC}.type: Invalid value: "string": must be object at the root'),
        (
            definition(schema={"type": "object", "properties": {"a": {}}}),
            f"{SPEC}.properties[a].type: Required value: must not be empty for specified object fields",
        ),
        (
            definition(schema={"type": "object", "properties": {"a": {"type": "array"}}}),
            f"{SPEC}.properties[a].items: Required value: must be specified",
        ),
        (
            definition(schema={"type": "object", "anyOf": [{"type": "object"}]}),
            f"{SPEC}.anyOf[0].type: Forbidden: must be empty to be structural",
        ),
    ],
)
def test_invalid_definitions_are_refused(crd: Object, said: str) -> None:
    assert said in found(crd)


def test_a_rule_must_compile() -> None:
    schema = {"type": "object", "x-kubernetes-validations": [{"rule": "self.a >"}]}
    assert any("compilation failed" in each for each in found(definition(schema=schema)))


@pytest.mark.parametrize(
    ("rule", "unknown"),
    [
        ("quantity(self.size).isGreaterThan(quantity('1Gi'))", "'isGreaterThan', 'quantity'"),
        ("sel.size == 1", "'sel'"),
        ("self.a.all(x, x > y)", "'y'"),
        ("math.greatest(self.a, 1) == 1", "'greatest', 'math'"),
        ("self.a.all(x, x > 1) && size(self.b) == 2 && type(self.c) == int && self.d.matches('^a') && has(self.e)", ""),
        ("self.f.exists_one(k, k == 'a') && self.g.map(v, v > 1, v * 2).sum() > 3 && isURL(self.h.trim())", ""),
        ("timestamp(self.i).getFullYear() > 2020 && duration('1h') > duration('1m') && self.j in [1, -2]", ""),
    ],
)
def test_names_that_a_rule_cannot_know_are_refused_with_the_definition(rule: str, unknown: str) -> None:
    schema = {"type": "object", "x-kubernetes-validations": [{"rule": rule, "messageExpression": rule}]}
    said = [each for each in found(definition(schema=schema)) if "undeclared reference to" in each]
    assert len(said) == (2 if unknown else 0)
    assert all(f"undeclared reference to {unknown} " in each for each in said)


@pytest.mark.parametrize(("kind_of", "refused"), [("atomic", True), ("set", True), ("map", False)])
def test_a_transition_rule_needs_items_that_can_be_told_apart(kind_of: str, refused: bool) -> None:
    item = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "size": {"type": "integer"}},
        "required": ["name"],
    }
    item["properties"]["size"]["x-kubernetes-validations"] = [{"rule": "self >= oldSelf"}]  # type: ignore[index]
    parts: Object = {"type": "array", "items": item, "x-kubernetes-list-type": kind_of}
    if kind_of == "map":
        parts["x-kubernetes-list-map-keys"] = ["name"]
    said = found(definition(schema={"type": "object", "properties": {"parts": parts}}))
    assert any("uncorrelatable portion of the schema within" in each for each in said) == refused, said


def test_a_valid_definition_is_taken() -> None:
    assert found(definition()) == []
    model = Schemas().of(Registry(resources())["apiextensions.k8s.io/v1/customresourcedefinitions"])
    crd = model.decode(definition())
    defaults.apply(model, crd)
    kept = copy.deepcopy(crd)
    validation.create(model, crd)
    assert crd == kept
    assert crd["spec"]["conversion"] == {"strategy": "None"}
    assert crd["status"] == {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": ["v1"]}
