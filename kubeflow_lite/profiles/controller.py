"""The Profile controller: carries `desired` out, one Profile at a time, again and again.

Level-triggered: an event only says which Profile to look at; what to do is decided from what the cluster says then. Every step is
idempotent and in a fixed order (finalizer, namespace, accounts and bindings, quota, the owner's view of the Profile, status), so the
controller may be killed between any two of them. It watches its own children by label, and works only for one that is not as desired.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from kubeflow_lite.apply import ensure, find_and_ensure
from kubeflow_lite.changes import change
from kubeflow_lite.errors import ApiError, Conflict, KubeflowError
from kubeflow_lite.kube.client import Client
from kubeflow_lite.objects import Object, annotation, controlled_by, deleting, metadata, name, namespace, now
from kubeflow_lite.profiles import desired as wanted
from kubeflow_lite.profiles import status as states
from kubeflow_lite.profiles.naming import Naming

log = logging.getLogger(__name__)

PROFILES = "kubeflow.org/v1/profiles"


class Waiting(KubeflowError):
    """Nothing to do but to come back later."""


class ProfileController:
    """`reconcile` is the work of a `WorkQueue`; `noticed` says which Profile a changed object calls for."""

    def __init__(self, client: Client, naming: Naming, *, clock: Callable[[], str] = now) -> None:
        self._client = client
        self._naming = naming
        self._clock = clock
        self._profiles: dict[str, Object] = {}
        self._holders: dict[str, str] = {}
        self._written: dict[str, str] = {}

    def noticed(self, event: str | None, obj: Object) -> str | None:
        """The Profile to reconcile because of this event, or None where the object is as it should be."""
        if obj["kind"] == "Profile":
            own = self._written.get(name(obj)) == metadata(obj).get("resourceVersion")
            return None if own and event != "DELETED" else name(obj)
        holder = controlled_by(obj, "Profile") or self._holders.get(namespace(obj) or name(obj))
        profile = self._profiles.get(holder or "")
        if profile is None:
            return None  # a Profile not looked at yet finds its children itself, one that is gone has none
        if event == "DELETED" or deleting(obj):
            return holder
        same = (part for part in wanted.desired(profile, self._namespace(profile)) if _identity(part) == _identity(obj))
        part = next(same, None)
        return holder if part is None or change(obj, part) is not None else None

    async def reconcile(self, profile_name: str) -> None:
        profile = await self._client.find(PROFILES, profile_name)
        if profile is None:
            self._forget(profile_name)
        elif deleting(profile):
            await self._finish(profile)
        else:
            self._profiles[profile_name] = profile
            self._holders[self._namespace(profile)] = profile_name
            await self._make(await self._with_finalizer(profile))

    async def _make(self, profile: Object) -> None:
        where = self._namespace(profile)
        existing = await self._client.find("v1/namespaces", where)
        if obstacle := states.obstacle(profile, existing):
            await self._report(profile, states.failed(obstacle))
            return
        if states.terminating(existing):
            message = f"namespace {where} is still being deleted"
            await self._report(profile, states.waiting("NamespaceTerminating", message))
            raise Waiting(message)
        try:
            await self._apply(profile, existing)
        except Conflict:
            raise
        except ApiError as error:
            await self._report(profile, states.waiting(error.reason or "Error", error.message))
            raise
        await self._report(profile, states.ready(where))

    async def _apply(self, profile: Object, existing: Object | None) -> None:
        """Where there was no namespace a moment ago the children are created unseen; one that exists all the same is a Conflict, and done again."""
        head, *children = wanted.desired(profile, self._namespace(profile))
        await ensure(self._client, head, existing=existing)
        for child in children:
            if existing is None:
                await ensure(self._client, child, existing=None)
            else:
                await find_and_ensure(self._client, child)
        if existing is not None and not wanted.wants_quota(profile):
            await self._client.delete("v1/resourcequotas", wanted.QUOTA, self._namespace(profile))

    async def _finish(self, profile: Object) -> None:
        """The Profile is going: take the plug-in's annotation back, then let go. Garbage collection removes the children."""
        if wanted.FINALIZER not in (metadata(profile).get("finalizers") or []):
            return
        if wanted.role_arn(profile):
            await self._revoke(profile)
        await self._finalizers(profile, [one for one in metadata(profile)["finalizers"] if one != wanted.FINALIZER])
        self._forget(name(profile))

    async def _revoke(self, profile: Object) -> None:
        where = self._namespace(profile)
        if states.obstacle(profile, await self._client.find("v1/namespaces", where)):
            return
        account = await self._client.find("v1/serviceaccounts", wanted.EDITOR, where)
        if account is not None and annotation(account, wanted.ROLE_ARN) is not None:
            patch = {"metadata": {"annotations": {wanted.ROLE_ARN: None}}}
            await self._client.patch("v1/serviceaccounts", wanted.EDITOR, patch, where)

    async def _with_finalizer(self, profile: Object) -> Object:
        present = metadata(profile).get("finalizers") or []
        return profile if wanted.FINALIZER in present else await self._finalizers(profile, [*present, wanted.FINALIZER])

    async def _finalizers(self, profile: Object, finalizers: list[str]) -> Object:
        patch = {"metadata": {"finalizers": finalizers, "resourceVersion": metadata(profile)["resourceVersion"]}}
        return self._wrote(await self._client.patch(PROFILES, name(profile), patch))

    async def _report(self, profile: Object, conditions: list[Object]) -> None:
        status = states.status(profile, self._namespace(profile), conditions, at=self._clock())
        if status is not None:
            self._wrote(await self._client.patch(PROFILES, name(profile), {"status": status}, subresource="status"))

    def _wrote(self, profile: Object) -> Object:
        """Remember our own write, so that its echo in the watch is not taken for somebody's change."""
        self._written[name(profile)] = metadata(profile)["resourceVersion"]
        return profile

    def _namespace(self, profile: Object) -> str:
        return self._naming.namespace_of(name(profile))

    def _forget(self, profile_name: str) -> None:
        self._profiles.pop(profile_name, None)
        self._written.pop(profile_name, None)
        self._holders = {where: holder for where, holder in self._holders.items() if holder != profile_name}


def _identity(obj: Object) -> tuple[str, str, str]:
    return obj["kind"], namespace(obj), name(obj)
