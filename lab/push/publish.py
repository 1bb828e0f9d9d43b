"""`invoke build --push`: the course's two images into tenants' ECR repositories, by the engine's own push, each as its tenant.

The engine pushes to 127.0.0.1, which it takes without TLS; the registry is the same under its real name, so a node that pulls
123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/... (certs.d, registries.yaml) finds what was pushed. The image gets that name here too.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from lab.aws.clients import refused
from lab.build import engine
from lab.build.images import Built
from lab.errors import LabError
from lab.messages import t
from lab.push.source import repository
from lab.settings import Tenant
from lab.world import World

PUSHED = ("serving", "training")
"""The images that the course has students push; the others are the lab's own."""


@dataclass(frozen=True)
class Published:
    reference: str
    digest: str


def publish(
    world: World, built: Sequence[Built], people: Sequence[Tenant], *, tag: str = "", say: Callable[[str], None] = print
) -> list[Published]:
    """Raises LabError with the engine's words where a push is refused. Without a `tag` it is what the image was built of."""
    client = engine.connect()
    chosen = [item for item in built if item.image.dockerfile.parent.name in PUSHED]
    done = []
    for tenant in people:
        auth = _auth(world, tenant)
        for item in chosen:
            done.append(_one(client, world, item, tenant, tag or item.pinned.rpartition("-")[2], auth))
            say(f"✓ {done[-1].reference}")
    return done


def _auth(world: World, tenant: Tenant) -> dict[str, str]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        token = world.aws_as(tenant)("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    except (BotoCoreError, ClientError) as error:
        raise refused(error) from None
    user, _, password = b64decode(token).decode().partition(":")
    return {"username": user, "password": password}


def _one(client: Any, world: World, item: Built, tenant: Tenant, tag: str, auth: Mapping[str, str]) -> Published:
    from docker.errors import APIError

    name = repository(tenant, item.image.dockerfile.parent.name)
    real = f"{world.settings.account}.dkr.ecr.{world.settings.region}.amazonaws.com/{name}"
    place = f"{urlsplit(world.aws.endpoint('ecr')).netloc}/{name}" if world.aws.endpoint("ecr") else real
    image = client.images.get(item.id)
    for repo in dict.fromkeys((real, place)):
        image.tag(repo, tag)
    try:
        events = client.api.push(place, tag=tag, auth_config=dict(auth), stream=True, decode=True)
        return Published(f"{real}:{tag}", _digest(events, f"{real}:{tag}"))
    except APIError as error:
        raise LabError(
            t("{real}:{tag} was not pushed: {explanation}", real=real, tag=tag, explanation=error.explanation),
            t("is the lab up? ./inv up"),
        ) from None


def _digest(events: Iterator[Mapping[str, Any]], reference: str) -> str:
    digest = ""
    for event in events:
        if "error" in event:
            raise LabError(
                t("{reference} was not pushed: {error}", reference=reference, error=event["error"]),
                t("aws ecr describe-repositories shows the tenant's own"),
            )
        digest = event.get("aux", {}).get("Digest", digest)
    return digest
