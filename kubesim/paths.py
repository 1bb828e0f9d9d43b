"""What a URL and a method ask for: Kubernetes's RequestInfo, from which authorization and routing follow.

    /api/v1/namespaces/team/pods/web-0/log       -> get pods/log web-0 in team
    /apis/apps/v1/deployments                    -> list deployments of every namespace
    /api/v1/namespaces/team                      -> get namespaces team (its namespace is itself, as in Kubernetes)
    /healthz                                     -> not a resource

Pure; nothing here knows which kinds exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
NAMESPACE_SUBRESOURCES = ("status", "finalize")


@dataclass(frozen=True)
class RequestInfo:
    """`verb` is the RBAC verb for resources and the lower-case method for everything else. `rest` is what follows a subresource."""

    path: str
    verb: str
    is_resource: bool = False
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    rest: str = ""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def key(self) -> str:
        """The `Resource.key` this request is about."""
        return f"{self.api_version}/{self.resource}"


def parse(method: str, path: str, query: Mapping[str, str] | None = None) -> RequestInfo:
    """`path` is the raw (percent-encoded) path; `query` tells a watch from a list and a watch of one name."""
    return _parse(method, path, query is not None and _true(query.get("watch")))


@lru_cache(maxsize=1024)  # the same paths come again and again
def _parse(method: str, path: str, watch: bool) -> RequestInfo:
    parts = [unquote(part) for part in path.strip("/").split("/")]
    start = _prefix(parts)
    other = RequestInfo(path=path, verb=method.lower())
    if start is None or method not in VERBS:
        return other
    group, version = ("", parts[1]) if start == 2 else (parts[1], parts[2])
    rest = parts[start:]
    if not rest or not rest[0]:
        return other
    return _resource(other, VERBS[method], group, version, rest, watch=watch)


def _prefix(parts: list[str]) -> int | None:
    """How many parts come before the resource: /api/v1 has two, /apis/GROUP/VERSION three."""
    if parts[0] == "api" and len(parts) > 2:
        return 2
    if parts[0] == "apis" and len(parts) > 3:
        return 3
    return None


def _resource(other: RequestInfo, verb: str, group: str, version: str, rest: list[str], *, watch: bool) -> RequestInfo:
    namespace = ""
    if rest[0] == "namespaces":
        namespace = rest[1] if len(rest) > 1 else ""
        if len(rest) > 2 and rest[2] not in NAMESPACE_SUBRESOURCES:
            rest = rest[2:]
    resource, name, subresource = (*rest[:3], "", "", "")[:3]
    tail = "/".join(rest[3:])
    if not name:
        verb = _collection(verb, watch=watch)
    elif verb == "get" and watch:
        verb = "watch"
    return RequestInfo(
        path=other.path,
        verb=verb,
        is_resource=True,
        group=group,
        version=version,
        namespace=namespace,
        resource=resource,
        subresource=subresource,
        name=name,
        rest=tail,
    )


def _collection(verb: str, *, watch: bool) -> str:
    if verb == "get":
        return "watch" if watch else "list"
    return "deletecollection" if verb == "delete" else verb


def _true(value: str | None) -> bool:
    return value is not None and value.lower() in ("1", "true", "")
