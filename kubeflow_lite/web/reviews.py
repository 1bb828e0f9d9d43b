"""Asks the API server who somebody is and what they may do. No list of people and no password is kept here.

A visitor shows a service account's token that was made for this program alone (`audience`): the API server itself takes no such token, so
one that leaks opens a page and nothing else. What a visitor may see is what Kubernetes says they may, asked again every few seconds, so that
whoever loses a right loses the page.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from kubeflow_lite.kube.client import Client
from kubeflow_lite.objects import Object
from kubeflow_lite.web.sessions import Identity

AUDIENCE = "centraldashboard"
_FRESH = 5.0
_PREFIX = "system:serviceaccount:"


@dataclass(frozen=True)
class Right:
    """What is asked for, in RBAC's words."""

    verb: str
    resource: str
    group: str = ""
    subresource: str = ""
    namespace: str = ""


INSTRUCT = Right("patch", "profiles", group="kubeflow.org")
"""Whoever may change any Profile is an instructor."""


def see(namespace: str) -> Right:
    return Right("list", "pods", namespace=namespace)


def enter(namespace: str) -> Right:
    """To use a Notebook of this namespace: as much as a port-forward gives."""
    return Right("create", "pods", subresource="portforward", namespace=namespace)


class Reviews:
    def __init__(self, client: Client, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._known: dict[tuple[str, Right], tuple[bool, float]] = {}

    async def who(self, token: str, audience: str = AUDIENCE) -> Identity | None:
        """Whose token this is; None for one that is not good, or not for us."""
        review = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [audience]},
        }
        status: Object = (await self._client.create("authentication.k8s.io/v1/tokenreviews", review)).get(
            "status"
        ) or {}
        # An authenticator that knows no audiences leaves them out: such a token is the API server's own, and not taken.
        if not status.get("authenticated") or audience not in (status.get("audiences") or []):
            return None
        user = status.get("user") or {}
        username = str(user.get("username") or "")
        home = username.removeprefix(_PREFIX).partition(":")[0] if username.startswith(_PREFIX) else ""
        return Identity(username, tuple(map(str, user.get("groups") or ())), home) if home else None

    async def may(self, who: Identity, right: Right) -> bool:
        now = self._clock()
        allowed, until = self._known.get((who.username, right), (False, 0.0))
        if until > now:
            return allowed
        allowed = await self._ask(who, right)
        if len(self._known) > 5000:
            self._known.clear()
        self._known[who.username, right] = (allowed, now + _FRESH)
        return allowed

    async def _ask(self, who: Identity, right: Right) -> bool:
        attributes = {
            "verb": right.verb,
            "group": right.group,
            "resource": right.resource,
            "subresource": right.subresource,
            "namespace": right.namespace,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": who.username,
                "groups": list(who.groups),
                "resourceAttributes": {key: value for key, value in attributes.items() if value},
            },
        }
        answer = await self._client.create("authorization.k8s.io/v1/subjectaccessreviews", review)
        return bool((answer.get("status") or {}).get("allowed"))
