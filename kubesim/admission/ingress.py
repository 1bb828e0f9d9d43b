"""DefaultIngressClass: an Ingress that names no class gets the default one."""

from __future__ import annotations

from kubesim.admission.request import AdmissionRequest, Plugin
from kubesim.auth.reader import Reader

INGRESSES = "networking.k8s.io/v1/ingresses"
CLASSES = "networking.k8s.io/v1/ingressclasses"
DEFAULT = "ingressclass.kubernetes.io/is-default-class"
_OLD_CLASS = "kubernetes.io/ingress.class"


class DefaultIngressClass(Plugin):
    kinds = (INGRESSES,)

    def mutate(self, request: AdmissionRequest, reader: Reader) -> None:
        if not request.creates(INGRESSES) or _OLD_CLASS in (request.body["metadata"].get("annotations") or {}):
            return
        spec = request.body.setdefault("spec", {})
        if spec.get("ingressClassName") is not None:
            return
        marked = [
            one for one in reader.list(CLASSES) if (one["metadata"].get("annotations") or {}).get(DEFAULT) == "true"
        ]
        if marked:
            newest = max(
                marked, key=lambda one: (str(one["metadata"].get("creationTimestamp")), str(one["metadata"]["name"]))
            )
            spec["ingressClassName"] = newest["metadata"]["name"]
