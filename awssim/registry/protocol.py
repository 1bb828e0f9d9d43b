"""``/v2``: OCI Distribution 1.1, as ECR serves it. Bodies stream between the socket and files; no layer is ever in memory."""

import asyncio
import json
import os
import sqlite3
from collections.abc import Awaitable, Callable

from awssim.asgi import App, Receive, Request, Scope, Send, read_body
from awssim.errors import Refused
from awssim.payload import Disconnected
from awssim.pipe import BLOCK
from awssim.registry import names
from awssim.registry.answers import OciError, answer, refuse
from awssim.registry.errors import Denied, EcrError
from awssim.registry.manifests import LARGEST, OCI_INDEX
from awssim.registry.registry import Registry
from awssim.registry.tokens import BadToken
from awssim.registry.uploads import Uploads

_ACTIONS = {
    ("uploads", "POST"): "ecr:InitiateLayerUpload",
    ("uploads", "PATCH"): "ecr:UploadLayerPart",
    ("uploads", "PUT"): "ecr:CompleteLayerUpload",
    ("uploads", "GET"): "ecr:UploadLayerPart",
    ("uploads", "DELETE"): "ecr:UploadLayerPart",
    ("blobs", "HEAD"): "ecr:BatchCheckLayerAvailability",
    ("blobs", "GET"): "ecr:GetDownloadUrlForLayer",
    ("blobs", "DELETE"): "ecr:BatchDeleteImage",
    ("manifests", "GET"): "ecr:BatchGetImage",
    ("manifests", "HEAD"): "ecr:BatchGetImage",
    ("manifests", "PUT"): "ecr:PutImage",
    ("manifests", "DELETE"): "ecr:BatchDeleteImage",
    ("tags", "GET"): "ecr:ListImages",
    ("referrers", "GET"): "ecr:ListImageReferrers",
}
_REFERRERS_ALSO = "ecr:BatchGetImage"


class Call:
    """One request of a client that is known, on a repository it may use so."""

    def __init__(self, registry: Registry, request: Request, name: str, reference: str, access_key_id: str) -> None:
        self.request = request
        self.name = name
        self.key = registry.key(name)
        self.reference = reference
        self.access_key_id = access_key_id


Handler = Callable[[Call, Receive, Send], Awaitable[None]]


