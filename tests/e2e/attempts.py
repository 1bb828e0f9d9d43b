"""Everything one tenant can try on another, made from what the API, boto3 and PostgreSQL themselves say that they offer.

Nothing is listed by hand that can be discovered: a resource, a verb or an AWS operation that is new tomorrow is tried tomorrow.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.kube import Cluster, Object, Refused

WRITES = {"update": "PUT", "patch": "PATCH"}
DRY = {"dryRun": "All"}


@dataclass(frozen=True)
class Attempt:
    """`run` answers the HTTP status; 2xx is an open door."""

    what: str
    run: Callable[[], int]


@dataclass
class Figures:
    """How a matrix went: what was tried, and what was not refused with 403, by its status."""

    tried: int = 0
    others: dict[str, int] = field(default_factory=dict)

    def take(self, attempt: Attempt) -> None:
        self.tried += 1
        if (status := attempt.run()) != 403:
            self.others[attempt.what] = status

    @property
    def refused(self) -> int:
        return self.tried - len(self.others)


@dataclass(frozen=True)
class Resource:
    """One line of the API's discovery; `name` may be a subresource ("pods/log")."""

    root: str
    name: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...]

    def path(self, namespace: str = "", name: str = "") -> str:
        plural, _, sub = self.name.partition("/")
        parts = [self.root, *(("namespaces", namespace) if self.namespaced and namespace else ()), plural, name, sub]
        return "/".join(part for part in parts if part)


def discover(cluster: Cluster) -> list[Resource]:
    """Every resource and subresource of every version that the cluster serves."""
    groups = cluster.request("GET", "/apis")["groups"]
    roots = ["/api/v1", *(f"/apis/{version['groupVersion']}" for group in groups for version in group["versions"])]
    return [
        Resource(root, item["name"], item["kind"], item["namespaced"], tuple(item["verbs"]))
        for root in roots
        for item in cluster.request("GET", root)["resources"]
    ]


def requests(resource: Resource, verb: str, namespace: str, name: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Method, path and query of each way to use a verb: exec, attach, port-forward and proxy have one per method."""
    one, many = resource.path(namespace, name), resource.path(namespace)
    if resource.name.endswith(("/exec", "/attach")):
        yield {"create": "POST", "get": "GET"}[verb], one, {"command": "true", "stdout": "true"}
    elif resource.name.endswith("/portforward"):
        yield {"create": "POST", "get": "GET"}[verb], one, {"ports": "5000"}
    elif resource.name.endswith("/proxy"):
        method = {"create": "POST", "get": "GET", "delete": "DELETE"} | WRITES
        yield method[verb], f"{one}/health", {}
    elif verb == "create":
        yield "POST", one if "/" in resource.name else many, DRY
    elif verb in WRITES:
        yield WRITES[verb], one, DRY
    elif verb == "watch":
        yield "GET", many, {"watch": "true", "timeoutSeconds": "1"}
        yield "GET", resource.path(namespace).replace(resource.root, f"{resource.root}/watch", 1), {}
    else:
        yield {
            "get": ("GET", one, {}),
            "list": ("GET", many, {}),
            "delete": ("DELETE", one, DRY),
            "deletecollection": ("DELETE", many, DRY),
        }[verb]


def on_cluster(cluster: Cluster, resource: Resource, namespace: str, name: str) -> Iterator[Attempt]:
    """Every verb that discovery gives the resource, on one object of one namespace ("": cluster-wide)."""
    body: Object = {
        "apiVersion": resource.root.removeprefix("/apis/").removeprefix("/api/"),
        "kind": resource.kind,
        "metadata": {"name": name},
    }
    for verb in resource.verbs:
        for method, path, query in requests(resource, verb, namespace, name):
            yield Attempt(f"{verb} {path}", _request(cluster, method, path, query, body))


def _request(cluster: Cluster, method: str, path: str, query: dict[str, str], body: Object) -> Callable[[], int]:
    sent = {"PATCH": {"metadata": {"labels": {"tried": "yes"}}}, "POST": body, "PUT": body}.get(method)
    content = "application/merge-patch+json" if method == "PATCH" else "application/json"
    return lambda: status(cluster, method, path, sent, query=query, content_type=content)


def status(cluster: Cluster, method: str, path: str, body: object = None, **options: Any) -> int:
    try:
        cluster.request(method, path, body, **options)
    except Refused as error:
        return error.code
    return 200


def on_aws(client: Any, known: Mapping[str, Any], without: Mapping[str, str]) -> Iterator[Attempt]:
    """Every operation of a boto3 client; `known` are values by member name, given wherever a member of that name exists.

    `without` are operations left out, with the reason.
    """
    model = client.meta.service_model
    for method, operation in sorted(client.meta.method_to_api_mapping.items()):
        if operation in without:
            continue
        shape = model.operation_model(operation).input_shape
        arguments = _structure(shape, known, ()) if shape is not None else {}
        yield Attempt(f"{model.service_name}:{operation}", _call(getattr(client, method), arguments))


def _call(method: Callable[..., Any], arguments: dict[str, Any]) -> Callable[[], int]:
    from botocore.exceptions import ClientError

    def run() -> int:
        try:
            answer = method(**arguments)
        except ClientError as error:
            return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
        return int(answer["ResponseMetadata"]["HTTPStatusCode"]) if isinstance(answer, dict) else 200

    return run


def _structure(shape: Any, known: Mapping[str, Any], seen: tuple[str, ...]) -> dict[str, Any]:
    """Values for the members that are required or known."""
    wanted = [name for name in shape.members if name in shape.required_members or name in known]
    if getattr(shape, "is_tagged_union", False) and not wanted:
        wanted = list(shape.members)[:1]
    return {name: known[name] if name in known else _value(shape.members[name], known, seen) for name in wanted}


def _value(shape: Any, known: Mapping[str, Any], seen: tuple[str, ...]) -> Any:
    if shape.type_name == "structure":
        return {} if shape.name in seen else _structure(shape, known, (*seen, shape.name))
    if shape.type_name == "list":
        return [_value(shape.member, known, seen)]
    if shape.type_name == "map":
        return {}
    if shape.type_name == "string":
        return shape.enum[0] if shape.enum else "x" * max(1, shape.metadata.get("min", 1))
    plain: dict[str, Any] = {"boolean": True, "blob": b"x", "timestamp": datetime.datetime.now(datetime.UTC)}
    return plain.get(shape.type_name, shape.metadata.get("min", 1))
