"""What a kind offers beside its verbs: status, scale, approval, finalize; binding, eviction, token; and reviews, which are kinds of their own.

Two shapes. A *view* (status, scale, ...) is read, updated and patched like an object; it changes the object behind it. A *request*
(binding, eviction, token, reviews) is posted and answered. Both work on objects, so HTTP and `LocalClient` share them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from kubesim import selectors
from kubesim.api import conditions, objects, patching, strategy
from kubesim.api.request import Call
from kubesim.errors import BadRequest, Cause, Conflict, Invalid, MethodNotAllowed, TooManyRequests
from kubesim.resources import Object, Resource, clone

if TYPE_CHECKING:
    from kubesim.api.app import Server

Post = Callable[["Server", Call, Object], Awaitable[Object]]


async def invoke(server: Server, call: Call, body: Any, media: str = "") -> Object:
    """One call on a subresource, or a POST of a kind that is answered and not stored."""
    if call.info.verb == "create":
        return await POSTS[call.resource.storage, call.info.subresource](server, call, body)
    if call.info.subresource == "scale":
        return await _scale(server, call, body, media)
    if call.info.verb == "get":
        return server.objects.get(call)
    if call.info.subresource == "ephemeralcontainers":
        raise MethodNotAllowed(
            "this cluster runs containers as processes of the host: it cannot add ephemeral containers to a pod; use kubectl exec"
        )
    if call.info.verb == "patch":
        return (await patching.apply(server.objects, call, media, body))[0]
    return await server.objects.update(call, body)


# Scale


async def _scale(server: Server, call: Call, body: Any, media: str) -> Object:
    fields = _scale_fields(server, call.resource)
    if call.info.verb == "get":
        return scale_of(server.objects.get(call), fields)

    async def make(obj: Object) -> Object:
        before = scale_of(obj, fields)
        after = server.steps.patched(call, before, body, media) if call.info.verb == "patch" else body
        _check_scale(call, after)
        guard = (after.get("metadata") or {}).get("resourceVersion")
        obj["metadata"]["resourceVersion"] = guard if guard else obj["metadata"]["resourceVersion"]
        _put(obj, fields["spec"], (after.get("spec") or {}).get("replicas", 0))
        return obj

    return scale_of(await server.objects.change(call, make), fields)


def _check_scale(call: Call, scale: Object) -> None:
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        raise BadRequest(
            'Scale in version "v1" cannot be handled as a Scale: '
            f"json: cannot unmarshal {_go(replicas)} into Go struct field ScaleSpec.spec.replicas of type int32"
        )
    if replicas < 0:
        message = f"Invalid value: {replicas}: must be greater than or equal to 0"
        raise Invalid(
            f'Scale.autoscaling "{call.name}" is invalid: spec.replicas: {message}',
            details={"name": call.name, "group": "autoscaling", "kind": "Scale"},
            causes=[Cause("FieldValueInvalid", message, "spec.replicas")],
        )


def _go(value: object) -> str:
    return {str: "string", float: "number", bool: "bool", dict: "object", list: "array"}.get(type(value), "null")


def _scale_fields(server: Server, resource: Resource) -> Mapping[str, str]:
    """Where replicas live: fixed for built-in kinds, as the CRD says for custom ones."""
    if not resource.custom:
        return {"spec": "spec.replicas", "status": "status.replicas", "selector": "spec.selector"}
    declared = server.crds.scale(resource)
    return {
        "spec": declared["specReplicasPath"].lstrip("."),
        "status": declared["statusReplicasPath"].lstrip("."),
        "selector": declared.get("labelSelectorPath", "").lstrip("."),
    }


def scale_of(obj: Object, fields: Mapping[str, str]) -> Object:
    """The autoscaling/v1 Scale of an object."""
    metadata = {
        key: obj["metadata"][key]
        for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
        if key in obj["metadata"]
    }
    status: Object = {"replicas": _take(obj, fields["status"]) or 0}
    selector = _take(obj, fields["selector"]) if fields["selector"] else None
    if selector:
        status["selector"] = selector if isinstance(selector, str) else selector_text(selector)
    replicas = _take(obj, fields["spec"]) or 0
    spec: Object = {"replicas": replicas} if replicas else {}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}


def selector_text(selector: Object) -> str:
    """A LabelSelector as the query language writes it."""
    if "matchLabels" not in selector and "matchExpressions" not in selector:
        return ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
    terms = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    words = {"In": "in", "NotIn": "notin"}
    for each in selector.get("matchExpressions") or ():
        if each["operator"] in words:
            terms.append(f"{each['key']} {words[each['operator']]} ({','.join(sorted(each['values']))})")
        else:
            terms.append(f"{'!' if each['operator'] == 'DoesNotExist' else ''}{each['key']}")
    return ",".join(terms)


def _take(obj: Any, path: str) -> Any:
    for part in path.split("."):
        obj = obj.get(part) if isinstance(obj, dict) else None
    return obj


def _put(obj: Object, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for part in parents:
        obj = obj.setdefault(part, {})
    obj[last] = value


# Requests


async def bind(server: Server, call: Call, body: Object) -> Object:
    """The scheduler's word: this pod runs on that node."""
    name = call.name or (body.get("metadata") or {}).get("name", "")
    node = (body.get("target") or {}).get("name")
    if not node:
        raise Invalid(
            f'Binding "{name}" is invalid: target.name: Required value',
            causes=[Cause("FieldValueRequired", "Required value", "target.name")],
        )
    pods = server.registry["v1/pods"]
    call = server.call(
        call.user, "update", pods, namespace=call.namespace, name=name, subresource="binding", options=call.options
    )

    def make(pod: Object) -> Object:
        details = {"name": name, "kind": "pods/binding"}
        if pod["metadata"].get("deletionTimestamp"):
            raise Conflict(
                f'Operation cannot be fulfilled on pods/binding "{name}": pod {name} is being deleted, cannot be assigned to a host',
                details=details,
            )
        if pod["spec"].get("nodeName"):
            raise Conflict(
                f'Operation cannot be fulfilled on pods/binding "{name}": pod {name} is already assigned to node "{pod["spec"]["nodeName"]}"',
                details=details,
            )
        pod["spec"]["nodeName"] = node
        annotations = (body.get("metadata") or {}).get("annotations")
        if annotations:
            pod["metadata"].setdefault("annotations", {}).update(annotations)
        conditions.put(pod.setdefault("status", {}), "PodScheduled", "True", server.objects.now())
        return pod

    await server.objects.change(call, make)
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


