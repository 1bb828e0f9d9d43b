"""Whether a CustomResourceDefinition is valid: names, versions, structural schemas, rules that compile.

Yields (kind of problem, path, arguments), where the kind is a method of `Problems` ("required", "invalid", ...): validation of built-in kinds
collects them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kubesim.resources import Object
from kubesim.schema import cel
from kubesim.schema.validating import pattern

Problem = tuple[str, str, tuple[Any, ...]]
LABEL = re.compile("[a-z]([-a-z0-9]*[a-z0-9])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL_MESSAGE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an "
    "alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN_MESSAGE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
TYPES = ("array", "boolean", "integer", "number", "object", "string")
LIST_TYPES = ("atomic", "map", "set")
FORBIDDEN = ("$ref", "definitions", "dependencies", "id", "patternProperties")
IN_VALIDATION = ("default", "nullable", "title", "type", "description", "additionalProperties")
COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")


def problems(crd: Object) -> Iterator[Problem]:
    spec = crd.get("spec") or {}
    names, group = spec.get("names") or {}, spec.get("group") or ""
    name = crd["metadata"].get("name")
    if name and name != f"{names.get('plural', '')}.{group}":
        yield "invalid", "metadata.name", (name, 'must be spec.names.plural+"."+spec.group')
    yield from _group(group)
    scope = spec.get("scope")
    if not scope:
        yield "required", "spec.scope", ()
    elif scope not in ("Cluster", "Namespaced"):
        yield "unsupported", "spec.scope", (scope, ["Cluster", "Namespaced"])
    yield from _versions(spec)
    yield from _names(names)


def _group(group: str) -> Iterator[Problem]:
    if not group:
        yield "required", "spec.group", ()
    elif not SUBDOMAIN.fullmatch(group):
        yield "invalid", "spec.group", (group, SUBDOMAIN_MESSAGE)
    elif "." not in group:
        yield "invalid", "spec.group", (group, "should be a domain with at least one dot")


def _names(names: Object) -> Iterator[Problem]:
    for field in ("plural", "singular", "kind", "listKind"):
        value = names.get(field)
        if not value:
            if field in ("plural", "kind"):
                yield "required", f"spec.names.{field}", ()
        elif not LABEL.fullmatch(value.lower() if field in ("kind", "listKind") else value):
            yield "invalid", f"spec.names.{field}", (value, LABEL_MESSAGE)
    for at, short in enumerate(names.get("shortNames") or ()):
        if not LABEL.fullmatch(short):
            yield "invalid", f"spec.names.shortNames[{at}]", (short, LABEL_MESSAGE)
    if names.get("kind") and names.get("kind") == names.get("listKind"):
        yield "invalid", "spec.names.listKind", (names["listKind"], "kind and listKind may not be the same")


def _versions(spec: Object) -> Iterator[Problem]:
    versions = spec.get("versions") or []
    if not versions:
        yield "required", "spec.versions", ("must have at least one version",)
        return
    seen: set[str] = set()
    for at, version in enumerate(versions):
        here, name = f"spec.versions[{at}]", version.get("name") or ""
        if name in seen:
            yield "invalid", f"{here}.name", (name, "must be unique")
        seen.add(name)
        if not LABEL.fullmatch(name):
            yield "invalid", f"{here}.name", (name, LABEL_MESSAGE)
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema is None:
            yield "required", f"{here}.schema.openAPIV3Schema", ("schemas are required",)
        else:
            yield from _root(schema, f"{here}.schema.openAPIV3Schema")
        yield from _columns(version, here)
        yield from _subresources(version, here)
    if sum(bool(version.get("storage")) for version in versions) != 1:
        yield "invalid", "spec.versions", (versions, "must have exactly one version marked as storage version")


def _columns(version: Object, path: str) -> Iterator[Problem]:
    for at, column in enumerate(version.get("additionalPrinterColumns") or ()):
        here, kinds = f"{path}.additionalPrinterColumns[{at}]", f"must be one of {','.join(COLUMN_TYPES)}"
        if not column.get("name"):
            yield "required", f"{here}.name", ()
        if not column.get("type"):
            yield "required", f"{here}.type", (kinds,)
        elif column["type"] not in COLUMN_TYPES:
            yield "invalid", f"{here}.type", (column["type"], kinds)
        if not column.get("jsonPath"):
            yield "required", f"{here}.jsonPath", ()
        elif not column["jsonPath"].startswith("."):
            yield "invalid", f"{here}.jsonPath", (column["jsonPath"], "must be a json path starting with .")


def _subresources(version: Object, path: str) -> Iterator[Problem]:
    scale = (version.get("subresources") or {}).get("scale")
    if scale is None:
        return
    for field, root in (("specReplicasPath", ".spec"), ("statusReplicasPath", ".status")):
        here = f"{path}.subresources.scale.{field}"
        if not scale.get(field):
            yield "required", here, ()
        elif not scale[field].startswith(f"{root}."):
            yield "invalid", here, (scale[field], f"should be a json path under {root}")


def _root(schema: Object, path: str) -> Iterator[Problem]:
    if not schema.get("type"):
        yield "required", f"{path}.type", ("must not be empty at the root",)
    elif schema["type"] != "object":
        yield "invalid", f"{path}.type", (schema["type"], "must be object at the root")
    if schema.get("nullable"):
        yield "forbidden", f"{path}.nullable", ("nullable cannot be true at the root",)
    yield from _schema(schema, path, root=True)


def _schema(schema: Object, path: str, *, root: bool = False, within: str = "") -> Iterator[Problem]:
    """Structural: every node has a type, and what is forbidden is not there. `within` is the list whose items have no known past, if any."""
    preserve, intstr = schema.get("x-kubernetes-preserve-unknown-fields"), schema.get("x-kubernetes-int-or-string")
    kind = schema.get("type")
    if not kind and not preserve and not intstr and not root:
        yield "required", f"{path}.type", ("must not be empty for specified object fields",)
    if kind and kind not in TYPES:
        yield "unsupported", f"{path}.type", (kind, TYPES)
    if preserve is False:
        yield "invalid", f"{path}.x-kubernetes-preserve-unknown-fields", (False, "must be true or undefined")
    for field in FORBIDDEN:
        if schema.get(field):
            yield "forbidden", f"{path}.{field}", (f"{field} is not supported",)
    if schema.get("uniqueItems"):
        text = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield "forbidden", f"{path}.uniqueItems", (text,)
    if schema.get("properties") and schema.get("additionalProperties"):
        text = "additionalProperties and properties are mutual exclusive"
        yield "forbidden", f"{path}.additionalProperties", (text,)
    if "pattern" in schema and pattern(schema["pattern"]) is None:
        yield "invalid", f"{path}.pattern", (schema["pattern"], "must be a valid regular expression")
    yield from _list(schema, path)
    yield from _rules(schema, path, within)
    yield from _below(schema, path, within)


def _below(schema: Object, path: str, within: str) -> Iterator[Problem]:
    for name, inner in (schema.get("properties") or {}).items():
        yield from _schema(inner, f"{path}.properties[{name}]", within=within)
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _schema(schema["additionalProperties"], f"{path}.additionalProperties", within=within)
    if isinstance(schema.get("items"), dict):
        paired = schema.get("x-kubernetes-list-type") == "map"
        yield from _schema(schema["items"], f"{path}.items", within=within or ("" if paired else f"{path}.items"))
    elif isinstance(schema.get("items"), list):
        yield "forbidden", f"{path}.items", ("items must be a schema object and not an array",)
    elif schema.get("type") == "array":
        yield "required", f"{path}.items", ("must be specified",)
    intstr = bool(schema.get("x-kubernetes-int-or-string"))
    for kind in ("allOf", "anyOf", "oneOf"):
        for at, part in enumerate(schema.get(kind) or ()):
            yield from _validation_only(part, f"{path}.{kind}[{at}]", intstr=intstr)
    if schema.get("not"):
        yield from _validation_only(schema["not"], f"{path}.not", intstr=False)


def _validation_only(schema: Object, path: str, *, intstr: bool) -> Iterator[Problem]:
    """Inside allOf and the like only values are validated; structure stands outside."""
    for field in IN_VALIDATION:
        if schema.get(field) and not (intstr and field == "type"):
            yield "forbidden", f"{path}.{field}", ("must be empty to be structural",)
    for name, inner in (schema.get("properties") or {}).items():
        yield from _validation_only(inner, f"{path}.properties[{name}]", intstr=intstr)


def _list(schema: Object, path: str) -> Iterator[Problem]:
    kind = schema.get("x-kubernetes-list-type")
    if kind is None:
        return
    if schema.get("type") != "array":
        text = "must be array if x-kubernetes-list-type is specified"
        yield "invalid", f"{path}.type", (schema.get("type", ""), text)
    if kind not in LIST_TYPES:
        yield "unsupported", f"{path}.x-kubernetes-list-type", (kind, LIST_TYPES)
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    if kind == "map" and not keys:
        text = "must not be empty if x-kubernetes-list-type is map"
        yield "required", f"{path}.x-kubernetes-list-map-keys", (text,)
    items = schema.get("items") or {}
    properties = items.get("properties") or {}
    for at, key in enumerate(keys):
        if key not in properties:
            text = "entries must all be names of item properties"
            yield "invalid", f"{path}.x-kubernetes-list-map-keys[{at}]", (key, text)
        elif key not in (items.get("required") or ()) and "default" not in properties[key]:
            text = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            yield "required", f"{path}.items.properties[{key}].default", (text,)


def _rules(schema: Object, path: str, within: str) -> Iterator[Problem]:
    """What is wrong with a level's rules. A rule whose names mean nothing here is refused now, not with the first object."""
    for at, rule in enumerate(schema.get(cel.RULES) or ()):
        here, text = f"{path}.x-kubernetes-validations[{at}]", rule.get("rule") or ""
        if not text.strip():
            yield "required", f"{here}.rule", ("rule is not specified",)
            continue
        yield from _compiled(text, f"{here}.rule")
        if within and cel.uses_old(text):
            why = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {within}"
            yield "invalid", f"{here}.rule", (text, why)
        if message := rule.get("messageExpression"):
            yield from _compiled(message, f"{here}.messageExpression")


def _compiled(text: str, path: str) -> Iterator[Problem]:
    try:
        unknown = cel.undeclared(text)
    except cel.RuleError as error:
        yield "invalid", path, (text, f"compilation failed: {error}")
        return
    if unknown:
        named = ", ".join(f"'{name}'" for name in unknown)
        yield (
            "invalid",
            path,
            (text, f"compilation failed: undeclared reference to {named} (not in this cluster's CEL)"),
        )
