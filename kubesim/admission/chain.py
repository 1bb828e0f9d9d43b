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
from kubesim.admission.lifecycle import NamespaceLifecycle
from kubesim.admission.limits import LimitRanger
from kubesim.admission.priority import Priority
from kubesim.admission.request import AdmissionRequest, Plugin
from kubesim.admission.resourcequota import ResourceQuota
from kubesim.admission.storage import DefaultStorageClass, StorageObjectInUseProtection
from kubesim.admission.tolerations import DefaultTolerationSeconds
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
        self._authorizer = authorizer
        self._defaults = defaults
        self.plugins: tuple[Plugin, ...] = (
            NamespaceLifecycle(),
            LimitRanger(),
            ServiceAccount(),
            Priority(),
            DefaultTolerationSeconds(),
            StorageObjectInUseProtection(),
            DefaultStorageClass(),
            ResourceQuota(),  # last, as in Kubernetes: nobody is refused for a quota who would have been refused anyway
        )

    async def mutate(self, request: AdmissionRequest, reader: Reader) -> None:
        """Change `request.obj` as plug-ins and webhooks want it. Raises ApiError."""
        await accounts.patience(request, reader)
        for plugin in self.plugins:
            plugin.mutate(request, reader)

    async def validate_webhooks(self, request: AdmissionRequest, reader: Reader) -> None:
        """Ask the validating webhooks. Raises ApiError."""

    def validate_final(self, request: AdmissionRequest, reader: Reader) -> None:
        """The plug-ins' last word. Raises ApiError; awaits nothing, so that what was checked is what is written."""
        for plugin in self.plugins:
            plugin.validate(request, reader)
