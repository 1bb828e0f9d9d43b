"""Refusals in the words and the shape of the service that was asked: XML for S3, IAM and STS, JSON for ECR and EKS."""

import uuid
from typing import Any
from xml.sax.saxutils import escape

from awssim.asgi import Request, Send, closing, reply
from awssim.errors import Refused

_S3 = {
    "RequestNotYetValid": ("AccessDenied", 403),
    "HeadersNotSigned": ("AccessDenied", 403),
    "AuthorizationQueryParametersError": ("AuthorizationQueryParametersError", 400),
    "XAmzContentSHA256Mismatch": ("XAmzContentSHA256Mismatch", 400),
    "ServiceUnavailable": ("ServiceUnavailable", 503),
}
_AS_OTHERS = {
    "RequestNotYetValid": "SignatureDoesNotMatch",
    "HeadersNotSigned": "SignatureDoesNotMatch",
    "XAmzContentSHA256Mismatch": "SignatureDoesNotMatch",
}


def service_of(request: Request, scope_service: str) -> str:
    """The service a request is for: the one it is signed for, or the one ministack would route it to."""
    if scope_service:
        return "s3" if scope_service.startswith("s3") else scope_service
    from ministack.core.router import detect_service

    return str(detect_service(request.method, request.path, request.headers, request.query))


async def refuse(send: Send, request: Request, service: str, refusal: Refused) -> None:
    """Answer a request that is not let in."""
    status, headers, body = render(request, service, refusal)
    await reply(send, status, headers | closing(request), b"" if request.method == "HEAD" else body)


def render(request: Request, service: str, refusal: Refused) -> tuple[int, dict[str, str], bytes]:
    from ministack.core import iam_actions

    request_id = str(uuid.uuid4())
    if service == "s3" and (refusal.code in _S3 or refusal.status):
        code, status = _S3.get(refusal.code, (refusal.code, refusal.status))
        return _xml(code, refusal.message, status, request_id)
    code = refusal.code if service == "s3" else _AS_OTHERS.get(refusal.code, refusal.code)
    if code not in iam_actions._AUTH_FAILURES:
        return _other(service, refusal, request_id)
    status, headers, body = iam_actions.access_denied_response(
        service, "", "", request_id, error_code=code, message=refusal.message, headers=request.headers
    )
    return status, {**_strings(headers), "x-amzn-requestid": request_id}, body


def _other(service: str, refusal: Refused, request_id: str) -> tuple[int, dict[str, str], bytes]:
    from ministack.core.responses import error_response_json

    status = refusal.status or 400
    if service in ("s3", "iam", "sts"):
        return _xml(refusal.code, refusal.message, status, request_id)
    code, headers, body = error_response_json(refusal.code, refusal.message, status)
    return code, _strings(headers), body


def _xml(code: str, message: str, status: int, request_id: str) -> tuple[int, dict[str, str], bytes]:
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message>'
        f"<RequestId>{request_id}</RequestId></Error>"
    )
    return status, {"content-type": "application/xml", "x-amz-request-id": request_id}, body.encode()


def _strings(headers: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in headers.items()}
