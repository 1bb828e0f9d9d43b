"""Make the tables this package ships: `python -m kubesim.schema.generate [--patch-keys FILE]`.

Structure (which fields, of which type, required or not) and descriptions come from the Python models of the Kubernetes API, which are made of
Kubernetes's own OpenAPI document; a package's import costs seconds and a hundred megabytes, a table a few milliseconds. What that document
does not say for Python (how lists merge, which structs are atomic, which are Go values rather than pointers, 64-bit integers, bytes) is
read from the present tables' `patch-keys` (or a fresh file of them) and from `kubesim.schema.gofacts`.

Needs the packages `kubernetes` and `lightkube-models`; the server needs neither.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kubesim.schema import gofacts

HERE = Path(__file__).parent
GROUPS = {
    "core": "",
    "apps": "apps",
    "batch": "batch",
    "autoscaling": "autoscaling",
    "policy": "policy",
    "networking": "networking.k8s.io",
    "rbac": "rbac.authorization.k8s.io",
    "storage": "storage.k8s.io",
    "events": "events.k8s.io",
    "discovery": "discovery.k8s.io",
    "coordination": "coordination.k8s.io",
    "certificates": "certificates.k8s.io",
    "authentication": "authentication.k8s.io",
    "authorization": "authorization.k8s.io",
    "admissionregistration": "admissionregistration.k8s.io",
    "scheduling": "scheduling.k8s.io",
    "node": "node.k8s.io",
    "flowcontrol": "flowcontrol.apiserver.k8s.io",
    "resource": "resource.k8s.io",
    "apiextensions": "apiextensions.k8s.io",
    "apiregistration": "apiregistration.k8s.io",
    "meta": "meta.k8s.io",
}
PREFIXES = {
    "meta": "apimachinery.pkg.apis.meta.",
    "apiextensions": "apiextensions-apiserver.pkg.apis.apiextensions.",
    "apiregistration": "kube-aggregator.pkg.apis.apiregistration.",
}
SCALARS = {
    "str": "string",
    "int": "int32",
    "bool": "bool",
    "float": "double",
    "Any": "any",
    "Dict": "any",
    "dict": "any",
    "object": "any",
}
NAMED = {
    "resource.Quantity": "quantity",
    "util_intstr.IntOrString": "intstr",
    "meta_v1.Time": "time",
    "Time": "time",
    "meta_v1.MicroTime": "microtime",
    "MicroTime": "microtime",
    "runtime.RawExtension": "any",
    "meta_v1.FieldsV1": "any",
    "FieldsV1": "any",
    "meta_v1.Patch": "any",
    "JSON": "any",
    "JSONSchemaPropsOrArray": "any",
    "JSONSchemaPropsOrBool": "any",
    "CustomResourceSubresourceStatus": "any",
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Make kubesim's schema tables.")
    parser.add_argument("--patch-keys", type=Path, help="merge strategies, as a cluster's OpenAPI document gives them")
    args = parser.parse_args()
    keys = json.loads(args.patch_keys.read_text()) if args.patch_keys else _present_keys()
    modules = list(_modules())
    nodes = {name: node for _, node, name in modules}
    types = {name: _type(name, node, module, keys) for module, node, name in modules}
    kinds = {gvk: name for module, node, name in modules for gvk in _kind(module, node)}
    types.update(gofacts.METRICS_TYPES)
    kinds.update(gofacts.METRICS_KINDS)
    _drop_unserved(types)
    kept = _reachable(types, [*kinds.values(), *gofacts.EXTRA_TYPES])
    _write("types.json", {"kinds": kinds, "types": {name: types[name] for name in types if name in kept}})
    _write("docs.json", {name: _docs(name, types[name], nodes.get(name)) for name in types if name in kept})
    return 0


def _present_keys() -> dict[str, Any]:
    """The merge strategies of the tables as they are, so that a new version of the models needs no cluster."""
    table = json.loads((HERE / "types.json").read_text())["types"]
    return {
        name: {field: spec.get("keys", {}) for field, spec in each["fields"].items()} for name, each in table.items()
    }


def _modules() -> Iterator[tuple[str, ast.ClassDef, str]]:
    spec = find_spec("lightkube.models")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    for path in sorted(Path(next(iter(spec.submodule_search_locations))).glob("*_v?.py")):
        group, version = path.stem.rsplit("_", 1)
        if group not in GROUPS:
            continue
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                yield path.stem, node, f"{PREFIXES.get(group, f'{group}.')}{version}.{node.name}"


def _kind(module: str, node: ast.ClassDef) -> Iterator[str]:
    names = {
        each.target.id for each in node.body if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
    }
    group, version = module.rsplit("_", 1)
    if {"apiVersion", "kind", "metadata"} <= names and group != "meta" and not node.name.endswith("List"):
        yield f"{GROUPS[group]}/{version}/{node.name}".lstrip("/")


def _type(name: str, node: ast.ClassDef, module: str, keys: dict[str, Any]) -> dict[str, Any]:
    fields = {}
    for each in node.body:
        if (
            isinstance(each, ast.AnnAssign)
            and isinstance(each.target, ast.Name)
            and isinstance(each.annotation, ast.Constant)
        ):
            json_name = _json_name(each.value) or each.target.id
            fields[json_name] = _field(name, json_name, _annotation(name, json_name, each.annotation.value), module) | (
                {"keys": keys[name][json_name]} if keys.get(name, {}).get(json_name) else {}
            )
    return {"fields": fields} | ({"atomic": True} if name in gofacts.ATOMIC_STRUCTS else {})


def _annotation(name: str, field: str, annotation: object) -> str:
    """The one model's annotation, except for maps, whose element type only the other one gives."""
    optional = "Optional[{}]" if str(annotation).startswith("Optional[") else "{}"
    model = _model(name) if str(annotation) in ("dict", "Optional[dict]") else None
    if model is None:
        return str(annotation)
    python = {json_name: attribute for attribute, json_name in model.attribute_map.items()}[field]
    found = re.fullmatch(r"[dD]ict[\[(]str, ?(.*)[\])]", model.openapi_types[python])
    inner = "resource.Quantity" if field in gofacts.QUANTITY_MAPS else found.group(1) if found else "object"
    return optional.format(f"Dict[str, {gofacts.MAP_VALUES.get(inner, inner.removeprefix('V1'))}]")


