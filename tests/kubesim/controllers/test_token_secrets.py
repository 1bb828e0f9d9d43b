"""Secrets of type kubernetes.io/service-account-token: filled, and gone with their account."""

from __future__ import annotations

import base64

from kubesim.auth.authenticate import Credentials
from kubesim.controllers.kinds import SECRETS, SERVICE_ACCOUNTS
from kubesim.resources import Object
from tests.kubesim.controllers.world import World


def secret(account: str) -> Object:
    annotations = {"kubernetes.io/service-account.name": account}
    metadata = {"name": "lasting", "namespace": "default", "annotations": annotations}
    return {"metadata": metadata, "type": "kubernetes.io/service-account-token"}


async def test_a_secret_is_filled_with_a_token_that_the_server_takes(world: World) -> None:
    account = await world.client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "robot", "namespace": "default"}})
    await world.client.create(SECRETS, secret("robot"))
    filled = await world.until(SECRETS, lambda found: found.get("data"), name="lasting")
    data = {key: base64.b64decode(value).decode() for key, value in filled["data"].items()}
    assert data["namespace"] == "default"
    assert data["ca.crt"]
    assert filled["metadata"]["annotations"]["kubernetes.io/service-account.uid"] == account["metadata"]["uid"]
    server = world.cluster.server
    user = await server.authenticator.authenticate(Credentials(authorization=f"Bearer {data['token']}"))
    assert user.name == "system:serviceaccount:default:robot"
    await world.client.delete(SERVICE_ACCOUNTS, "robot", "default")
    await world.gone(SECRETS, "lasting")
