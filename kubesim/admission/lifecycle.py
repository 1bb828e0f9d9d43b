"""NamespaceLifecycle: nothing is made in a namespace that is not there or is going away, and some namespaces stay."""

from __future__ import annotations

from kubesim.admission.request import AdmissionRequest, Plugin
from kubesim.auth.reader import Reader
from kubesim.errors import Cause, NotFound

NAMESPACES = "v1/namespaces"
IMMORTAL = frozenset({"default", "kube-system", "kube-public"})


class NamespaceLifecycle(Plugin):
    def mutate(self, request: AdmissionRequest, reader: Reader) -> None:
        self.validate(request, reader)  # early, so that a missing namespace is the first thing said

    def validate(self, request: AdmissionRequest, reader: Reader) -> None:
        if request.resource.key == NAMESPACES:
            if request.operation == "DELETE" and not request.subresource and request.name in IMMORTAL:
                raise request.forbid("this namespace may not be deleted")
        elif (
            request.namespace
            and request.operation in ("CREATE", "UPDATE")
            and request.resource.group != "authorization.k8s.io"
        ):
            _check(request, reader)


def _check(request: AdmissionRequest, reader: Reader) -> None:
    name = request.namespace
    namespace = reader.get(NAMESPACES, "", name)
    if namespace is None:
        raise NotFound(f'namespaces "{name}" not found', details={"name": name, "kind": "namespaces"})
    if request.operation == "CREATE" and (namespace.get("status") or {}).get("phase") == "Terminating":
        error = request.forbid(f"unable to create new content in namespace {name} because it is being terminated")
        cause = Cause("NamespaceTerminating", f"namespace {name} is being terminated", "metadata.namespace")
        error.details["causes"] = [cause.body()]
        raise error
