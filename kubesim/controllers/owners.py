"""Who owns what: claiming children by selector, and making pods from a template.

An owner keeps the children that carry its controller reference and match its selector, releases those that no longer match, and adopts orphans
that do. Before adopting, the API is asked whether the owner still lives, since the copy may be behind and an adopted child of a deleted owner
would be collected with it.
"""

from __future__ import annotations

from kubesim.controllers.informer import controller_uid
from kubesim.controllers.kinds import PODS, owner_reference
from kubesim.controllers.meta import deleting, is_finished, labels_of
from kubesim.controllers.runtime import Cluster
from kubesim.errors import NotFound
from kubesim.resources import Object
from kubesim.selectors import LabelSelector


async def claim(
    cluster: Cluster, owner_resource: str, owner: Object, resource: str, selector: LabelSelector
) -> list[Object]:
    """The children of `owner` among the objects of `resource`, after adopting and releasing."""
    children = cluster.informer(resource)
    mine = []
    for child in children.controlled(owner["metadata"]["uid"]):
        if selector.matches(labels_of(child)):
            mine.append(child)
        elif not deleting(owner):
            await release(cluster, resource, child, owner["metadata"]["uid"])
    if deleting(owner) or selector.empty:
        return mine
    wanted = [c for c in children.orphans(owner["metadata"].get("namespace", "")) if _adoptable(resource, c, selector)]
    if wanted and await _alive(cluster, owner_resource, owner):
        mine += [await adopt(cluster, owner_resource, owner, resource, child) for child in wanted]
    return mine


def _adoptable(resource: str, child: Object, selector: LabelSelector) -> bool:
    return selector.matches(labels_of(child)) and not deleting(child) and not (resource == PODS and is_finished(child))


async def _alive(cluster: Cluster, resource: str, owner: Object) -> bool:
    metadata = owner["metadata"]
    try:
        fresh = await cluster.client.get(resource, metadata["name"], metadata.get("namespace", ""))
    except NotFound:
        return False
    return bool(fresh["metadata"]["uid"] == metadata["uid"]) and not deleting(fresh)


async def adopt(cluster: Cluster, owner_resource: str, owner: Object, resource: str, child: Object) -> Object:
    """Make `owner` the controller of `child`."""
    references = [*(child["metadata"].get("ownerReferences") or ()), owner_reference(owner_resource, owner)]
    change = {"metadata": {"uid": child["metadata"]["uid"], "ownerReferences": references}}
    return await cluster.patch(resource, child, change)


async def release(cluster: Cluster, resource: str, child: Object, uid: str) -> None:
    """Take the owner `uid` off `child`; a child that is gone needs nothing."""
    references = [r for r in child["metadata"].get("ownerReferences") or () if r["uid"] != uid]
    try:
        await cluster.patch(
            resource, child, {"metadata": {"uid": child["metadata"]["uid"], "ownerReferences": references}}
        )
    except NotFound:
        pass


def pod_from(template: Object, resource: str, owner: Object) -> Object:
    """A new pod of `template`, controlled by `owner`, its name left to the API."""
    metadata = template.get("metadata") or {}
    kept = {name: metadata[name] for name in ("labels", "annotations", "finalizers") if metadata.get(name)}
    owned = {"generateName": owner["metadata"]["name"] + "-", "ownerReferences": [owner_reference(resource, owner)]}
    return {"metadata": kept | owned, "spec": template["spec"]}


def controlled_by(obj: Object, owner: Object) -> bool:
    return controller_uid(obj) == str(owner["metadata"]["uid"])
