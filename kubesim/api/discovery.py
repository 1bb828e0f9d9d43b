"""What the API serves: /api, /apis and the resource lists, in the legacy and in the aggregated form (apidiscovery.k8s.io/v2)."""

from __future__ import annotations

from kubesim.builtin import SUBRESOURCE_KINDS, SUBRESOURCE_VERSIONS
from kubesim.resources import Object, Registry, Resource


def versions(address: str) -> Object:
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def groups(registry: Registry) -> Object:
    found = [_group(name, served) for name, served in registry.groups().items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": found}


def group(registry: Registry, name: str) -> Object | None:
    served = registry.groups().get(name)
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, served)} if served and name else None


def _group(name: str, served: list[str]) -> Object:
    each = [{"groupVersion": f"{name}/{version}", "version": version} for version in served]
    return {"name": name, "versions": each, "preferredVersion": each[0]}


def resources(registry: Registry, group: str, version: str) -> Object | None:
    """The APIResourceList of one group and version; None where nothing is served there."""
    served = sorted(registry.of(group, version), key=lambda resource: resource.plural)
    if not served:
        return None
    listed = [entry for resource in served for entry in _entries(resource)]
    head = {"kind": "APIResourceList"} | ({"apiVersion": "v1"} if group else {})
    return {**head, "groupVersion": served[0].api_version, "resources": listed}


def _entries(resource: Resource) -> list[Object]:
    entry: Object = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    return [entry, *(_subresource(resource, name, verbs) for name, verbs in resource.subresources)]


def _subresource(resource: Resource, name: str, verbs: tuple[str, ...]) -> Object:
    entry: Object = {"name": f"{resource.plural}/{name}", "singularName": "", "namespaced": resource.namespaced}
    group, version = SUBRESOURCE_VERSIONS.get(name, ("", ""))
    if group:
        entry |= {"group": group, "version": version}
    return entry | {"kind": _kind(resource, name), "verbs": list(verbs)}


def _kind(resource: Resource, name: str) -> str:
    if name == "proxy":
        return f"{resource.kind}ProxyOptions"
    return SUBRESOURCE_KINDS.get(name, resource.kind)


def aggregated(registry: Registry, *, core: bool) -> Object:
    """Everything in one answer, for clients that ask for it in their Accept header."""
    items = []
    for name, served in registry.groups().items():
        if (name == "") is core:
            found = [_version(registry, name, version) for version in served]
            items.append({"metadata": {"name": name} if name else {}, "versions": found})
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _version(registry: Registry, group: str, version: str) -> Object:
    served = sorted(registry.of(group, version), key=lambda resource: resource.plural)
    return {"version": version, "resources": [_aggregated(resource) for resource in served], "freshness": "Current"}


def _aggregated(resource: Resource) -> Object:
    entry: Object = {
        "resource": resource.plural,
        "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.subresources:
        entry["subresources"] = [
            _aggregated_subresource(resource, name, verbs) for name, verbs in resource.subresources
        ]
    return entry


def _aggregated_subresource(resource: Resource, name: str, verbs: tuple[str, ...]) -> Object:
    group, version = SUBRESOURCE_VERSIONS.get(name, (resource.group, resource.version))
    kind = {"group": group, "version": version, "kind": _kind(resource, name)}
    return {"subresource": name, "responseKind": kind, "verbs": list(verbs)}