def _json_name(value: ast.expr | None) -> str:
    if isinstance(value, ast.Call):
        for keyword in value.keywords:
            if keyword.arg == "metadata":
                return str(ast.literal_eval(keyword.value)["json"])
    return ""


def _field(owner: str, name: str, annotation: str, module: str) -> dict[str, Any]:
    optional = annotation.startswith("Optional[")
    kind = _translate(annotation[9:-1] if optional else annotation, module)
    if name in gofacts.INT64 and kind == "int32":
        kind = "int64"
    kind = gofacts.TYPE_OVERRIDES.get(f"{owner}.{name}", kind)
    field: dict[str, Any] = {"type": kind}
    if not optional:
        field["required"] = True
    if f"{owner}.{name}" in gofacts.VALUE_STRUCTS or (
        name in ("metadata", "spec", "status") and f"{owner}.{name}" not in gofacts.POINTERS
    ):
        field["value"] = True
    if f"{owner}.{name}" in gofacts.BARE:
        field["bare"] = True
    return field


def _translate(annotation: str, module: str) -> str:
    """A model's annotation in the tables' words: "string", "[T]", "{T}" or a type's name."""
    annotation = annotation.strip().strip("'\"")
    if match := re.fullmatch(r"List\[(.*)\]", annotation):
        return f"[{_translate(match.group(1), module)}]"
    if match := re.fullmatch(r"(?:Dict|dict)\[\s*str\s*,\s*(.*)\]", annotation):
        return f"{{{_translate(match.group(1), module)}}}"
    if annotation in NAMED:
        return NAMED[annotation]
    if annotation in SCALARS:
        return SCALARS[annotation]
    stem, _, name = annotation.rpartition(".")
    group, version = (stem or module).rsplit("_", 1)
    return f"{PREFIXES.get(group, f'{group}.')}{version}.{name}"


def _drop_unserved(types: dict[str, Any]) -> None:
    """Leave out fields whose types belong to alpha versions: no cluster serves them by default."""
    for spec in types.values():
        for name in [name for name, field in spec["fields"].items() if "alpha" in field["type"]]:
            del spec["fields"][name]


def _reachable(types: dict[str, Any], roots: list[str]) -> set[str]:
    found: set[str] = set()
    todo = list(roots)
    while todo:
        name = todo.pop()
        if name in types and name not in found:
            found.add(name)
            todo += [field["type"].strip("[]{}") for field in types[name]["fields"].values()]
    return found


def _docs(name: str, spec: dict[str, Any], node: ast.ClassDef | None) -> dict[str, str]:
    """Descriptions: under "" the type's own, then one per field.

    One package loses those of fields that refer to another type, the other wraps lines: together they are whole.
    """
    wrapped = _wrapped(ast.get_docstring(node) or "") if node is not None else {}
    model = _model(name)
    plain: dict[str, str] = {}
    if model is not None:
        plain[""] = (model.__doc__ or "").partition("\n\n    Attributes:")[0].strip()
        plain |= {
            field.serialization_alias or attribute: field.description or ""
            for attribute, field in model.model_fields.items()
        }
    return {field: _whole(plain.get(field, ""), wrapped.get(field, "")) for field in ("", *spec["fields"])}


def _wrapped(text: str) -> dict[str, str]:
    """The docstring's descriptions, by field."""
    about, _, parameters = text.partition("**parameters**")
    found = {"": about}
    for part in re.split(r"(?m)^\s*\* \*\*", parameters)[1:]:
        match = re.match(r"(\S+?)\*\* ``.*?``(?: - )?(.*)", part, re.DOTALL)
        if match:
            found[match.group(1).rstrip("_")] = match.group(2)
    return {
        field: "\n\n".join(" ".join(each.split()) for each in re.split(r"\n\s*\n", text) if each.strip())
        for field, text in found.items()
    }


def _whole(plain: str, wrapped: str) -> str:
    """The unwrapped text with the wrapped one's paragraphs; the wrapped one where there is no other."""
    words, others = re.split(r"(\s+)", plain.strip()), re.split(r"(\s+)", wrapped)
    if not plain or words[::2] != others[::2]:
        return _paragraphs(plain.strip()) or wrapped
    for at in range(1, len(words), 2):
        words[at] = others[at] if "\n\n" in others[at] else words[at]
    return _paragraphs("".join(words))


def _paragraphs(text: str) -> str:
    """Both packages lose this break, which tables show."""
    return re.sub(r"  (?=Populated by )", "\n\n", text)


def _model(name: str) -> Any:
    models = importlib.import_module("kubernetes.client.models")
    *_, group, version, short = name.split(".")
    for candidate in (f"{version.upper()}{short}", f"{group.capitalize()}{version.upper()}{short}"):
        if hasattr(models, candidate):
            return getattr(models, candidate)
    return None


def _write(name: str, table: dict[str, Any]) -> None:
    (HERE / name).write_text(json.dumps(table, separators=(",", ":"), sort_keys=True) + "\n")


if __name__ == "__main__":
    sys.exit(main())
