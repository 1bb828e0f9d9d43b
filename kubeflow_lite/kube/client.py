"""The verbs of the API over one aiohttp session. Every refusal is an `ApiError`, every lost connection `Unreachable`.

`resource` is a group, version and plural: "v1/pods", "apps/v1/deployments", "kubeflow.org/v1/profiles".
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

import aiohttp

from kubeflow_lite.errors import NotFound, Unreachable, from_status
from kubeflow_lite.kube.config import Access, Token
from kubeflow_lite.objects import Object, metadata, name, namespace

PatchKind = Literal["json", "merge", "strategic", "apply"]
_CONTENT_TYPES: Mapping[PatchKind, str] = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
MANAGER = "kubeflow-lite"
WATCH_SECONDS = 300
"""After which the server ends a watch; silence for longer means that the connection is dead."""


@dataclass(frozen=True)
class Page:
    """A list, and the resourceVersion from which a watch continues it."""

    items: list[Object]
    resource_version: str


class Client:
    """Use as `async with Client(access) as client`."""

    def __init__(self, access: Access) -> None:
        self._server = access.server
        self._token = Token(access)
        self._ssl = access.ssl_context()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._ssl, limit=64),
            timeout=aiohttp.ClientTimeout(total=30),
            headers={"User-Agent": MANAGER, "Accept": "application/json"},
            read_bufsize=2**20,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, resource: str, name: str, namespace: str = "") -> Object:
        return await self._call("GET", path(resource, namespace, name))

    async def find(self, resource: str, name: str, namespace: str = "") -> Object | None:
        """`get`, with None for an object that is not there."""
        try:
            return await self.get(resource, name, namespace)
        except NotFound:
            return None

    async def list(
        self, resource: str, namespace: str = "", *, labels: str = "", fields: str = "", limit: int = 0
    ) -> Page:
        """All objects now (a consistent read, never a cache), or the first `limit`. Their apiVersion and kind are filled in."""
        query = {"labelSelector": labels, "fieldSelector": fields, "limit": str(limit or "")}
        body = await self._call("GET", path(resource, namespace), query=query)
        kind, version = str(body.get("kind", "")).removesuffix("List"), body.get("apiVersion", "")
        items = [{"apiVersion": version, "kind": kind, **item} for item in body.get("items") or []]
        return Page(items, str(metadata(body).get("resourceVersion") or ""))

    async def create(self, resource: str, body: Object) -> Object:
        return await self._call("POST", path(resource, str(metadata(body).get("namespace") or "")), json_body=body)

    async def token(self, account: str, namespace: str, *, audiences: Sequence[str], seconds: int) -> str:
        """A new token of a service account, for these audiences only."""
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": [*audiences], "expirationSeconds": seconds},
        }
        made = await self._call("POST", path("v1/serviceaccounts", namespace, account, "token"), json_body=body)
        return str(made["status"]["token"])

    async def patch(
        self,
        resource: str,
        name: str,
        patch: object,
        namespace: str = "",
        *,
        kind: PatchKind = "merge",
        subresource: str = "",
    ) -> Object:
        target = path(resource, namespace, name, subresource)
        return await self._call("PATCH", target, json_body=patch, content_type=_CONTENT_TYPES[kind])

    async def apply(self, resource: str, body: Object) -> Object:
        """Server-side apply, taking over fields that others own. Applying the same again changes nothing."""
        target = path(resource, namespace(body), name(body))
        query = {"fieldManager": MANAGER, "force": "true"}
        return await self._call("PATCH", target, query=query, json_body=body, content_type=_CONTENT_TYPES["apply"])

    async def delete(self, resource: str, name: str, namespace: str = "", *, uid: str = "") -> None:
        """Delete, only if it still is the object with this uid where one is given; an absent object is fine."""
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if uid:
            options["preconditions"] = {"uid": uid}
        try:
            await self._call("DELETE", path(resource, namespace, name), json_body=options)
        except NotFound:
            return

    async def watch(
        self, resource: str, namespace: str = "", *, resource_version: str, labels: str = "", fields: str = ""
    ) -> AsyncIterator[Object]:
        """Raw watch events after `resource_version`, until the server ends the stream. An ERROR event is raised."""
        query = {
            "watch": "true",
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
            "labelSelector": labels,
            "fieldSelector": fields,
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_read=WATCH_SECONDS + 30)
        async with self._request("GET", path(resource, namespace), query=query, timeout=timeout) as response:
            while line := await response.content.readuntil(b"\n") if not response.content.at_eof() else b"":
                event: Object = json.loads(line)
                if event["type"] == "ERROR":
                    raise from_status(int(event["object"].get("code") or 500), event["object"])
                yield event

    async def _call(
        self,
        method: str,
        target: str,
        *,
        query: Mapping[str, str] | None = None,
        json_body: object = None,
        content_type: str = "application/json",
    ) -> Object:
        data = None if json_body is None else json.dumps(json_body).encode()
        headers = {} if data is None else {"Content-Type": content_type}
        async with self._request(method, target, query=query, data=data, headers=headers) as response:
            body: Object = await response.json(content_type=None)
            return body

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        target: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        **rest: Any,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("the client is used outside its `async with`")
        token = self._token.current()
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        params = {key: value for key, value in (query or {}).items() if value}
        url = self._server + target
        try:
            async with self._session.request(
                method, url, params=params, headers={**bearer, **(headers or {})}, **rest
            ) as response:
                if response.status >= 400:
                    raise from_status(response.status, await _decoded(response))
                yield response
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise Unreachable(f"{method} {url}: {error or type(error).__name__}") from error


def path(resource: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """ "apps/v1/deployments" in "x" -> /apis/apps/v1/namespaces/x/deployments."""
    version, _, plural = resource.rpartition("/")
    parts = ["/apis" if "/" in version else "/api", version]
    parts += ["namespaces", namespace] if namespace else []
    parts += [part for part in (plural, name, subresource) if part]
    return "/".join(parts)


async def _decoded(response: aiohttp.ClientResponse) -> object:
    text = await response.text()
    try:
        return json.loads(text)
    except ValueError:
        return {"message": text.strip()[:500]}
