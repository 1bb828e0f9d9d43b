"""ControllerRevisions: the templates a StatefulSet or DaemonSet has had, which `kubectl rollout history` and `undo` read."""

from __future__ import annotations

from collections.abc import Iterable

from kubesim.controllers.kinds import REVISIONS, owner_reference
from kubesim.controllers.meta import digest, encode
from kubesim.controllers.runtime import Cluster
from kubesim.errors import AlreadyExists
from kubesim.resources import Object

HASH_LABEL = "controller.kubernetes.io/hash"
POD_LABEL = "controller-revision-hash"


def template_patch(owner: Object) -> Object:
    """What a revision keeps: a strategic merge patch that puts the template back."""
    return {"spec": {"template": owner["spec"]["template"] | {"$patch": "replace"}}}


def template_of(revision: Object) -> Object:
    """The pod template a revision keeps."""
    template: Object = revision["data"]["spec"]["template"]
    return {name: value for name, value in template.items() if name != "$patch"}


def owned(cluster: Cluster, owner: Object) -> list[Object]:
    """The owner's revisions, oldest first."""
    found = cluster.informer(REVISIONS).controlled(owner["metadata"]["uid"])
    return sorted(found, key=lambda r: (r["revision"], r["metadata"]["creationTimestamp"], r["metadata"]["name"]))


async def current(cluster: Cluster, resource: str, owner: Object) -> Object:
    """The revision of the owner's template as it is now: found, renumbered when an old template came back, or made."""
    revisions = owned(cluster, owner)
    data = template_patch(owner)
    following = 1 + max((r["revision"] for r in revisions), default=0)
    same = next((r for r in reversed(revisions) if r["data"] == data), None)
    if same is not None:
        if same is revisions[-1]:
            return same
        return await cluster.patch(REVISIONS, same, {"revision": following})
    return await _make(cluster, resource, owner, data, following)


async def _make(cluster: Cluster, resource: str, owner: Object, data: Object, number: int) -> Object:
    collisions = int((owner.get("status") or {}).get("collisionCount") or 0)
    while True:
        hash_ = encode(digest([data, collisions]))
        body = _body(resource, owner, data, number, hash_)
        try:
            return await cluster.create(REVISIONS, body, owner["metadata"]["namespace"])
        except AlreadyExists:
            found = await cluster.client.get(REVISIONS, body["metadata"]["name"], owner["metadata"]["namespace"])
            if found["data"] == data:
                return found
            collisions += 1


def _body(resource: str, owner: Object, data: Object, number: int, hash_: str) -> Object:
    labels = (owner["spec"]["template"].get("metadata") or {}).get("labels") or {}
    metadata = {
        "name": f"{owner['metadata']['name']}-{hash_}",
        "namespace": owner["metadata"]["namespace"],
        "labels": labels | {HASH_LABEL: hash_},
        "ownerReferences": [owner_reference(resource, owner)],
    }
    return {"metadata": metadata, "data": data, "revision": number}


async def trim(cluster: Cluster, owner: Object, live: Iterable[str]) -> None:
    """Delete the oldest revisions that no pod has, beyond revisionHistoryLimit."""
    kept = set(live)
    limit = owner["spec"].get("revisionHistoryLimit", 10)
    unused = [r for r in owned(cluster, owner) if r["metadata"]["name"] not in kept]
    for revision in unused[: max(0, len(unused) - limit)]:
        await cluster.delete(REVISIONS, revision)
