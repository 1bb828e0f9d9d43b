"""One webhook of a MutatingWebhookConfiguration or ValidatingWebhookConfiguration, and which requests it wants to see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubesim.admission.request import AdmissionRequest
from kubesim.auth.aggregate import selects
from kubesim.auth.reader import Reader
from kubesim.resources import Object

GROUP = "admissionregistration.k8s.io"
MUTATING = f"{GROUP}/v1/mutatingwebhookconfigurations"
VALIDATING = f"{GROUP}/v1/validatingwebhookconfigurations"
NAMESPACES = "v1/namespaces"


@dataclass(frozen=True)
class Hook:
    """A webhook, with Kubernetes's defaults where the configuration says nothing."""

    name: str
    configuration: str
    body: Mapping[str, Any]

    @property
    def client(self) -> Mapping[str, Any]:
        return self.body.get("clientConfig") or {}

    @property
    def timeout(self) -> int:
        """Seconds."""
        return int(self.body.get("timeoutSeconds") or 10)

    @property
    def is_required(self) -> bool:
        """Whether a request fails where the webhook cannot be asked."""
        return str(self.body.get("failurePolicy")) != "Ignore"

    @property
    def has_side_effects(self) -> bool:
        return self.body.get("sideEffects") not in ("None", "NoneOnDryRun")

    @property
    def wants_again(self) -> bool:
        """Whether it is asked again once something after it has changed the object."""
        return str(self.body.get("reinvocationPolicy")) == "IfNeeded"

    @property
    def versions(self) -> list[str]:
        return list(self.body.get("admissionReviewVersions") or ("v1",))

    def wants(self, request: AdmissionRequest, reader: Reader) -> bool:
        rules = self.body.get("rules") or ()
        return (
            any(_rule_matches(rule, request, any_version=self._takes_any_version(request)) for rule in rules)
            and self._namespace_matches(request, reader)
            and self._object_matches(request)
        )

    def _takes_any_version(self, request: AdmissionRequest) -> bool:
        """matchPolicy Equivalent, the default: another version of a custom kind is no way past the webhook.

        It sees the object in the version of the request; Kubernetes would convert it to the version in the rule.
        """
        return request.resource.custom and str(self.body.get("matchPolicy")) != "Exact"

    def _namespace_matches(self, request: AdmissionRequest, reader: Reader) -> bool:
        selector = self.body.get("namespaceSelector")
        if not selector:
            return True
        if request.resource.key == NAMESPACES:
            namespace = request.obj or request.old
        elif request.namespace:
            namespace = reader.get(NAMESPACES, "", request.namespace)
        else:
            return True  # what is in no namespace cannot be kept out by one
        return selects(selector, _labels(namespace))

    def _object_matches(self, request: AdmissionRequest) -> bool:
        """Either the object or what it was: a label that opts out must not be a way past the webhook."""
        selector = self.body.get("objectSelector")
        present = [one for one in (request.obj, request.old) if one is not None]
        return not selector or any(selects(selector, _labels(one)) for one in present)


def hooks(key: str, reader: Reader) -> tuple[Hook, ...]:
    """All webhooks of one of the two kinds, in the order in which they are asked: by configuration name, then as listed."""
    configurations = sorted(reader.list(key), key=lambda one: str(one["metadata"]["name"]))
    return tuple(
        Hook(str(body.get("name", "")), str(one["metadata"]["name"]), body)
        for one in configurations
        for body in one.get("webhooks") or ()
    )


def _labels(obj: Object | None) -> dict[str, str]:
    return ((obj or {}).get("metadata") or {}).get("labels") or {}


def _rule_matches(rule: Mapping[str, Any], request: AdmissionRequest, *, any_version: bool) -> bool:
    resource = request.resource
    return (
        _listed(rule.get("operations"), request.operation)
        and _listed(rule.get("apiGroups"), resource.group)
        and (any_version or _listed(rule.get("apiVersions"), resource.version))
        and any(_resource_matches(str(pattern), request) for pattern in rule.get("resources") or ())
        and _scope_matches(str(rule.get("scope") or "*"), request)
    )


def _listed(values: Any, value: str) -> bool:
    return "*" in (values or ()) or value in (values or ())


def _resource_matches(pattern: str, request: AdmissionRequest) -> bool:
    """ "pods", "pods/status", "pods/*", "*/status", "*" (no subresource) or "*/*"."""
    wanted, slash, subresource = pattern.partition("/")
    if wanted not in ("*", request.resource.plural):
        return False
    return subresource in ("*", request.subresource) if slash else not request.subresource


def _scope_matches(scope: str, request: AdmissionRequest) -> bool:
    if scope == "*":
        return True
    namespaced = request.resource.namespaced and request.resource.key != NAMESPACES
    return namespaced == (scope == "Namespaced")
