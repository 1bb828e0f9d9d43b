"""The admission plug-ins, in the order in which every write meets them.

    await chain.mutate(request, reader)             plug-ins change the object, then mutating webhooks
    ... the API server validates the object ...
    await chain.validate_webhooks(request, reader)  validating webhooks
    chain.validate_final(request, reader)           plug-ins judge the object; then, with no await between, the store's write

All four steps are taken for CREATE, UPDATE (patches too) and DELETE; CONNECT has no write.
"""

from __future__ import annotations

from collections.abc import Callable

from kubesim.admission import accounts
from kubesim.admission.accounts import ServiceAccount
from kubesim.admission.escalation import RoleEscalation
from kubesim.admission.ingress import DefaultIngressClass
from kubesim.admission.lifecycle import NamespaceLifecycle
from kubesim.admission.limits import LimitRanger
from kubesim.admission.permission import CreatePermission
from kubesim.admission.podsecurity import PodSecurity
from kubesim.admission.priority import Priority
from kubesim.admission.request import AdmissionRequest, Plugin
from kubesim.admission.resourcequota import ResourceQuota
from kubesim.admission.signing import CertificateRequests
from kubesim.admission.storage import DefaultStorageClass, PersistentVolumeClaimResize, StorageObjectInUseProtection
from kubesim.admission.tolerations import DefaultTolerationSeconds
from kubesim.admission.webhooks.dispatch import Webhooks
from kubesim.auth.rbac import Authorizer
from kubesim.auth.reader import Reader
from kubesim.resources import Object, Resource

Defaults = Callable[[Resource, Object], object]
"""Fills in a kind's defaults, in place: what a webhook has changed gets them again."""


def _unchanged(_resource: Resource, _obj: Object) -> None:
    return None


class Chain:
    """Holds the plug-ins and what they remember between requests."""

    def __init__(self, authorizer: Authorizer, *, defaults: Defaults = _unchanged) -> None:
        self._defaults = defaults
        self._webhooks = Webhooks()
        self._by_kind: dict[str, tuple[Plugin, ...]] = {}
        self.plugins: tuple[Plugin, ...] = (
            CreatePermission(authorizer),
            NamespaceLifecycle(),
            LimitRanger(),
            ServiceAccount(),
            Priority(),
            DefaultTolerationSeconds(),
            StorageObjectInUseProtection(),
            CertificateRequests(authorizer),
            DefaultIngressClass(),
            DefaultStorageClass(),
            PersistentVolumeClaimResize(),
            PodSecurity(),
            RoleEscalation(authorizer),
            ResourceQuota(),  # last, as in Kubernetes: nobody is refused for a quota who would have been refused anyway
        )

    async def mutate(self, request: AdmissionRequest, reader: Reader) -> None:
        """Change `request.obj` as plug-ins and webhooks want it. Raises ApiError."""
        await accounts.patience(request, reader)
        self._mutate(request, reader)
        await self._webhooks.mutate(request, reader, lambda changed: self._settle(changed, reader))

    async def validate_webhooks(self, request: AdmissionRequest, reader: Reader) -> None:
        """Ask the validating webhooks. Raises ApiError."""
        await self._webhooks.validate(request, reader)

    def validate_final(self, request: AdmissionRequest, reader: Reader) -> None:
        """The plug-ins' last word. Raises ApiError; awaits nothing, so that what was checked is what is written."""
        for plugin in self._concerned(request.resource):
            plugin.validate(request, reader)

    async def close(self) -> None:
        """Close the connections to webhooks."""
        await self._webhooks.close()

    def _settle(self, request: AdmissionRequest, reader: Reader) -> None:
        """After a webhook: what it left out or added meets the defaults and the plug-ins again."""
        if request.obj is not None:
            self._defaults(request.resource, request.obj)
        self._mutate(request, reader)

    def _mutate(self, request: AdmissionRequest, reader: Reader) -> None:
        for plugin in self._concerned(request.resource):
            plugin.mutate(request, reader)

    def _concerned(self, resource: Resource) -> tuple[Plugin, ...]:
        """The plug-ins that have a say on a kind, in their order; most kinds have three."""
        found = self._by_kind.get(resource.key)
        if found is None:
            found = tuple(one for one in self.plugins if one.kinds is None or resource.key in one.kinds)
            self._by_kind[resource.key] = found
        return found
