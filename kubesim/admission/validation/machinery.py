"""CustomResourceDefinitions, webhooks, certificates and leases."""

from __future__ import annotations

from kubesim.admission.validation import meta, names
from kubesim.admission.validation.fields import Problems
from kubesim.resources import Object
from kubesim.schema import definitions


def definition(problems: Problems, obj: Object) -> None:
    for reason, path, text in definitions.problems(obj):
        getattr(problems, reason)(path, *text)


def definition_update(problems: Problems, obj: Object, old: Object) -> None:
    definition(problems, obj)
    spec, was = obj.get("spec") or {}, old.get("spec") or {}
    established = any(
        each.get("type") == "Established" and each.get("status") == "True"
        for each in (old.get("status") or {}).get("conditions") or ()
    )
    if established:
        problems.immutable("spec.scope", spec.get("scope"), was.get("scope"))
        problems.immutable(
            "spec.names.kind", (spec.get("names") or {}).get("kind"), (was.get("names") or {}).get("kind")
        )
    problems.immutable("spec.group", spec.get("group"), was.get("group"))
    problems.immutable(
        "spec.names.plural", (spec.get("names") or {}).get("plural"), (was.get("names") or {}).get("plural")
    )
    stored = (old.get("status") or {}).get("storedVersions") or ()
    served = [each.get("name") for each in spec.get("versions") or ()]
    for at, version in enumerate(stored):
        if version not in served:
            text = f"missing from spec.versions; {version} was previously a storage version, and must remain in spec.versions until "
            text += f"a storage migration ensures no data remains persisted in {version} and removes {version} from status.storedVersions"
            problems.invalid(f"status.storedVersions[{at}]", version, text)


FAILURE = ("Fail", "Ignore")
SIDE_EFFECTS = ("None", "NoneOnDryRun")
OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")


def webhooks(problems: Problems, obj: Object) -> None:
    seen: set[str] = set()
    for at, each in enumerate(obj.get("webhooks") or ()):
        here = f"webhooks[{at}]"
        name = each.get("name") or ""
        if name in seen:
            problems.duplicate(f"{here}.name", name)
        seen.add(name)
        if not name:
            problems.required(f"{here}.name")
        elif name.count(".") < 2:
            problems.invalid(f"{here}.name", name, "should be a domain with at least three segments separated by dots")
        if each.get("failurePolicy") not in (None, *FAILURE):
            problems.unsupported(f"{here}.failurePolicy", each["failurePolicy"], FAILURE)
        if each.get("sideEffects") is None:
            problems.required(f"{here}.sideEffects", "must specify one of None, NoneOnDryRun")
        elif each["sideEffects"] not in SIDE_EFFECTS:
            problems.unsupported(f"{here}.sideEffects", each["sideEffects"], SIDE_EFFECTS)
        _reviews(problems, each, here)
        seconds = each.get("timeoutSeconds")
        if seconds is not None and not 1 <= seconds <= 30:
            problems.invalid(f"{here}.timeoutSeconds", seconds, "the timeout value must be between 1 and 30 seconds")
        _client(problems, each.get("clientConfig") or {}, f"{here}.clientConfig")
        for n, rule in enumerate(each.get("rules") or ()):
            _rule(problems, rule, f"{here}.rules[{n}]")
        for field in ("namespaceSelector", "objectSelector"):
            meta.selector(problems, each.get(field), f"{here}.{field}")


def _reviews(problems: Problems, each: Object, path: str) -> None:
    versions = each.get("admissionReviewVersions") or []
    if not versions:
        problems.required(f"{path}.admissionReviewVersions", "must specify one of v1, v1beta1")
    elif not {"v1", "v1beta1"} & set(versions):
        problems.invalid(f"{path}.admissionReviewVersions", versions, "must include at least one of v1, v1beta1")


def _client(problems: Problems, config: Object, path: str) -> None:
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        problems.required(path, "exactly one of url or service is required")
    elif url is not None and not url.startswith("https://"):
        problems.invalid(
            f"{path}.url", url, "'https' is the only allowed URL scheme; desired format: https://host[/path]"
        )
    elif service is not None:
        for field in ("name", "namespace"):
            if not service.get(field):
                problems.required(f"{path}.service.{field}", f"service {field} is required")


def _rule(problems: Problems, rule: Object, path: str) -> None:
    for field in ("operations", "apiGroups", "apiVersions", "resources"):
        if not rule.get(field):
            problems.required(f"{path}.{field}")
    for at, operation in enumerate(rule.get("operations") or ()):
        if operation not in OPERATIONS:
            problems.unsupported(f"{path}.operations[{at}]", operation, OPERATIONS)
    if rule.get("scope") not in (None, "*", "Cluster", "Namespaced"):
        problems.unsupported(f"{path}.scope", rule["scope"], ["*", "Cluster", "Namespaced"])


def webhooks_update(problems: Problems, obj: Object, old: Object) -> None:
    webhooks(problems, obj)


def signing_request(problems: Problems, obj: Object) -> None:
    spec = obj.get("spec") or {}
    if not spec.get("request"):
        problems.invalid("spec.request", "", "PEM block type must be CERTIFICATE REQUEST")
    if not spec.get("usages"):
        problems.required("spec.usages")
    signer = spec.get("signerName") or ""
    if not signer:
        problems.required("spec.signerName")
    elif signer.count("/") != 1 or names.subdomain(signer.partition("/")[0]) or "." not in signer.partition("/")[0]:
        problems.invalid(
            "spec.signerName", signer, "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        )
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < 600:
        problems.invalid(
            "spec.expirationSeconds", seconds, "may not specify a duration less than 600 seconds (10 minutes)"
        )


def signing_request_update(problems: Problems, obj: Object, old: Object) -> None:
    problems.immutable("spec", obj.get("spec"), old.get("spec"))


def lease(problems: Problems, obj: Object) -> None:
    spec = obj.get("spec") or {}
    if spec.get("leaseDurationSeconds") is not None and spec["leaseDurationSeconds"] <= 0:
        problems.invalid("spec.leaseDurationSeconds", spec["leaseDurationSeconds"], "must be greater than 0")
    if spec.get("leaseTransitions") is not None and spec["leaseTransitions"] < 0:
        problems.invalid("spec.leaseTransitions", spec["leaseTransitions"], "must be greater than or equal to 0")


def lease_update(problems: Problems, obj: Object, old: Object) -> None:
    lease(problems, obj)


def api_service(problems: Problems, obj: Object) -> None:
    """Its name is the group version it is of."""
    spec, name = obj.get("spec") or {}, obj["metadata"].get("name")
    wanted = f"{spec.get('version', '')}.{spec.get('group', '')}"
    if name != wanted:
        problems.invalid("metadata.name", name, f'must be `spec.version+"."+spec.group`: "{wanted}"')
