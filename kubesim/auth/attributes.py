"""What is asked: one request as an authorizer sees it, and the words in which it is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from kubesim.auth.user import User
from kubesim.errors import Forbidden
from kubesim.resources import Resource


@dataclass(frozen=True, slots=True)
class Attributes:
    """A request for a resource, or, where `path` is set, for a path that is none.

    A request for one Namespace carries that namespace's name as its namespace too, as Kubernetes has it: `Attributes.on` sees to it.
    """

    user: User
    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @classmethod
    def on(
        cls, user: User, verb: str, resource: Resource, *, namespace: str = "", name: str = "", subresource: str = ""
    ) -> Attributes:
        if not resource.group and resource.plural == "namespaces":
            namespace = name
        return cls(
            user,
            verb,
            group=resource.group,
            version=resource.version,
            resource=resource.plural,
            subresource=subresource,
            namespace=namespace,
            name=name,
        )

    @classmethod
    def on_path(cls, user: User, method: str, path: str) -> Attributes:
        """A request for a path that is no resource: its verb is the method."""
        return cls(user, method.lower(), path=path)


class PathForbidden(Forbidden):
    """Refusing a path names no object: Kubernetes answers with details that are there and empty."""

    def status(self) -> dict[str, Any]:
        body = super().status()
        code = body.pop("code")
        return {**body, "details": self.details, "code": code}


def quote(text: str) -> str:
    """Go's %q, near enough: double quotes and escapes."""
    return json.dumps(text, ensure_ascii=False)


def forbidden(attributes: Attributes, reason: str = "") -> Forbidden:
    """The refusal, in Kubernetes's words; `reason` is what went wrong on the way (a role that does not exist)."""
    who = f"User {quote(attributes.user.name)} cannot {attributes.verb}"
    tail = f": {reason}" if reason else ""
    if attributes.path:
        return PathForbidden(f"forbidden: {who} path {quote(attributes.path)}{tail}")
    resource = f"{attributes.resource}/{attributes.subresource}" if attributes.subresource else attributes.resource
    where = f"in the namespace {quote(attributes.namespace)}" if attributes.namespace else "at the cluster scope"
    what = f"{who} resource {quote(resource)} in API group {quote(attributes.group)} {where}{tail}"
    return refuse(attributes.group, attributes.resource, name=attributes.name, why=what)


def refuse(group: str, resource: str, *, name: str, why: str) -> Forbidden:
    """`pods "x" is forbidden: why`, with the details that name the object."""
    qualified = f"{resource}.{group}" if group else resource
    named = f"{qualified} {quote(name)}" if name else qualified
    details = {key: value for key, value in (("name", name), ("group", group), ("kind", resource)) if value}
    return Forbidden(f"{named} is forbidden: {why}", details=details)
