"""AdmissionReview v1: the question put to a webhook, and its answer read."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from kubesim.admission.request import AdmissionRequest
from kubesim.auth.attributes import quote
from kubesim.errors import ApiError
from kubesim.resources import Object

API_VERSION = "admission.k8s.io/v1"
_OPTIONS = {
    "CREATE": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
    "UPDATE": {"kind": "UpdateOptions", "apiVersion": "meta.k8s.io/v1"},
    "DELETE": {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"},
    "CONNECT": None,
}
WARNING_LENGTH = 256
"""Characters of one warning that are passed on."""


class BadAnswer(Exception):
    """What came back is no answer to the question."""


@dataclass(frozen=True)
class Answer:
    allowed: bool
    patch: Sequence[Object] = ()
    warnings: Sequence[str] = ()
    result: Mapping[str, Any] | None = None


def question(request: AdmissionRequest, uid: str) -> Object:
    """The AdmissionReview that asks about a request."""
    return {"kind": "AdmissionReview", "apiVersion": API_VERSION, "request": attributes(request) | {"uid": uid}}


def attributes(request: AdmissionRequest) -> Object:
    """The request as webhooks and their match conditions see it."""
    resource = request.resource
    subject = request.obj or request.old or {}
    group, _, version = str(subject.get("apiVersion") or resource.api_version).rpartition("/")
    kind = {"group": group, "version": version, "kind": str(subject.get("kind") or resource.kind)}
    where = {"group": resource.group, "version": resource.version, "resource": resource.plural}
    body: Object = {"kind": kind, "resource": where, "requestKind": kind, "requestResource": where}
    if request.subresource:
        body |= {"subResource": request.subresource, "requestSubResource": request.subresource}
    body |= {key: value for key, value in (("name", request.name), ("namespace", request.namespace)) if value}
    return body | {
        "operation": request.operation,
        "userInfo": request.user.body(),
        "object": request.obj,
        "oldObject": request.old,
        "dryRun": request.dry_run,
        "options": request.options or _OPTIONS[request.operation],
    }


def answer(raw: bytes, uid: str, *, mutating: bool) -> Answer:
    """Reads what a webhook answered. Raises BadAnswer."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadAnswer(f"expected response.uid={quote(uid)}, got a body that is no JSON") from error
    if not isinstance(body, dict) or (body.get("apiVersion"), body.get("kind")) != (API_VERSION, "AdmissionReview"):
        got = (
            f"{body.get('apiVersion', '')}, Kind={body.get('kind', '')}"
            if isinstance(body, dict)
            else type(body).__name__
        )
        raise BadAnswer(f"expected webhook response of {API_VERSION}, Kind=AdmissionReview, got {got}")
    response = body.get("response")
    if not isinstance(response, dict):
        raise BadAnswer("webhook response was absent")
    if response.get("uid") != uid:
        raise BadAnswer(f"expected response.uid={quote(uid)}, got {quote(str(response.get('uid', '')))}")
    return Answer(
        allowed=response.get("allowed") is True,
        patch=_patch(response, mutating=mutating),
        warnings=_warnings(response.get("warnings")),
        result=response.get("status") if isinstance(response.get("status"), dict) else None,
    )


def _patch(response: Mapping[str, Any], *, mutating: bool) -> Sequence[Object]:
    encoded = response.get("patch")
    if not encoded:
        return ()
    if not mutating:
        raise BadAnswer("a validating webhook may not return response.patch")
    if response.get("patchType") != "JSONPatch":
        raise BadAnswer("webhook returned response.patch but not response.patchType")
    try:
        operations = orjson.loads(base64.b64decode(encoded))
    except (binascii.Error, orjson.JSONDecodeError, TypeError, ValueError) as error:
        raise BadAnswer(f"response.patch is no JSON patch in base64: {error}") from error
    if not isinstance(operations, list):
        raise BadAnswer("response.patch is no list")
    return operations


def _warnings(texts: object) -> Sequence[str]:
    """One line each, that a header can carry."""
    return [" ".join(str(text).split())[:WARNING_LENGTH] for text in texts] if isinstance(texts, list) else ()


def denial(name: str, result: Mapping[str, Any] | None) -> ApiError:
    """The refusal, in Kubernetes's words, with the code and the reason the webhook gave."""
    result = result or {}
    why = result.get("message") or result.get("reason")
    denied = f"admission webhook {quote(name)} denied the request"
    code = result.get("code")
    code = code if isinstance(code, int) and 400 <= code < 600 else 400
    details = result.get("details")
    message = f"{denied}: {why}" if why else f"{denied} without explanation"
    return _Denied.of(message, code, str(result.get("reason") or ""), details if isinstance(details, dict) else {})


class _Denied(ApiError):
    """An ApiError whose code and reason are the webhook's."""

    @classmethod
    def of(cls, message: str, code: int, reason: str, details: Mapping[str, Any]) -> ApiError:
        made: type[ApiError] = type(cls.__name__, (cls,), {"code": code, "reason": reason})
        return made(message, details=dict(details))

    def status(self) -> dict[str, Any]:
        body = super().status()
        if not self.reason:
            del body["reason"]
        return body