class Protocol:
    """The layer that answers ``/v2``; everything else goes on."""

    def __init__(self, inner: App, registry: Registry) -> None:
        self._inner = inner
        self._registry = registry
        self._store = registry.store
        self._uploads = Uploads(registry.store.uploads)
        self._handlers: dict[tuple[str, str], Handler] = {
            ("uploads", "POST"): self._begin, ("uploads", "PATCH"): self._patch, ("uploads", "PUT"): self._finish,
            ("uploads", "GET"): self._progress, ("uploads", "DELETE"): self._cancel,
            ("blobs", "HEAD"): self._blob, ("blobs", "GET"): self._blob, ("blobs", "DELETE"): self._delete_blob,
            ("manifests", "GET"): self._manifest, ("manifests", "HEAD"): self._manifest,
            ("manifests", "PUT"): self._put_manifest, ("manifests", "DELETE"): self._delete_manifest,
            ("tags", "GET"): self._tags, ("referrers", "GET"): self._referrers,
        }  # fmt: skip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/v2" and not scope["path"].startswith("/v2/"):
            await self._inner(scope, receive, send)
            return
        request = Request.of(scope)
        self._registry.asked_from((scope.get("client") or ("127.0.0.1",))[0], secure=scope.get("scheme") == "https")
        try:
            await self._answer(request, receive, send)
        except OciError as error:
            await refuse(send, error, request)
        except EcrError as error:
            await refuse(send, OciError.of(error), request)
        except Disconnected:
            return
        except (OSError, sqlite3.DatabaseError) as error:
            message = f"the registry cannot store or read content: {getattr(error, 'strerror', error)}"
            await refuse(send, OciError(503, "UNAVAILABLE", message), request)

    async def _answer(self, request: Request, receive: Receive, send: Send) -> None:
        access_key_id = self._authenticated(request)
        if request.path in ("/v2", "/v2/"):
            await answer(send, 200, {"content-type": "application/json"}, b"{}")
            return
        if request.path == "/v2/_catalog":
            await self._catalog(request, access_key_id, send)
            return
        parsed = names.split(request.path)
        if parsed is None:
            raise OciError(404, "UNSUPPORTED", "no such page")
        name, kind, reference = parsed
        if not names.is_repository(name):
            raise OciError(400, "NAME_INVALID", f"invalid repository name: {name}")
        handler = self._handlers.get((kind, request.method))
        if handler is None:
            raise OciError(405, "UNSUPPORTED", "The operation is unsupported.")
        self._authorize(access_key_id, _ACTIONS[kind, request.method], name)
        self._registry.repository(name)
        await handler(Call(self._registry, request, name, reference, access_key_id), receive, send)

    def _authenticated(self, request: Request) -> str:
        try:
            return self._registry.tokens.key_of(request.headers.get("authorization", ""))
        except BadToken as error:
            raise self._unauthorized(str(error)) from error

    def _unauthorized(self, message: str) -> OciError:
        challenge = 'Basic realm="https://{0}.dkr.ecr.{1}.amazonaws.com/",service="ecr.amazonaws.com"'
        settings = self._registry.settings
        return OciError(
            401, "UNAUTHORIZED", message, {"www-authenticate": challenge.format(settings.account, settings.region)}
        )

    def _authorize(self, access_key_id: str, action: str, name: str) -> None:
        try:
            self._registry.authorize(access_key_id, action, name)
        except Denied as denied:
            raise OciError(403, "DENIED", str(denied)) from denied
        except Refused as error:
            raise self._unauthorized("Not Authorized") from error

    # -- uploads

    async def _begin(self, call: Call, receive: Receive, send: Send) -> None:
        mount, source = call.request.parameter("mount"), call.request.parameter("from")
        if mount and source and self._mounted(call, mount, source):
            await self._created(send, call.name, "blobs", mount)
            return
        upload = self._uploads.begin(call.key)
        if call.request.parameter("digest"):
            call.reference = upload
            await self._finish(call, receive, send)
            return
        await answer(send, 202, {**self._location(call.name, upload, 0), "content-length": "0"})

    def _mounted(self, call: Call, digest: str, source: str) -> bool:
        """Link content of another repository the client may read; an upload is the answer where it may not."""
        try:
            self._authorize(call.access_key_id, "ecr:GetDownloadUrlForLayer", source)
        except OciError:
            return False
        return self._store.mount(call.key, digest, self._registry.key(source))

    def _location(self, name: str, upload: str, size: int) -> dict[str, str]:
        return {
            "location": f"/v2/{name}/blobs/uploads/{upload}",
            "range": f"0-{max(0, size - 1)}",
            "docker-upload-uuid": upload,
        }

    async def _patch(self, call: Call, receive: Receive, send: Send) -> None:
        upload = self._uploads.find(call.key, call.reference)
        async with upload.lock:
            _check_offset(call.request, upload.size)
            await upload.receive(receive)
        await answer(send, 202, {**self._location(call.name, call.reference, upload.size), "content-length": "0"})

    async def _finish(self, call: Call, receive: Receive, send: Send) -> None:
        digest = call.request.parameter("digest")
        if not names.is_digest(digest):
            raise OciError(400, "DIGEST_INVALID", "provided digest is not a digest")
        upload = self._uploads.find(call.key, call.reference)
        async with upload.lock:
            _check_offset(call.request, upload.size)
            await upload.receive(receive)
            actual = await asyncio.to_thread(upload.digest, digest.partition(":")[0])
            if actual != digest:
                self._uploads.forget(call.reference)
                raise OciError(
                    400, "DIGEST_INVALID", f"provided digest {digest} did not match uploaded content {actual}"
                )
            self._store.add_blob(call.key, digest, upload.path)
            self._uploads.forget(call.reference)
        await self._created(send, call.name, "blobs", digest)

    async def _progress(self, call: Call, receive: Receive, send: Send) -> None:
        upload = self._uploads.find(call.key, call.reference)
        await answer(send, 204, self._location(call.name, call.reference, upload.size))

    async def _cancel(self, call: Call, receive: Receive, send: Send) -> None:
        self._uploads.find(call.key, call.reference)
        self._uploads.forget(call.reference)
        await answer(send, 204)

    async def _created(self, send: Send, name: str, kind: str, digest: str, **more: str) -> None:
        headers = {"location": f"/v2/{name}/{kind}/{digest}", "docker-content-digest": digest, "content-length": "0"}
        await answer(send, 201, headers | more)

    # -- blobs

    async def _blob(self, call: Call, receive: Receive, send: Send) -> None:
        size = self._store.size(call.key, call.reference) if names.is_digest(call.reference) else None
        if size is None:
            raise OciError(404, "BLOB_UNKNOWN", "blob unknown to registry")
        start, stop, status, headers = 0, size, 200, {}
        text = call.request.headers.get("range")
        if text and call.request.method == "GET":
            start, stop = _range(text, size)
            status, headers = 206, {"content-range": f"bytes {start}-{stop - 1}/{size}"}
        headers |= {
            "content-type": "application/octet-stream", "content-length": str(stop - start), "accept-ranges": "bytes",
            "docker-content-digest": call.reference, "etag": f'"{call.reference}"',
        }  # fmt: skip
        if call.request.method == "HEAD":
            await answer(send, status, headers)
            return
        await self.stream(send, call.reference, start, stop, status, headers)

    async def stream(
        self, send: Send, digest: str, start: int, stop: int, status: int, headers: dict[str, str]
    ) -> None:
        """Send part of a blob from its file."""
        with self._store.path(digest).open("rb", buffering=0) as file:
            lines = [(name.encode(), value.encode()) for name, value in headers.items()]
            await send({"type": "http.response.start", "status": status, "headers": lines})
            while start < stop:
                data = await asyncio.to_thread(os.pread, file.fileno(), min(BLOCK, stop - start), start)
                if not data:
                    return
                start += len(data)
                await send({"type": "http.response.body", "body": data, "more_body": start < stop})
        if stop == 0:
            await send({"type": "http.response.body", "body": b""})

    async def _delete_blob(self, call: Call, receive: Receive, send: Send) -> None:
        if self._store.size(call.key, call.reference) is None:
            raise OciError(404, "BLOB_UNKNOWN", "blob unknown to registry")
        if self._store.parents(call.key, call.reference):
            raise OciError(405, "UNSUPPORTED", "the blob belongs to an image; delete the image")
        self._store.delete_blob(call.key, call.reference)
        await answer(send, 202, {"content-length": "0"})

    # -- manifests

    async def _manifest(self, call: Call, receive: Receive, send: Send) -> None:
        image = self._store.image(call.key, call.reference)
        if image is None:
            raise OciError(404, "MANIFEST_UNKNOWN", f"manifest unknown to registry: {call.name}:{call.reference}")
        headers = {
            "content-type": image.media_type, "content-length": str(len(image.content)),
            "docker-content-digest": image.digest, "etag": f'"{image.digest}"',
        }  # fmt: skip
        if call.request.method == "GET":
            self._store.pulled(call.key, image.digest)
        await answer(send, 200, headers, image.content if call.request.method == "GET" else b"")

    async def _put_manifest(self, call: Call, receive: Receive, send: Send) -> None:
        content = await read_body(receive, LARGEST)
        if content is None:
            raise OciError(413, "SIZE_INVALID", f"a manifest may have {LARGEST} bytes")
        by_digest = names.is_digest(call.reference)
        if not by_digest and not names.is_tag(call.reference):
            raise OciError(400, "TAG_INVALID", f"invalid tag: {call.reference}")
        media_type = call.request.headers.get("content-type", "")
        target = {"digest": call.reference} if by_digest else {"tag": call.reference}
        image = self._registry.push(call.name, content, media_type, **target)
        more = {"oci-subject": image.subject} if image.subject else {}
        await self._created(send, call.name, "manifests", image.digest, **more)

    async def _delete_manifest(self, call: Call, receive: Receive, send: Send) -> None:
        image = self._store.image(call.key, call.reference)
        if image is None:
            raise OciError(404, "MANIFEST_UNKNOWN", "manifest unknown to registry")
        if not names.is_digest(call.reference) and len(image.tags) > 1:
            self._store.untag(call.key, call.reference)
        elif self._store.parents(call.key, image.digest):
            raise OciError(405, "UNSUPPORTED", "the image belongs to an index; delete the index first")
        else:
            self._store.delete_images(call.key, [image.digest])
        await answer(send, 202, {"content-length": "0"})

    # -- lists

    async def _tags(self, call: Call, receive: Receive, send: Send) -> None:
        page, link = _page(self._store.tags(call.key), call.request, f"/v2/{call.name}/tags/list")
        await answer(
            send,
            200,
            {"content-type": "application/json", **link},
            json.dumps({"name": call.name, "tags": page}).encode(),
        )

    async def _catalog(self, request: Request, access_key_id: str, send: Send) -> None:
        if request.method != "GET":
            raise OciError(405, "UNSUPPORTED", "The operation is unsupported.")
        seen = [name for name in self._registry.names() if self._may(access_key_id, "ecr:DescribeRepositories", name)]
        page, link = _page(seen, request, "/v2/_catalog")
        await answer(
            send, 200, {"content-type": "application/json", **link}, json.dumps({"repositories": page}).encode()
        )

    def _may(self, access_key_id: str, action: str, name: str) -> bool:
        try:
            self._registry.authorize(access_key_id, action, name)
        except Denied:
            return False
        except Refused as error:
            raise self._unauthorized("Not Authorized") from error
        return True

    async def _referrers(self, call: Call, receive: Receive, send: Send) -> None:
        if not names.is_digest(call.reference):
            raise OciError(400, "DIGEST_INVALID", f"invalid digest: {call.reference}")
        wanted = call.request.parameter("artifactType")
        found = self._store.referrers(call.key, call.reference)
        manifests = [image.descriptor() for image in found if wanted in ("", image.artifact_type)]
        body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}).encode()
        filters = {"oci-filters-applied": "artifactType"} if wanted else {}
        await answer(send, 200, {"content-type": OCI_INDEX, **filters}, body)


