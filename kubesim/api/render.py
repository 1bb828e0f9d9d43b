"""Objects to bytes: JSON, lists of encoded objects, tables and metadata only, as the Accept header asks.

The hot paths never encode twice: a stored object is sent as the bytes it is stored as, and a list is those bytes joined.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from kubesim.api import convert
from kubesim.api.request import Response
from kubesim.errors import ApiError, NotAcceptable
from kubesim.resources import Object, Resource
from kubesim.store import Record

JSON = "application/json"
_ACCEPTED = ("application/json", "application/yaml", "application/*", "*/*", "text/*", "text/plain", "text/html")


@dataclass(frozen=True)
class Form:
    """How the answer is wanted: "" as it is, Table, PartialObjectMetadata, PartialObjectMetadataList or APIGroupDiscoveryList."""

    kind: str = ""
    version: str = ""


PLAIN = Form()


def negotiate(
    accept: str, *, kinds: Sequence[str] = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
) -> Form:
    """The first of the client's wishes that can be met; raises NotAcceptable (406) so that protobuf clients fall back."""
    if not accept or accept in (JSON, "*/*"):
        return PLAIN
    for wish in accept.split(","):
        media, *parameters = (part.strip() for part in wish.split(";"))
        if media.lower() not in _ACCEPTED:
            continue
        settings = dict(part.split("=", 1) for part in parameters if "=" in part)
        kind = settings.get("as", "")
        if not kind:
            return PLAIN
        if kind in kinds and settings.get("v", "") in ("v1", "v2"):
            return Form(kind, settings["v"])
    raise NotAcceptable(
        f"only the following media types are accepted: {JSON}, application/yaml, application/vnd.kubernetes.protobuf".removesuffix(
            ", application/vnd.kubernetes.protobuf"
        )
    )


def encode(body: object) -> bytes:
    return orjson.dumps(body)


def answer(body: object, *, status: int = 200, warnings: Iterable[str] = ()) -> Response:
    return with_warnings(Response(status, encode(body) + b"\n"), warnings)


def failure(error: ApiError) -> Response:
    headers = {}
    retry = error.details.get("retryAfterSeconds")
    if retry:
        headers["Retry-After"] = str(retry)
    return Response(error.code, encode(error.status()) + b"\n", headers=headers)


def success(resource: Resource, obj: Object) -> Object:
    """The Status that answers a deletion that is done."""
    metadata = obj["metadata"]
    found = {"name": metadata["name"], "group": resource.group, "kind": resource.plural, "uid": metadata["uid"]}
    details = {key: value for key, value in found.items() if value}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def with_warnings(response: Response, warnings: Iterable[str]) -> Response:
    """Warning headers (RFC 7234), one per warning; they share one header line, as HTTP allows."""
    texts = ['299 - "' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in dict.fromkeys(warnings)]
    if texts:
        response.headers["Warning"] = ", ".join(texts)
    return response


def text(body: str, *, status: int = 200) -> Response:
    return Response(status, body.encode(), content_type="text/plain; charset=utf-8")


def not_found_page() -> Response:
    return text("404 page not found\n", status=404)


def head(resource: Resource) -> bytes:
    """How every encoded object of this kind begins."""
    return f'{{"kind":"{resource.kind}","apiVersion":"{resource.api_version}",'.encode()


def encoded(resource: Resource, record: Record) -> bytes:
    """A stored object in the version asked for."""
    if record.data.startswith(head(resource)):
        return record.data
    return encode(convert.to_version(resource, record.object))


def listed(resource: Resource, records: Sequence[Record], metadata: Mapping[str, object]) -> bytes:
    """A list. Items of built-in kinds carry no kind and apiVersion, as in Kubernetes; custom resources keep them."""
    start = encode({"kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": metadata})[:-1]
    start, end = start + b',"items":[', b"]}\n"
    if not records:
        return start + end
    begin = head(resource)
    cut, between = (0, b",") if resource.custom else (len(begin), b",{")
    items = [(record.data if record.data.startswith(begin) else encoded(resource, record))[cut:] for record in records]
    items[0] = start + between[1:] + items[0]
    items[-1] += end
    return between.join(items)  # one join: a list may be megabytes, and each copy of it is a millisecond


def partial(obj: Object) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
