"""`invoke build`: each image is made once for what it is made of, side by side, and found again by that.

A tag with the content's digest (`mlops-lab/mlflow:1-3f9c2ab0d417`) never moves; the name that manifests have (`mlops-lab/mlflow:1`) points at the
newest. The classic build API is used, not BuildKit: it is what the `docker` package speaks, and what every engine of the last ten years has.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from lab.build import engine, recipe, wheels
from lab.build.recipe import Recipe
from lab.clusters.base import IMAGES, Image
from lab.errors import LabError
from lab.messages import t
from lab.settings import ROOT, Settings

BASE = "python:3.11.13-slim-bookworm"
"""As the Dockerfiles' own default."""
ALL: tuple[Image, ...] = (
    *IMAGES,
    Image("mlops-lab/awssim:1", ROOT / "images/awssim/Dockerfile"),
    Image("mlops-lab/notebook:1", ROOT / "images/notebook/Dockerfile"),
)
WIDTH = 2
"""Builds at a time: they unpack and compile, so more would only share the processors."""


def choose(names: str) -> tuple[Image, ...]:
    """The images named in `names` ("serving,mlflow"), by folder or tag; all of them for an empty text."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = {key: image for image in ALL for key in (image.dockerfile.parent.name, image.tag)}
    if unknown := [name for name in wanted if name not in known]:
        raise LabError(
            t("there is no image {names}", names=", ".join(unknown)),
            t("known: {names}", names=", ".join(image.dockerfile.parent.name for image in ALL)),
        )
    return tuple(dict.fromkeys(known[name] for name in wanted)) or ALL


@dataclass(frozen=True)
class Built:
    """An image on the engine. `size` is in bytes, unpacked."""

    image: Image
    pinned: str
    id: str
    size: int
    seconds: float
    skipped: bool

    @property
    def tag(self) -> str:
        return self.image.tag


Report = Callable[[Image, str], None]
"""Told of each image's progress: "wheels", "4/12 RUN ..."."""


@dataclass(frozen=True)
class Base:
    """The base image as the engine has it."""

    name: str
    id: str
    target: wheels.Target


def build(
    images: Sequence[Image] = IMAGES,
    *,
    settings: Settings,
    base: str = "",
    report: Report = lambda image, text: None,
    done: Callable[[Built], None] = lambda built: None,
) -> list[Built]:
    """Build what has changed, tag all; answers in the order of `images`. Raises LabError with the builder's words, ToolMissing without Docker."""
    client = engine.connect()
    found = find_base(client, base or BASE)

    def one(image: Image) -> Built:
        built = _build(client, recipe.read(image), found, settings, report)
        done(built)
        return built

    with ThreadPoolExecutor(WIDTH, thread_name_prefix="build") as pool:
        return list(pool.map(one, images))


def find_base(client: Any, name: str) -> Base:
    """Pulled where it is not there; then asked what wheels it takes."""
    from docker.errors import APIError, ContainerError, ImageNotFound

    try:
        image = client.images.get(name)
    except ImageNotFound:
        image = _pull(client, name)
    command = ["python3", "-c", wheels.PROBE]
    try:
        said = client.containers.run(image.id, command, entrypoint="", network_mode="none", remove=True)
    except (APIError, ContainerError) as error:
        raise LabError(
            t("the base image {name} does not run python3: {why}", name=name, why=_explain(error)),
            "--base python:3.11-slim",
        ) from None
    return Base(name, str(image.id), wheels.parse_target(said.decode(), name))


def _pull(client: Any, name: str) -> Any:
    from docker.errors import APIError

    try:
        return client.images.pull(name)
    except APIError as error:
        raise LabError(
            t("the base image {name} is not here and cannot be pulled: {why}", name=name, why=_explain(error)),
            t("with a network: docker pull; without: docker load -i FILE, or --base IMAGE that is here"),
        ) from None


def _build(client: Any, made_of: Recipe, base: Base, settings: Settings, report: Report) -> Built:
    started, image = time.monotonic(), made_of.image
    content = made_of.digest(base=base.id, platform=base.target.name)
    pinned = f"{image.tag}-{content[:12]}"
    there = _find(client, pinned)
    if there is None:
        report(image, "wheels")
        found = wheels.provide(made_of.lock, base.target, settings.state / "wheels")
        labels = {
            "mlops-lab.image": image.tag,
            "mlops-lab.content": content,
            "org.opencontainers.image.base.name": base.name,
        }
        with tempfile.TemporaryFile() as context:
            made_of.write_context(context, found)
            context.seek(0)
            _run(client, context, image=image, pinned=pinned, base=base, labels=labels, report=report)
    built = there or client.images.get(pinned)
    name, _, tag = image.tag.rpartition(":")
    built.tag(name, tag)
    seconds = time.monotonic() - started
    return Built(image, pinned, str(built.id), int(built.attrs["Size"]), seconds, skipped=there is not None)


def _find(client: Any, name: str) -> Any:
    from docker.errors import ImageNotFound

    try:
        return client.images.get(name)
    except ImageNotFound:
        return None


def _run(
    client: Any, context: Any, *, image: Image, pinned: str, base: Base, labels: Mapping[str, str], report: Report
) -> None:
    """No network: everything is in the context, and a build that reaches out would not be the same tomorrow."""
    from docker.errors import APIError

    said: list[str] = []
    try:
        events = client.api.build(
            fileobj=context,
            custom_context=True,
            tag=pinned,
            buildargs={"PYTHON": base.name, "PIP_NO_INDEX": "1"},
            labels=dict(labels),
            network_mode="none",
            rm=True,
            forcerm=True,
            decode=True,
        )
        for line in _lines(events):
            said = [*said[-11:], line]
            if step := re.fullmatch(r"Step (\d+/\d+) : (.*)", line):
                report(image, f"{step[1]} {step[2]}")
    except APIError as error:
        raise LabError(
            t("image {tag}: {why}", tag=image.tag, why=_explain(error)), t("see {path}", path=image.dockerfile)
        ) from None
    except _Failed as error:
        raise LabError(
            t("image {tag}: {why}", tag=image.tag, why=f"{error}\n{_indent(said)}"),
            t("see {path}", path=image.dockerfile),
        ) from None


class _Failed(Exception):
    """What the builder said last."""


def _lines(events: Iterator[Mapping[str, Any]]) -> Iterator[str]:
    for event in events:
        if "error" in event:
            raise _Failed(event["error"])
        yield from (line for line in event.get("stream", "").splitlines() if line.strip())


def _indent(lines: Sequence[str]) -> str:
    return "\n".join(f"    {line}" for line in lines)


def _explain(error: Any) -> str:
    return str(getattr(error, "explanation", None) or error)
