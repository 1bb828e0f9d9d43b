"""The paths of an OpenAPI document: what may be done to each kind, with the extensions that kubectl looks for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kubesim.resources import Object, Resource
from kubesim.schema.model import Model
from kubesim.schema.openapi.definitions import OPTIONS, STATUS, Builder, gvk

JSON = "application/json"
PATCHES = ("application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml")
STRATEGIC = "application/strategic-merge-patch+json"
LIST_QUERY = (
    ("allowWatchBookmarks", "boolean", 'allowWatchBookmarks requests watch events with type "BOOKMARK".'),
    ("continue", "string", "The continue option should be set when retrieving more results from the server."),
    (
        "fieldSelector",
        "string",
        "A selector to restrict the list of returned objects by their fields. Defaults to everything.",
    ),
    (
        "labelSelector",
        "string",
        "A selector to restrict the list of returned objects by their labels. Defaults to everything.",
    ),
    ("limit", "integer", "limit is a maximum number of responses to return for a list call."),
    (
        "resourceVersion",
        "string",
        "resourceVersion sets a constraint on what resource versions a request may be served from.",
    ),
    ("resourceVersionMatch", "string", "resourceVersionMatch determines how resourceVersion is applied to list calls."),
    ("sendInitialEvents", "boolean", "`sendInitialEvents=true` may be set together with `watch=true`."),
    ("timeoutSeconds", "integer", "Timeout for the list/watch call."),
    ("watch", "boolean", "Watch for changes to the described resources and return them as a stream of notifications."),
)
WRITE_QUERY = (
    ("dryRun", "string", "When present, indicates that modifications should not be persisted. Valid values are: - All"),
    (
        "fieldManager",
        "string",
        "fieldManager is a name associated with the actor or entity that is making these changes.",
    ),
    (
        "fieldValidation",
        "string",
        "fieldValidation instructs the server on how to handle objects with unknown or duplicate fields.",
    ),
)
FORCE = (("force", "boolean", 'Force is going to "force" Apply requests.'),)
DELETE_QUERY = (
    ("dryRun", "string", "When present, indicates that modifications should not be persisted. Valid values are: - All"),
    ("gracePeriodSeconds", "integer", "The duration in seconds before the object should be deleted."),
    ("orphanDependents", "boolean", "Deprecated: please use the PropagationPolicy."),
    ("propagationPolicy", "string", "Whether and how garbage collection will be performed."),
)
VERBS = {
    "get": ("get", "get", "read"),
    "list": ("get", "list", "list"),
    "create": ("post", "post", "create"),
    "update": ("put", "put", "replace"),
    "patch": ("patch", "patch", "patch"),
    "delete": ("delete", "delete", "delete"),
    "deletecollection": ("delete", "deletecollection", "deleteCollection"),
}
"""Each verb's HTTP method, x-kubernetes-action and first word of the operation's id."""
Query = tuple[tuple[str, str, str], ...]


def root(resource: Resource) -> str:
    return f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"


def paths(model: Model, build: Builder) -> Iterator[tuple[str, Object]]:
    """The paths of one kind."""
    resource = model.resource
    base = f"{root(resource)}/namespaces/{{namespace}}" if resource.namespaced else root(resource)
    if resource.namespaced and "list" in resource.verbs:
        yield f"{root(resource)}/{resource.plural}", _item(model, build, ("list",), everywhere=True)
    collection = tuple(verb for verb in ("deletecollection", "list", "create") if verb in resource.verbs)
    if collection:
        yield f"{base}/{resource.plural}", _item(model, build, collection)
    single = tuple(verb for verb in ("get", "update", "patch", "delete") if verb in resource.verbs)
    if single:
        yield f"{base}/{resource.plural}/{{name}}", _item(model, build, single, named=True)
    for name, verbs in resource.subresources:
        if name in SUBRESOURCES:
            known = tuple(verb for verb in ("get", "create", "update", "patch") if verb in verbs)
            yield f"{base}/{resource.plural}/{{name}}/{name}", _item(model, build, known, named=True, subresource=name)


SUBRESOURCES: dict[str, str] = {
    "status": "",
    "approval": "",
    "ephemeralcontainers": "",
    "resize": "",
    "finalize": "",
    "scale": "autoscaling.v1.Scale",
    "binding": "core.v1.Binding",
    "eviction": "policy.v1.Eviction",
    "token": "authentication.v1.TokenRequest",
}
"""Subresources whose bodies are objects, and the type of these where it is not the kind's own."""
KINDS = {
    "scale": {"group": "autoscaling", "kind": "Scale", "version": "v1"},
    "binding": {"group": "", "kind": "Binding", "version": "v1"},
    "eviction": {"group": "policy", "kind": "Eviction", "version": "v1"},
    "token": {"group": "authentication.k8s.io", "kind": "TokenRequest", "version": "v1"},
}


