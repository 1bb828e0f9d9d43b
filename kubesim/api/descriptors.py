"""Makes `protobuf.json`, the field numbers of Kubernetes's types: `python -m kubesim.api.descriptors /usr/bin/kubectl`.

A Go program that speaks protobuf carries its descriptors, gzipped; they are found by their magic number. Needs the package `protobuf`; the
server needs only the table. Field numbers never change, so the table grows old only by lacking new fields.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor_pb2 import (  # type: ignore[import-untyped]
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

PACKAGES = (
    *(
        f"k8s.io.api.{name}.v1"
        for name in ("admissionregistration", "apps", "authentication", "authorization", "autoscaling", "batch")
    ),
    *(
        f"k8s.io.api.{name}.v1"
        for name in ("certificates", "coordination", "core", "discovery", "events", "flowcontrol", "networking")
    ),
    *(f"k8s.io.api.{name}.v1" for name in ("node", "policy", "rbac", "scheduling", "storage")),
    "k8s.io.api.autoscaling.v2",
    "k8s.io.apimachinery.pkg.api.resource",
    "k8s.io.apimachinery.pkg.apis.meta.v1",
    "k8s.io.apimachinery.pkg.runtime",
    "k8s.io.apimachinery.pkg.util.intstr",
)
_GZIP = b"\x1f\x8b\x08"
_MOST = 400_000
_IN_JSON = {
    "Webhooks": "webhooks",
    "Expression": "expression",
    "Name": "name",
    "uID": "uid",
    "aPIGroup": "apiGroup",
}
"""Fields whose names in protobuf are not those in JSON."""
_SCALARS = {
    FieldDescriptorProto.TYPE_BOOL: "bool",
    FieldDescriptorProto.TYPE_BYTES: "bytes",
    FieldDescriptorProto.TYPE_DOUBLE: "double",
    FieldDescriptorProto.TYPE_INT32: "int",
    FieldDescriptorProto.TYPE_INT64: "int",
    FieldDescriptorProto.TYPE_STRING: "string",
}


def descriptors(program: bytes) -> Iterator[FileDescriptorProto]:
    at = program.find(_GZIP)
    while at >= 0:
        try:
            plain = zlib.decompressobj(31).decompress(program[at : at + _MOST])
            if b"k8s.io/" in plain[:100]:
                yield FileDescriptorProto.FromString(plain)
        except (zlib.error, DecodeError):
            pass  # the three bytes were something else
        at = program.find(_GZIP, at + 1)


def table(files: Iterator[FileDescriptorProto]) -> dict[str, str]:
    """Message -> "number name type" for each field, joined by commas; a type may begin with * (repeated) or % (a map to it)."""
    found: dict[str, str] = {}
    for file in files:
        if file.package in PACKAGES:
            found |= {f"{short(file.package)}.{message.name}": _fields(message) for message in file.message_type}
    return dict(sorted(found.items()))


def short(package: str) -> str:
    return ".".join(
        part for part in package.split(".") if part not in ("k8s", "io", "api", "apimachinery", "pkg", "apis", "util")
    )


def _fields(message: DescriptorProto) -> str:
    entries = {nested.name: nested for nested in message.nested_type if nested.options.map_entry}
    lines = []
    for field in message.field:
        entry = entries.get(field.type_name.rpartition(".")[2])
        if entry is not None:
            kind = "%" + _type(entry.field[1])
        else:
            kind = ("*" if field.label == FieldDescriptorProto.LABEL_REPEATED else "") + _type(field)
        lines.append(f"{field.number} {_IN_JSON.get(field.name, field.name)} {kind}")
    return ",".join(lines)


def _type(field: FieldDescriptorProto) -> str:
    return _SCALARS.get(field.type) or short(field.type_name.strip("."))


if __name__ == "__main__":
    made = table(descriptors(Path(sys.argv[1]).read_bytes()))
    Path(__file__).with_name("protobuf.json").write_text(json.dumps(made, indent=0) + "\n")