async def evict(server: Server, call: Call, body: Object) -> Object:
    """A delete that PodDisruptionBudgets may refuse (429)."""
    pods = server.registry["v1/pods"]
    pod = server.objects.record(pods, call.namespace, call.name).object
    chosen = objects.with_delete_options(call.options, body.get("deleteOptions") or {})
    await _disrupt(server, call, pod, dry_run=chosen.dry_run)
    await server.objects.delete(
        server.call(call.user, "delete", pods, namespace=call.namespace, name=call.name, options=chosen)
    )
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


async def _disrupt(server: Server, call: Call, pod: Object, *, dry_run: bool) -> None:
    """Asks the budgets that cover the pod, and notes the disruption in the one that allows it (a dry run only asks)."""
    if pod["metadata"].get("deletionTimestamp") or (pod.get("status") or {}).get("phase") in (
        "Succeeded",
        "Failed",
        "Pending",
    ):
        return
    kind = server.registry["policy/v1/poddisruptionbudgets"]
    found = [
        record.object
        for record in server.store.list(kind.storage, call.namespace)
        if selectors.from_label_selector(record.object["spec"].get("selector")).matches(pod["metadata"].get("labels"))
    ]
    if not found:
        return
    if len(found) > 1:
        raise objects.internal(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        )
    budget = found[0]["metadata"]["name"]

    def make(obj: Object) -> Object:
        status = obj.setdefault("status", {})
        if status.get("observedGeneration", 0) < obj["metadata"].get("generation", 0):
            raise _too_many(budget, f"The disruption budget {budget} is still being processed by the server.", retry=10)
        allowed = status.get("disruptionsAllowed", 0)
        if allowed <= 0:
            counts = f"needs {status.get('desiredHealthy', 0)} healthy pods and has {status.get('currentHealthy', 0)} currently"
            raise _too_many(budget, f"The disruption budget {budget} {counts}")
        status["disruptionsAllowed"] = allowed - 1
        status.setdefault("disruptedPods", {})[call.name] = server.objects.now()
        return obj

    if dry_run:
        make(clone(found[0]))
        return
    await server.objects.change(
        server.call(call.user, "update", kind, namespace=call.namespace, name=budget, subresource="status"), make
    )


def _too_many(budget: str, why: str, *, retry: int = 0) -> TooManyRequests:
    details: Object = {"retryAfterSeconds": retry} if retry else {}
    return TooManyRequests(
        "Cannot evict pod as it would violate the pod's disruption budget.",
        details=details,
        causes=[Cause("DisruptionBudget", why)],
    )


async def token(server: Server, call: Call, body: Object) -> Object:
    account = server.objects.record(call.resource, call.namespace, call.name).object
    return server.tokens.request(account, body)


async def review(server: Server, call: Call, body: Object) -> Object:
    strategy.check_type(call.resource, body)
    return await server.reviews.create(call.resource.kind, clone(body), call.user, call.namespace)


POSTS: dict[tuple[str, str], Post] = {
    ("bindings", ""): bind,
    ("pods", "binding"): bind,
    ("pods", "eviction"): evict,
    ("serviceaccounts", "token"): token,
    ("tokenreviews.authentication.k8s.io", ""): review,
    ("selfsubjectreviews.authentication.k8s.io", ""): review,
    ("subjectaccessreviews.authorization.k8s.io", ""): review,
    ("selfsubjectaccessreviews.authorization.k8s.io", ""): review,
    ("localsubjectaccessreviews.authorization.k8s.io", ""): review,
    ("selfsubjectrulesreviews.authorization.k8s.io", ""): review,
}
VIEWS = ("status", "scale", "approval", "finalize", "ephemeralcontainers", "resize")
