"""How controllers, the scheduler and the node see the cluster: as one user of its API.

`Client` is the Protocol. Inside the server it is implemented in process (`kubesim.api.local.LocalClient`): the same layers (authorization,
admission, validation, store) without HTTP, so that a thousand reconciles cost no sockets. Every failure is a `kubesim.errors.ApiError`.
Objects that come back are shared with the server and must not be changed: `kubesim.resources.clone` first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal, Protocol

from kubesim.resources import Object

PatchKind = Literal["json", "merge", "strategic", "apply"]


@dataclass(frozen=True)
class ObjectList:
    """A list, and the resourceVersion a watch continues from."""

    items: list[Object]
    resource_version: str


@dataclass(frozen=True)
class Event:
    """One watch event: ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: Object


class Client(Protocol):
    """The verbs of the API. `resource` is a `Resource.key` such as "v1/pods" or "apps/v1/deployments"."""

    async def get(self, resource: str, name: str, namespace: str = "", *, subresource: str = "") -> Object: ...

    async def list(
        self, resource: str, namespace: str = "", *, label_selector: str = "", field_selector: str = ""
    ) -> ObjectList: ...

    async def create(
        self, resource: str, body: Object, namespace: str = "", *, name: str = "", subresource: str = ""
    ) -> Object:
        """POST. `name` is given only with a subresource (eviction, binding, token)."""
        ...

    async def update(self, resource: str, body: Object, *, subresource: str = "") -> Object:
        """PUT; namespace and name are the body's, its resourceVersion guards against lost updates."""
        ...

    async def patch(
        self,
        resource: str,
        name: str,
        patch: object,
        namespace: str = "",
        *,
        kind: PatchKind = "merge",
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
    ) -> Object: ...

    async def delete(
        self,
        resource: str,
        name: str,
        namespace: str = "",
        *,
        propagation: Literal["", "Orphan", "Background", "Foreground"] = "",
        uid: str = "",
        grace_seconds: int | None = None,
    ) -> Object: ...

    def watch(
        self,
        resource: str,
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[Event]:
        """Events after `resource_version`, for ever; raises Expired where that version is no longer kept."""
        ...
