"""The verbs of a kind over HTTP: decode, call `Objects`, render."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from kubesim.api import convert, decode, render, tabling
from kubesim.api.patching import patcher
from kubesim.api.request import Call, Options, Request, Response, integer, options
from kubesim.api.watching import Scope, Seen, follow
from kubesim.errors import ApiError, BadRequest, Expired
from kubesim.resources import Object, Resource
from kubesim.selectors import FieldSelector, parse_fields, parse_labels
from kubesim.store import Record

if TYPE_CHECKING:
    from kubesim.api.app import Server

BOOKMARK_EVERY = 60.0
FIELDS: dict[str, tuple[str, ...]] = {
    "v1/pods": ("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork", "status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName"),
    "v1/events": ("involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid", "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason", "reportingComponent", "source", "type"),
    "events.k8s.io/v1/events": ("regarding.kind", "regarding.namespace", "regarding.name", "regarding.uid", "reason", "type", "reportingController"),
    "v1/namespaces": ("status.phase",),
    "v1/nodes": ("spec.unschedulable",),
    "v1/secrets": ("type",),
    "v1/services": ("spec.clusterIP", "spec.type"),
    "v1/replicationcontrollers": ("status.replicas",),
    "apps/v1/replicasets": ("status.replicas",),
    "batch/v1/jobs": ("status.successful",),
    "certificates.k8s.io/v1/certificatesigningrequests": ("spec.signerName",),
}


def call_of(request: Request, resource: Resource, *, chosen: Options | None = None) -> Call:
    return Call(request.info, resource, request.user, chosen or options(request), request.warnings)


async def create(server: Server, request: Request, resource: Resource) -> Response:
    form = render.negotiate(request.accept)
    body = decode.body(request, resource)
    obj = await server.objects.create(call_of(request, resource), body)
    return shown(resource, obj, form, status=201)


async def get(server: Server, request: Request, resource: Resource) -> Response:
    form = render.negotiate(request.accept)
    record = server.objects.record(resource, call_of(request, resource).namespace, request.info.name)
    if not form.kind:
        return Response(200, render.encoded(resource, record) + b"\n")
    return shown(resource, convert.to_version(resource, record.object), form)


async def update(server: Server, request: Request, resource: Resource) -> Response:
    form = render.negotiate(request.accept)
    obj = await server.objects.update(call_of(request, resource), decode.body(request, resource))
    return shown(resource, obj, form)


async def patch(server: Server, request: Request, resource: Resource) -> Response:
    form = render.negotiate(request.accept)
    obj, created = await patcher(server.objects, call_of(request, resource), request.content_type, decode.patch(request))
    return shown(resource, obj, form, status=201 if created else 200)


async def delete(server: Server, request: Request, resource: Resource) -> Response:
    call = call_of(request, resource, chosen=delete_options(request))
    obj, gone = await server.objects.delete(call)
    return render.answer(render.success(resource, obj) if gone and resource.key != "v1/pods" else obj)


async def deletecollection(server: Server, request: Request, resource: Resource) -> Response:
    chosen = delete_options(request)
    found = [record for record in scoped(server, request, resource)]
    call = call_of(request, resource, chosen=chosen)
    for record in found:
        info = replace(request.info, name=record.name, namespace=record.namespace)
        try:
            await server.objects.delete(replace(call, info=info))
        except ApiError as error:
            if error.code not in (404, 409):
                raise
    return Response(200, render.listed(resource, found, {"resourceVersion": str(server.store.revision)}))


def delete_options(request: Request) -> Options:
    """The query's, and the body's where there is one."""
    chosen = options(request)
    body = decode.optional(request)
    if not body:
        return chosen
    dry_run = body.get("dryRun") or []
    grace = body.get("gracePeriodSeconds")
    return replace(
        chosen,
        dry_run=chosen.dry_run or "All" in dry_run,
        propagation=body.get("propagationPolicy") or chosen.propagation or ("Orphan" if body.get("orphanDependents") else ""),
        grace_seconds=chosen.grace_seconds if grace is None else int(grace),
        preconditions=body.get("preconditions") or {},
    )


# Lists


def scope(request: Request, resource: Resource) -> Scope:
    labels = parse_labels(request.query.get("labelSelector", ""))
    fields = parse_fields(request.query.get("fieldSelector", ""))
    check_fields(resource, fields)
    namespace = request.info.namespace if resource.namespaced else ""
    name = request.info.name or fields.exact("metadata.name") or ""
    return Scope(resource.storage, namespace or fields.exact("metadata.namespace") or "", name, labels, fields)


def check_fields(resource: Resource, fields: FieldSelector) -> None:
    known = ("metadata.name", "metadata.namespace", *FIELDS.get(resource.key, ()))
    for field in fields.fields:
        if field not in known:
            if resource.key in FIELDS:
                raise BadRequest(f"field label not supported: {field}")
            raise BadRequest(f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"')


def scoped(server: Server, request: Request, resource: Resource) -> list[Record]:
    wanted = scope(request, resource)
    return [record for record in server.store.list(resource.storage, wanted.namespace) if wanted.matches(record)]


async def list_(server: Server, request: Request, resource: Resource) -> Response:
    form = render.negotiate(request.accept)
    wanted, metadata = scope(request, resource), {"resourceVersion": str(server.store.revision)}
    limit, token = integer(request.query, "limit") or 0, request.query.get("continue", "")
    check_version(server, request)
    after = _continue(token) if token else None
    if wanted.selective or wanted.name or not limit:
        records = [record for record in server.store.page(resource.storage, wanted.namespace, limit=0, after=after).records if wanted.matches(record)]
        more = bool(limit) and len(records) > limit
        remaining, records = 0, records[:limit] if limit else records
    else:
        page = server.store.page(resource.storage, wanted.namespace, limit=limit, after=after)
        records, more, remaining = list(page.records), page.following is not None, page.remaining
    details: dict[str, Any] = dict(metadata)
    if more:
        details["continue"] = _token(server.store.revision, records[-1])
        if remaining:
            details["remainingItemCount"] = remaining
    if not form.kind:
        return Response(200, render.listed(resource, records, details))
    objects = [convert.to_version(resource, record.object) for record in records]
    return collection(resource, objects, form, details, request)


def check_version(server: Server, request: Request) -> None:
    match, asked = request.query.get("resourceVersionMatch", ""), request.query.get("resourceVersion", "")
    if asked and not asked.isdigit():
        raise BadRequest(f'resourceVersion: Invalid value: "{asked}": strconv.ParseUint: parsing "{asked}": invalid syntax')
    if asked and int(asked) > server.store.revision:
        from kubesim.errors import ApiError as _Error  # a timeout is 504, which only this answer needs

        class _Timeout(_Error):
            code = 504
            reason = "Timeout"

        raise _Timeout(f"Too large resource version: {asked}, current: {server.store.revision}", details={"retryAfterSeconds": 1, "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]})
    if match == "Exact" and asked and int(asked) != server.store.revision:
        raise Expired(f"The provided resource version is too old: {asked} ({server.store.revision})")


def _token(revision: int, last: Record) -> str:
    body = {"v": "meta.k8s.io/v1", "rv": revision, "start": f"{last.namespace}/{last.name}\0"}
    return base64.urlsafe_b64encode(json.dumps(body).encode()).decode().rstrip("=")


def _continue(token: str) -> tuple[str, str]:
    try:
        body = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        namespace, _, name = body["start"].rstrip("\0").rpartition("/")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadRequest(f"invalid continue token: continue key is not valid: {error}") from None
    return namespace, name


def shown(resource: Resource, obj: Object, form: render.Form, *, status: int = 200) -> Response:
    if form.kind == "Table":
        return render.answer(tabling.table(resource, [obj], {"resourceVersion": obj["metadata"].get("resourceVersion", "")}), status=status)
    if form.kind == "PartialObjectMetadata":
        return render.answer(render.partial(obj), status=status)
    return render.answer(obj, status=status)


def collection(resource: Resource, objects: list[Object], form: render.Form, metadata: Object, request: Request) -> Response:
    if form.kind == "Table":
        return render.answer(tabling.table(resource, objects, metadata, include=request.query.get("includeObject", "Metadata")))
    items = [render.partial(obj) for obj in objects]
    return render.answer({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "items": items})


# Watches


async def watch(server: Server, request: Request, resource: Resource) -> Response:
    form = render.negotiate(request.accept)
    wanted = scope(request, resource)
    asked = request.query.get("resourceVersion", "")
    if asked and not asked.isdigit():
        raise BadRequest(f'resourceVersion: Invalid value: "{asked}": strconv.ParseUint: parsing "{asked}": invalid syntax')
    return Response(200, stream(server, request, resource, wanted, form), headers={})


async def stream(server: Server, request: Request, resource: Resource, wanted: Scope, form: render.Form) -> AsyncIterator[bytes]:
    import time

    timeout = integer(request.query, "timeoutSeconds") or 1800
    bookmarks = request.query.get("allowWatchBookmarks", "") in ("true", "1")
    initial = request.query.get("sendInitialEvents", "") in ("true", "1")
    asked = request.query.get("resourceVersion", "")
    end = time.monotonic() + timeout
    since = int(asked or 0)
    encoder = Encoder(resource, form, request.query.get("includeObject", "Metadata"))
    if not since or initial:
        since = server.store.revision
        found = [record for record in server.store.list(resource.storage, wanted.namespace) if wanted.matches(record)]
        if found:
            yield b"".join(encoder.event(Seen("ADDED", record, record.revision)) for record in found)
        if initial and bookmarks:
            yield encoder.bookmark(since, initial=True)
    told = time.monotonic()

    def idle() -> float:
        return max(0.0, min(end - time.monotonic(), BOOKMARK_EVERY))

    try:
        async for batch in follow(server.store, wanted, since, idle=idle):
            now = time.monotonic()
            if batch:
                yield b"".join(map(encoder.event, batch))
                told = now
            if now >= end:
                if bookmarks:
                    yield encoder.bookmark(server.store.revision)
                return
            if bookmarks and now - told >= BOOKMARK_EVERY:
                yield encoder.bookmark(server.store.revision)
                told = now
    except Expired as error:
        yield orjson.dumps({"type": "ERROR", "object": error.status()}) + b"\n"


class Encoder:
    """Events of one watch as JSON lines."""

    def __init__(self, resource: Resource, form: render.Form, include: str) -> None:
        self.resource, self.form, self.include, self.first = resource, form, include, True

    def event(self, seen: Seen) -> bytes:
        return b'{"type":"' + seen.type.encode() + b'","object":' + self._object(seen.record) + b"}\n"

    def _object(self, record: Record) -> bytes:
        if not self.form.kind:
            return render.encoded(self.resource, record)
        obj = convert.to_version(self.resource, record.object)
        if self.form.kind != "Table":
            return orjson.dumps(render.partial(obj))
        table = tabling.table(self.resource, [obj], {"resourceVersion": obj["metadata"]["resourceVersion"]}, include=self.include, headed=self.first)
        self.first = False
        return orjson.dumps(table)

    def bookmark(self, revision: int, *, initial: bool = False) -> bytes:
        metadata: Object = {"resourceVersion": str(revision), "creationTimestamp": None}
        if initial:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        obj: Object = {"kind": self.resource.kind, "apiVersion": self.resource.api_version, "metadata": metadata}
        if self.form.kind == "Table":
            obj = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": [], "rows": []}
        elif self.form.kind:
            obj |= {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
        return orjson.dumps({"type": "BOOKMARK", "object": obj}) + b"\n"


Handler = Callable[["Server", Request, Resource], Awaitable[Response]]
HANDLERS: dict[str, Handler] = {
    "create": create,
    "get": get,
    "list": list_,
    "update": update,
    "patch": patch,
    "delete": delete,
    "deletecollection": deletecollection,
    "watch": watch,
}