def _check_offset(request: Request, size: int) -> None:
    """A chunk that names its range must go on where the last one ended."""
    text = request.headers.get("content-range", "").removeprefix("bytes ").partition("/")[0]
    if not text:
        return
    start, _, end = text.partition("-")
    if not (start.isdigit() and end.isdigit()) or int(start) != size or int(end) < int(start):
        raise OciError(
            416, "BLOB_UPLOAD_INVALID", f"the chunk must begin at {size}", {"range": f"0-{max(0, size - 1)}"}
        )


def _range(text: str, size: int) -> tuple[int, int]:
    first, dash, last = text.removeprefix("bytes=").partition("-")
    if not dash or not (first + last).isdigit():
        raise OciError(416, "UNSUPPORTED", "invalid range", {"content-range": f"bytes */{size}"})
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, int(last) + 1) if first and last else size
    if start >= stop:
        raise OciError(416, "UNSUPPORTED", "range not satisfiable", {"content-range": f"bytes */{size}"})
    return start, stop


def _page(items: list[str], request: Request, path: str) -> tuple[list[str], dict[str, str]]:
    last, number = request.parameter("last"), request.parameter("n")
    left = [item for item in items if item > last] if last else items
    if not number:
        return left, {}
    if not number.isdigit():
        raise OciError(400, "PAGINATION_NUMBER_INVALID", "n must be a number")
    page = left[: int(number)]
    more = page and len(left) > len(page)
    return page, {"link": f'<{path}?last={page[-1]}&n={number}>; rel="next"'} if more else {}
