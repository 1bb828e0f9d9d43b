"""Into ministack, by one door: its dispatcher of signed calls, for the service that was signed for and no other.

``ministack.app.app`` also looks at the host and the path for two dozen data planes (function addresses, websites, brokers) that check
nothing or something else. Here a request goes to the dispatcher with what our layers have established: who signed it, for which service,
on which path.
"""

import uuid
from typing import Any

from awssim import calls
from awssim.asgi import Receive, Request, Scope, Send, read_body
from awssim.errors import Refused
from awssim.refusals import refuse
from awssim.settings import Settings

_CONTROL = "/v20180820/"
_LARGEST = 64 << 20


class Dispatch:
    """The innermost application."""

    def __init__(self, ministack: Any, settings: Settings) -> None:
        self._ministack = ministack
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request, service = Request.of(scope), scope["awssim.service"]
        body = await read_body(receive, _LARGEST)
        if body is None:
            return
        establish(self._ministack, self._settings, scope, request)
        try:
            request, body = calls.one_meaning(service, request, body)
        except Refused as refusal:
            await refuse(send, request, service, refusal)
            return
        request_id = str(uuid.uuid4())
        found = self._ministack.detect_service(request.method, request.path, request.headers, request.query)
        if request.method != "OPTIONS" and found != service and not request.path.startswith(_CONTROL):
            await refuse(
                send, request, service, Refused("AccessDenied", f"The call is signed for {service}.", status=403)
            )
            return
        status, headers, content = await self._call(request, service, body, request_id)
        await self._send(send, receive, status, headers, content, head=request.method == "HEAD" and service == "s3")

    async def _call(self, request: Request, service: str, body: bytes, request_id: str) -> Any:
        app, headers = self._ministack, dict(request.headers)
        arguments = (request.method, request.path, headers, body, request.query)
        if request.method == "OPTIONS":
            return app._handle_options_request(request.method, request.path, headers, request.query, request_id)
        if service == "s3" and request.path.startswith(_CONTROL):
            return await app._handle_s3_control_request(
                request.path, request.method, body, request.query, request_id, headers
            )
        response = await app._dispatch_service_request(*arguments, request_id)
        if service == "s3" and request.method == "HEAD":
            s3 = app._get_module("s3")
            if s3.is_standard_object_request(request.method, request.path, headers, request.query):
                return s3.format_head_response(request.path, headers, response)
        return response

    async def _send(self, send: Send, receive: Receive, status: int, headers: Any, content: Any, *, head: bool) -> None:
        from ministack.core.responses import StreamingResponse

        if isinstance(content, StreamingResponse):
            await self._ministack._send_streaming_response(send, receive, status, headers, content)
        else:
            await self._ministack._send_response(send, status, headers, b"" if head else content, head=head)


def establish(ministack: Any, settings: Settings, scope: Scope, request: Request) -> str:
    """Set what ministack reads of a request from context variables, and return its region."""
    from ministack.core import iam_evaluator, responses

    client = (scope.get("client") or ("127.0.0.1",))[0]
    region = (
        str(ministack.extract_region(request.headers, request.query))
        if request.headers.get("authorization")
        else settings.region
    )
    responses.set_request_client_ip(client)
    responses.set_request_account_id(settings.account)
    responses.set_request_region(region)
    iam_evaluator.pin_request_origin(client, scope.get("scheme") == "https")
    iam_evaluator.pin_signed_request(request.method, request.raw_path, request.query, scope["headers"])
    return region


def denied_upload(
    ministack: Any, settings: Settings, scope: Scope, request: Request
) -> tuple[int, dict[str, str], bytes] | None:
    """The refusal of a PutObject or UploadPart, before its body has come; None where it is allowed."""
    from ministack.core import iam_actions, iam_evaluator

    region = establish(ministack, settings, scope, request)
    access_key = ministack.extract_access_key_id(request.headers, request.query)
    context = iam_actions.s3_service_context("s3:PutObject", request.query, request.path, request.headers)
    arn = f"arn:aws:s3:::{request.path.removeprefix('/')}"
    denied = iam_evaluator.enforce(access_key, "s3:PutObject", "s3", region, resource_arn=arn, service_context=context)
    if not denied or isinstance(denied, iam_evaluator.AuthError):
        return None
    status, headers, body = iam_actions.access_denied_response(
        "s3", "s3:PutObject", denied.principal_arn, str(uuid.uuid4()), resource_arn=arn,
        explicit_deny=denied.decision == "Deny", resource_policy_arn=denied.resource_policy_arn, headers=request.headers,
    )  # fmt: skip
    return status, headers, body
