"""Permissions that show only once a request is known: making an object takes `create`, however it is asked for.

A PATCH (server-side apply) and a PUT may make what is not there; their own verbs are not enough for that. And a connection into a pod takes
`create` also where a WebSocket opens it with GET.
"""

from __future__ import annotations

from kubesim.admission.request import AdmissionRequest, Plugin
from kubesim.auth.attributes import Attributes
from kubesim.auth.rbac import Authorizer
from kubesim.auth.reader import Reader

_CONNECTIONS = ("attach", "exec", "portforward")


class CreatePermission(Plugin):
    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def validate(self, request: AdmissionRequest, reader: Reader) -> None:
        made = request.operation == "CREATE" and not request.subresource
        connected = request.operation == "CONNECT" and request.subresource in _CONNECTIONS
        if (made or connected) and not self._may(request, name="" if made else request.name):
            self._authorizer.check(self._attributes(request, name=request.name))

    def _may(self, request: AdmissionRequest, *, name: str) -> bool:
        """As a POST would be asked: without the name, which is in the body."""
        return self._authorizer.authorize(self._attributes(request, name=name)).allowed

    def _attributes(self, request: AdmissionRequest, *, name: str) -> Attributes:
        return Attributes(
            request.user,
            "create",
            group=request.resource.group,
            version=request.resource.version,
            resource=request.resource.plural,
            subresource=request.subresource,
            namespace=request.namespace,
            name=name,
        )
