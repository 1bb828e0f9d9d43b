"""Defaults of RBAC, admission, API machinery, certificates, scheduling and flow control."""

from __future__ import annotations

from kubesim.resources import Object

RBAC = "rbac.authorization.k8s.io"
SUBJECT_GROUPS = {"User": RBAC, "Group": RBAC}


def role_binding(obj: Object) -> None:
    obj["roleRef"].setdefault("apiGroup", RBAC)
    for subject in obj.get("subjects") or ():
        if subject.get("kind") in SUBJECT_GROUPS and not subject.get("apiGroup"):
            subject["apiGroup"] = SUBJECT_GROUPS[subject["kind"]]


def priority_class(obj: Object) -> None:
    obj.setdefault("preemptionPolicy", "PreemptLowerPriority")
    obj.setdefault("value", 0)


def mutating_webhooks(obj: Object) -> None:
    for webhook in obj.get("webhooks") or ():
        _webhook(webhook)
        webhook.setdefault("reinvocationPolicy", "Never")


def validating_webhooks(obj: Object) -> None:
    for webhook in obj.get("webhooks") or ():
        _webhook(webhook)


def _webhook(webhook: Object) -> None:
    webhook.setdefault("failurePolicy", "Fail")
    webhook.setdefault("matchPolicy", "Equivalent")
    webhook.setdefault("namespaceSelector", {})
    webhook.setdefault("objectSelector", {})
    webhook.setdefault("timeoutSeconds", 10)
    for rule in webhook.get("rules") or ():
        rule.setdefault("scope", "*")
    service = (webhook.get("clientConfig") or {}).get("service")
    if service:
        service.setdefault("port", 443)


def admission_policy(obj: Object) -> None:
    spec = obj["spec"]
    spec.setdefault("failurePolicy", "Fail")
    constraints = spec.get("matchConstraints")
    if constraints is not None:
        constraints.setdefault("matchPolicy", "Equivalent")
        constraints.setdefault("namespaceSelector", {})
        constraints.setdefault("objectSelector", {})
        for rule in constraints.get("resourceRules") or ():
            rule.setdefault("scope", "*")


def custom_resource_definition(obj: Object) -> None:
    spec = obj["spec"]
    spec.setdefault("conversion", {}).setdefault("strategy", "None")
    names = spec.get("names") or {}
    if names.get("kind"):
        names.setdefault("singular", names["kind"].lower())
        names.setdefault("listKind", names["kind"] + "List")
    webhook = (spec["conversion"].get("webhook") or {}).get("clientConfig") or {}
    if webhook.get("service"):
        webhook["service"].setdefault("port", 443)
    status = obj.setdefault("status", {})
    status.setdefault("acceptedNames", {})
    for name in ("plural", "kind"):
        status["acceptedNames"].setdefault(name, "")
    if not status.get("storedVersions"):
        stored = [version["name"] for version in spec.get("versions") or () if version.get("storage")]
        status["storedVersions"] = stored or None


def api_service(obj: Object) -> None:
    service = obj["spec"].get("service")
    if service:
        service.setdefault("port", 443)


def certificate_signing_request(obj: Object) -> None:
    obj["spec"].setdefault("usages", ["key encipherment", "digital signature"])


def priority_level(obj: Object) -> None:
    limited = obj["spec"].get("limited")
    if limited is not None:
        limited.setdefault("nominalConcurrencyShares", 30)
        limited.setdefault("lendablePercent", 0)
        response = limited.get("limitResponse") or {}
        queuing = response.get("queuing")
        if queuing is not None:
            queuing.setdefault("queues", 64)
            queuing.setdefault("handSize", 8)
            queuing.setdefault("queueLengthLimit", 50)
    exempt = obj["spec"].get("exempt")
    if exempt is not None:
        exempt.setdefault("nominalConcurrencyShares", 0)
        exempt.setdefault("lendablePercent", 0)


def flow_schema(obj: Object) -> None:
    obj["spec"].setdefault("matchingPrecedence", 1000)
