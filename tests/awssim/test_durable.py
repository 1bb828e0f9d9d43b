"""What is compared with the disk before its answer goes out, and what cannot have changed anything."""

import pytest

from awssim.asgi import Message, Receive, Request, Scope, Send, reply
from awssim.layers.durable import Durable


class Noted:
    """In the place of the stand: what was saved."""

    def __init__(self) -> None:
        self.saved: list[str] = []

    def save(self, service: str) -> None:
        self.saved.append(service)


async def answered(scope: Scope, receive: Receive, send: Send) -> None:
    await reply(send, 200, {})


@pytest.mark.parametrize(
    ("service", "method", "operation", "saved"),
    [
        ("ecr", "POST", "DescribeImages", []),
        ("ecr", "POST", "ListImages", []),
        ("ecr", "POST", "CreateRepository", ["ecr"]),
        ("ecr", "POST", "PutLifecyclePolicy", ["ecr"]),
        ("ecr", "POST", "", ["ecr"]),
        ("s3", "GET", "", []),
        ("s3", "PUT", "", ["s3"]),
        ("iam", "GET", "", ["iam"]),
        ("iam", "POST", "ListUsers", ["iam"]),
    ],
)
async def test_a_call_that_may_write_is_saved_before_it_is_answered(
    service: str, method: str, operation: str, saved: list[str]
) -> None:
    stand, sent = Noted(), list[Message]()
    headers = {"x-amz-target": f"AmazonEC2ContainerRegistry_V20150921.{operation}"} if operation else {}
    request = Request(method, "/bucket", "/bucket", {}, headers)

    async def send(message: Message) -> None:
        assert stand.saved == saved
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    scope: Scope = {"method": method, "awssim.service": service, "awssim.request": request}
    await Durable(answered, stand)(scope, receive, send)  # type: ignore[arg-type]  # only `save` is asked of it
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
