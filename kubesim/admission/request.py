"""One write on its way to the store, as the admission plug-ins see it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from kubesim.auth.attributes import refuse
from kubesim.auth.reader import Reader
from kubesim.auth.user import User
from kubesim.errors import Forbidden
from kubesim.resources import Object, Resource

Operation = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]


@dataclass(slots=True)
class AdmissionRequest:
    """`obj` is the request's own copy, which mutating plug-ins change; `old` is the store's and is never changed.

    DELETE has only `old`, CREATE only `obj`; CONNECT (exec, attach, port-forward, proxy) has the options as `obj`. Names are generated before
    admission, so `name` is empty only where a deletion is of a collection. A patch is an UPDATE; what it makes new, a CREATE.
    """

    resource: Resource
    operation: Operation
    user: User
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    obj: Object | None = None
    old: Object | None = None
    dry_run: bool = False
    options: Object | None = None
    warnings: list[str] = field(default_factory=list)

    def creates(self, key: str) -> bool:
        """Whether this makes a new object of that kind."""
        return self.operation == "CREATE" and self.resource.key == key and not self.subresource

    def updates(self, key: str, *, subresource: str = "") -> bool:
        return self.operation == "UPDATE" and self.resource.key == key and self.subresource == subresource

    @property
    def body(self) -> dict[str, Any]:
        """`obj` of a request that has one."""
        assert self.obj is not None, f"{self.operation} without an object"
        return self.obj

    def forbid(self, why: str) -> Forbidden:
        """`pods "x" is forbidden: why`."""
        return refuse(self.resource.group, self.resource.plural, name=self.name, why=why)


class Plugin:
    """One admission plug-in. Both methods are synchronous: whoever waits, waits before (`Chain.mutate`).

    `kinds` are the kinds it has a say on, by `Resource.key`; None: on every kind.
    """

    kinds: ClassVar[Collection[str] | None] = None

    def mutate(self, request: AdmissionRequest, reader: Reader) -> None:
        """Change `request.obj`. Runs again after a webhook has changed the object, so doing it twice must do no more than once."""

    def validate(self, request: AdmissionRequest, reader: Reader) -> None:
        """Raise an ApiError to refuse. Nothing is awaited between this and the store's write."""
