"""`invoke push`: an image into a tenant's ECR repository, as that tenant, with no Docker on this machine.

What it pushes is a real OCI image with what the lab's own build of it has: the files that the Dockerfile copies, its environment, entrypoint,
user and labels. The base image and the packages are not in it (the simulator takes those of the lab's environment), and its label
`mlops-lab.contents` says so: any registry client can pull and read it, the simulator runs it, and `docker run` finds no Python in it. For one with
everything in it: `invoke build --push`. A folder that is an OCI layout (`index.json`, as skopeo writes it) is pushed as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.messages import t
from lab.push import layout, source
from lab.push.registry import Registry, login
from lab.settings import Tenant
from lab.world import World


@dataclass(frozen=True)
class Pushed:
    """What is in the registry now, under its real name."""

    reference: str
    digest: str
    size: int
    """Bytes that its layers and config have there."""


def push(
    world: World,
    image: str,
    tenant: Tenant,
    *,
    tag: str = "latest",
    repository: str = "",
    say: Callable[[str], None] = print,
) -> Pushed:
    """Raises LabError for an image that is not there, a repository that is not the tenant's, or with the registry's own words."""
    name = repository or source.repository(tenant, image)
    if name not in tenant.repositories:
        raise LabError(
            t("{name} is not a repository of {user}", name=name, user=tenant.user),
            t("one of: {names}", names=", ".join(tenant.repositories)),
        )
    reference = f"{world.settings.account}.dkr.ecr.{world.settings.region}.amazonaws.com/{name}:{tag}"
    folder = Path(image)
    found = layout.read(folder) if (folder / "index.json").is_file() else _made(world, image, reference)
    world.outside(_calls(name, tag, found))
    with login(world.aws_as(tenant), world.aws.endpoint("ecr")) as client:
        digest = _send(client, name, tag, found, say)
    return Pushed(reference, digest, found.size)


def _calls(name: str, tag: str, found: layout.Layout) -> list[str]:
    """What the registry is asked, where it has none of it yet."""
    return [
        *(f"PUT /v2/{name}/blobs/{blob.digest} ({blob.size} bytes)" for blob in found.blobs),
        f"PUT /v2/{name}/manifests/{tag}",
    ]


def _made(world: World, image: str, reference: str) -> layout.Layout:
    """Built under the registry's name: in the simulator, whose node then has it by that name as well, as if it had pulled it."""
    as_processes = world.provider.capabilities.runs_images_as == "processes"
    state = world.settings.state / ("cluster" if as_processes else "images")
    return layout.make(source.build(state, image, reference), state / "images")


def _send(client: Registry, name: str, tag: str, found: layout.Layout, say: Callable[[str], None]) -> str:
    for blob in found.blobs:
        sent = client.upload(name, blob)
        say(f"{blob.digest[7:19]}: {t('pushed') if sent else t('already exists')}  {blob.size / 1e3:.1f} kB")
    return client.put(name, tag, found.manifest, found.media_type)
