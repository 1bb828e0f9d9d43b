"""Images on their way to nodes that run containers: built here with Docker, or taken from an unpacked bundle, as archives or by a registry."""

from __future__ import annotations

import json
import platform
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.bundle import shelf as bundled
from lab.clusters.base import Image
from lab.errors import LabError, ToolMissing
from lab.host import shell
from lab.host.files import write_private
from lab.messages import t
from lab.settings import Settings

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_SAVES_ONE_PLATFORM = (1, 48)
"""The API version from which `docker save` knows --platform."""


def architecture() -> str:
    """This machine's, in Docker's words."""
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise LabError(
            t(
                "this machine is {machine}; images are made for {architectures}",
                machine=machine,
                architectures=", ".join(ARCHITECTURES),
            )
        )
    return ARCHITECTURES[machine]


def docker(*arguments: str, seconds: float = 600) -> str:
    """The docker program; where its engine does not answer, the error says what to do."""
    try:
        return shell.run(["docker", *arguments], seconds=seconds).strip()
    except ToolMissing:
        raise ToolMissing("docker is not installed", t("install Docker, or ./inv up --cluster sim")) from None
    except LabError as error:
        if "daemon" in error.message or "docker.sock" in error.message:
            raise LabError(
                t("the Docker engine does not answer: {why}", why=error.message.splitlines()[-1]),
                t(
                    "start it (sudo systemctl start docker), or join its group (sudo usermod -aG docker $USER, then log in anew)"
                ),
            ) from None
        raise


@dataclass(frozen=True)
class Ready:
    """An image that can be brought to nodes: its name, what tells one version of it from another, and its archive where it is one already."""

    tag: str
    digest: str
    archive: Path | None = None


def ready(settings: Settings, images: Sequence[Image]) -> list[Ready]:
    """From the bundle where it has them, else built."""
    shelved = {image.tag: shelf(settings, image.tag) for image in images}
    missing = [image for image in images if shelved[image.tag] is None]
    made = {item.tag: item for item in _built(settings, missing)} if missing else {}
    return [from_shelf(tag, path) if path is not None else made[tag] for tag, path in shelved.items()]


def shelf(settings: Settings, tag: str) -> Path | None:
    """The archive of an image in a bundle that is here, if one has it."""
    return bundled.find(settings.state, f"images/{file_name(tag)}")


def file_name(tag: str) -> str:
    """ "mlops-lab/mlflow:1" -> "mlops-lab_mlflow_1.tar"; the digest of a pinned name is left out, as Docker leaves it out of archives."""
    return tag.partition("@")[0].replace("/", "_").replace(":", "_") + ".tar"


def from_shelf(tag: str, path: Path) -> Ready:
    state = path.stat()
    return Ready(tag, f"bundle {state.st_size} {state.st_mtime_ns}", path)


def _built(settings: Settings, images: Sequence[Image]) -> list[Ready]:
    from lab.build import build

    return [Ready(item.tag, item.id) for item in build(images, settings=settings)]


@contextmanager
def archive(item: Ready, folder: Path) -> Iterator[Path]:
    """The image as a file for the time of the block."""
    if item.archive is not None:
        yield item.archive
        return
    with tempfile.TemporaryDirectory(dir=folder, prefix="image-") as place:
        path = Path(place) / file_name(item.tag)
        save(item.tag, path)
        yield path


def save(tag: str, path: Path) -> None:
    """One platform only: nodes refuse an archive that names layers of others, which Docker's newer image store does not have."""
    served = docker("version", "--format", "{{.Server.APIVersion}}")
    numbers = tuple(int(part) for part in served.split(".")[:2] if part.isdigit())
    platforms = ["--platform", f"linux/{architecture()}"] if numbers >= _SAVES_ONE_PLATFORM else []
    docker("save", *platforms, "-o", str(path), tag)


def push(settings: Settings, images: Sequence[Image], name: Callable[[str], str]) -> str:
    """Every image to the registry, under the name that nodes know it by."""
    for item in ready(settings, images):
        if item.archive is not None:
            docker("load", "-i", str(item.archive))
        docker("tag", item.tag, name(item.tag))
        docker("push", name(item.tag), seconds=1800)
    return t("{images} images at {registry}", images=len(images), registry=settings.registry)


@dataclass(frozen=True)
class Loaded:
    """What the nodes have been given, so that a second `up` gives them nothing."""

    path: Path

    def read(self) -> dict[str, str]:
        try:
            found = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def has(self, item: Ready) -> bool:
        return self.read().get(item.tag) == item.digest

    def note(self, item: Ready) -> None:
        write_private(self.path, json.dumps(self.read() | {item.tag: item.digest}))
