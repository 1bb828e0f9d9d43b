"""The admission webhook's one path. PodDefaults are listed for each pod, as stock does: one made a moment ago counts.

A cache would save one small request per pod and could miss exactly the PodDefault that a pod was created for, so there is none. When the
list fails, the pod is refused (failurePolicy is Fail for the same reason): a pod without its PodDefaults is a wrong pod.
"""

from __future__ import annotations

import logging

from aiohttp import web

from kubeflow_lite.errors import KubeflowError
from kubeflow_lite.kube.client import Client
from kubeflow_lite.objects import Object
from kubeflow_lite.poddefaults import review

log = logging.getLogger(__name__)

PATH = "/apply-poddefault"
POD_DEFAULTS = "kubeflow.org/v1alpha1/poddefaults"
_LARGEST = 8 * 1024 * 1024


def application(client: Client) -> web.Application:
    async def apply_poddefault(http: web.Request) -> web.Response:
        request = _admission_request(await _json(http))
        return web.json_response(review.review(await _answer(client, request)))

    app = web.Application(client_max_size=_LARGEST)
    app.add_routes([web.post(PATH, apply_poddefault)])
    return app


async def _answer(client: Client, request: Object) -> Object:
    if not review.wants(request):
        return review.allow(request)
    try:
        defaults = await client.list(POD_DEFAULTS, request["namespace"])
    except KubeflowError as error:
        log.warning("cannot list poddefaults of %s: %s", request["namespace"], error)
        return review.refuse(
            request, f"cannot read the poddefaults of namespace {request['namespace']}: {error}", code=500
        )
    response = review.answer(request, defaults.items)
    if not response["allowed"]:
        log.warning("%s", response["status"]["message"])
    return response


async def _json(http: web.Request) -> object:
    if http.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text=f"contentType={http.content_type}, expect application/json\n")
    try:
        return await http.json()
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"not JSON: {error}\n") from error


def _admission_request(body: object) -> Object:
    """What may be relied upon in an AdmissionReview; anything else is a 400."""
    request = body.get("request") if isinstance(body, dict) and body.get("kind") == "AdmissionReview" else None
    if not isinstance(request, dict) or "uid" not in request:
        raise web.HTTPBadRequest(text="expect an AdmissionReview with a request\n")
    pod = request.get("object")
    if review.new_pod(request) and not (isinstance(pod, dict) and (pod.get("spec") or {}).get("containers")):
        raise web.HTTPBadRequest(text="expect a pod with containers as the request's object\n")
    request.setdefault("namespace", "")
    return request