def _item(
    model: Model,
    build: Builder,
    verbs: tuple[str, ...],
    *,
    named: bool = False,
    everywhere: bool = False,
    subresource: str = "",
) -> Object:
    resource = model.resource
    item: Object = {}
    for verb in verbs:
        item[VERBS[verb][0]] = _operation(model, build, verb, everywhere=everywhere, subresource=subresource)
    parameters = [_path("name", f"name of the {resource.kind}")] if named else []
    if resource.namespaced and not everywhere:
        parameters.append(_path("namespace", "object name and auth scope, such as for teams and projects"))
    item["parameters"] = [_typed(build, each) for each in parameters]
    return item


def _path(name: str, about: str) -> Object:
    return {"name": name, "in": "path", "description": about, "required": True, "kind": "string"}


def _query(query: Query) -> Iterator[Object]:
    for name, kind, about in query:
        yield {"name": name, "in": "query", "description": about, "kind": kind}


def _typed(build: Builder, parameter: Object) -> Object:
    """A parameter with its type where the version wants it."""
    kind = parameter.pop("kind")
    value = (
        {"type": kind, "uniqueItems": True} if build.version == 2 else {"schema": {"type": kind, "uniqueItems": True}}
    )
    return parameter | value


def _operation(model: Model, build: Builder, verb: str, *, everywhere: bool, subresource: str) -> Object:
    resource = model.resource
    query: Query = {
        "list": LIST_QUERY,
        "create": WRITE_QUERY,
        "update": WRITE_QUERY,
        "patch": WRITE_QUERY + FORCE,
        "delete": DELETE_QUERY,
        "deletecollection": DELETE_QUERY + LIST_QUERY[1:6],
    }.get(verb, ())
    kind = _body(model, build, subresource)
    answer = build.list(model) if verb == "list" else build.reference(STATUS) if verb.startswith("delete") else kind
    group = "".join(part.capitalize() for part in (resource.group.partition(".")[0] or "core", resource.version))
    operation: Object = {
        "tags": [f"{resource.group.partition('.')[0] or 'core'}_{resource.version}"],
        "description": _about(resource, verb, subresource),
        "operationId": _operation_id(resource, verb, group=group, everywhere=everywhere, subresource=subresource),
        "parameters": [_typed(build, each) for each in _query(query)],
        "responses": _responses(build, verb, answer),
        "x-kubernetes-action": VERBS[verb][1],
        "x-kubernetes-group-version-kind": KINDS.get(subresource, gvk(resource)),
    }
    _request(build, operation, verb, kind, custom=resource.custom)
    return operation


def _body(model: Model, build: Builder, subresource: str) -> Object:
    name = SUBRESOURCES.get(subresource)
    return build.reference(name) if name else build.kind(model)


def _about(resource: Resource, verb: str, subresource: str) -> str:
    what = (
        f"{subresource} of the specified {resource.kind}"
        if subresource
        else {
            "list": f"objects of kind {resource.kind}",
            "deletecollection": f"collection of {resource.kind}",
            "create": f"a {resource.kind}",
            "delete": f"a {resource.kind}",
        }.get(verb, f"the specified {resource.kind}")
    )
    words = {
        "get": "read",
        "list": "list or watch",
        "update": "replace",
        "patch": "partially update",
        "deletecollection": "delete",
    }
    return f"{words.get(verb, verb)} {what}"


def _operation_id(resource: Resource, verb: str, *, group: str, everywhere: bool, subresource: str) -> str:
    scope = "Namespaced" if resource.namespaced and not everywhere else ""
    tail = "".join(part.capitalize() for part in re.split("[^a-z]", subresource)) + (
        "ForAllNamespaces" if everywhere else ""
    )
    return f"{VERBS[verb][2]}{group}{scope}{resource.kind}{tail}"


def _responses(build: Builder, verb: str, answer: Object) -> Object:
    body = {"schema": answer} if build.version == 2 else {"content": {JSON: {"schema": answer}}}
    codes = {
        "create": ("200", "201", "202"),
        "update": ("200", "201"),
        "patch": ("200", "201"),
        "delete": ("200", "202"),
    }
    texts = {"200": "OK", "201": "Created", "202": "Accepted"}
    found: Object = {code: {"description": texts[code], **body} for code in codes.get(verb, ("200",))}
    return found | {"401": {"description": "Unauthorized"}}


def _request(build: Builder, operation: Object, verb: str, kind: Object, *, custom: bool) -> None:
    if verb in ("get", "list"):
        return
    media = [*PATCHES, *(() if custom else (STRATEGIC,))] if verb == "patch" else [JSON]
    schema = {"type": "object"} if verb == "patch" else build.reference(OPTIONS) if verb.startswith("delete") else kind
    required = not verb.startswith("delete")
    if build.version == 2:
        operation["consumes"] = media if verb == "patch" else ["*/*"]
        operation["produces"] = [JSON]
        operation["parameters"].append(
            {"name": "body", "in": "body", **({"required": True} if required else {}), "schema": schema}
        )
        return
    if verb == "patch":
        anything = {
            "description": "Patch is provided to give a concrete name and type to the Kubernetes PATCH request body."
        }
        schema = anything
    operation["requestBody"] = {"content": {each: {"schema": schema} for each in media}} | (
        {"required": True} if required else {}
    )
