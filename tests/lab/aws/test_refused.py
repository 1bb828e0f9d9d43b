"""What a call that failed tells: whose fault it is decides what to type next."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, SSLError

from lab.aws.clients import refused

DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "not yours"}}, "PutObject")
ADDRESS = "https://s3.ap-northeast-2.amazonaws.com"


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (DENIED, "AWS refused PutObject: AccessDenied: not yours", ""),
        (
            EndpointConnectionError(endpoint_url="http://127.0.0.1:4566/"),
            "the AWS stand-in does not answer",
            "./inv up",
        ),
        (EndpointConnectionError(endpoint_url=ADDRESS), f"AWS cannot be asked: .*{ADDRESS}", "./inv doctor"),
        (SSLError(endpoint_url=ADDRESS, error=Exception("self-signed")), "SSL validation failed", "./inv doctor"),
        (NoCredentialsError(), "AWS cannot be asked: Unable to locate credentials", "./inv doctor"),
    ],
)
def test_a_call_that_failed(error: Exception, message: str, hint: str) -> None:
    told = refused(error)
    with pytest.raises(type(told), match=message):
        raise told
    assert hint in told.hint
