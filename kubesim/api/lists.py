"""GET of a collection: selectors, pages, resourceVersion semantics, and the three forms of an answer."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubesim.api import convert, render
from kubesim.api.request import Request, Response, integer
from kubesim.api.scopes import scope
from kubesim.api.watches import version
from kubesim.api.watching import Scope
from kubesim.errors import ApiError, BadRequest, Expired
from kubesim.resources import Object, Resource
from kubesim.store import Record

if TYPE_CHECKING:
    from kubesim.api.app import Server


_MOST = 2**31  # more objects than a page could ever have, and a number that islice takes


class TooNew(ApiError):
    """The client has seen a later revision than this server: it lost its data, or the client talks to the wrong one."""

    code = 504
    reason = "Timeout"


@dataclass(frozen=True)
class Found:
    """A page. `remaining` is None where it is not known (with a selector) or there is none."""

    records: Sequence[Record]
    following: tuple[str, str] | None = None
    remaining: int | None = None


async def list_(server: Server, request: Request, resource: Resource) -> Response:
    form = render.negotiate(request.accept)
    check_version(server, request)
    if resource.storage in server.virtual:
        objects = server.virtual[resource.storage].list(request.info.namespace)
        wanted = scope(request, resource)
        objects = [
            obj
            for obj in objects
            if wanted.labels.matches(obj["metadata"].get("labels")) and wanted.fields.matches(obj)
        ]
        return answer(server, resource, objects, form, {"resourceVersion": ""}, request)
    found = find(server, request, scope(request, resource))
    metadata = _metadata(server.store.revision, found)
    if not form.kind:
        return Response(200, render.listed(resource, found.records, metadata))
    return answer(
        server,
        resource,
        [convert.to_version(resource, record.object) for record in found.records],
        form,
        metadata,
        request,
    )


def answer(
    server: Server, resource: Resource, objects: Sequence[Object], form: render.Form, metadata: Object, request: Request
) -> Response:
    if form.kind == "Table":
        include = request.query.get("includeObject", "Metadata")
        return render.answer(server.tabler.table(resource, objects, metadata, include=include))
    if form.kind:
        items = [render.partial(obj) for obj in objects]
        return render.answer(
            {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "items": items}
        )
    return render.answer(
        {"kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": metadata, "items": objects}
    )


def find(server: Server, request: Request, wanted: Scope) -> Found:
    limit, token = min(max(0, integer(request.query, "limit") or 0), _MOST), request.query.get("continue", "")
    after = resume(token) if token else None
    if not wanted.selective and not wanted.name:
        page = server.store.page(wanted.kind, wanted.namespace, limit=limit, after=after)
        return Found(page.records, page.following, page.remaining if page.following else None)
    records = server.store.page(wanted.kind, wanted.namespace, limit=0, after=after).records
    matching = [record for record in records if wanted.matches(record)]
    if not limit or len(matching) <= limit:
        return Found(matching)
    last = matching[limit - 1]
    return Found(matching[:limit], (last.namespace, last.name))


def _metadata(revision: int, found: Found) -> Object:
    metadata: Object = {"resourceVersion": str(revision)}
    if found.following:
        metadata["continue"] = token(revision, found.following)
    if found.remaining:
        metadata["remainingItemCount"] = found.remaining
    return metadata


def check_version(server: Server, request: Request) -> None:
    match, text = request.query.get("resourceVersionMatch", ""), request.query.get("resourceVersion", "")
    asked, now = version(text), server.store.revision
    if match not in ("", "Exact", "NotOlderThan"):
        raise BadRequest(
            f'resourceVersionMatch: Unsupported value: "{match[:40]}": supported values: "Exact", "NotOlderThan", ""'
        )
    if match and not text:
        raise BadRequest(
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        )
    if asked > now:
        causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
        raise TooNew(
            f"Timeout: Too large resource version: {asked}, current: {now}",
            details={"causes": causes, "retryAfterSeconds": 1},
        )
    if match == "Exact" and asked != now:
        raise Expired(f"The provided resource version is no longer available: {asked}")


def token(revision: int, last: tuple[str, str]) -> str:
    """Where the next page begins, in Kubernetes's own form."""
    body = {"v": "meta.k8s.io/v1", "rv": revision, "start": f"{last[0]}/{last[1]}\0"}
    return base64.urlsafe_b64encode(json.dumps(body, separators=(",", ":")).encode()).decode().rstrip("=")


def resume(text: str) -> tuple[str, str]:
    """The (namespace, name) a continue token points behind. Pages show the objects as they are now: no snapshot is kept."""
    try:
        body = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        namespace, _, name = body["start"].removesuffix("\0").rpartition("/")
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadRequest(f"invalid continue token: continue key is not valid: {type(error).__name__}") from None
    return namespace, name
