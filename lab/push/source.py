"""What `invoke push IMAGE` means: one of the lab's images, or a folder with a Dockerfile; and the repository that the course has for it."""

from __future__ import annotations

from pathlib import Path

from kubesim.node.images import BuildError, ImageStore
from kubesim.node.images import Image as SimImage
from lab.clusters.base import IMAGES, Image
from lab.errors import LabError
from lab.messages import t
from lab.settings import Tenant

_FOR = {"serving": "mlops-training/{user}/iris-api", "training": "mlops-{user}-training"}
"""The course's repository for what an image does; any other goes to the tenant's first."""


def repository(tenant: Tenant, image: str) -> str:
    kind = next((kind for kind in _FOR if kind in Path(image).name), "")
    return _FOR[kind].format(user=tenant.user) if kind else tenant.repositories[0]


def build(state: Path, image: str, reference: str) -> SimImage:
    """Built anew, so that what is pushed is what the files say now; unchanged files give the same digest."""
    chosen = _find(image)
    try:
        return ImageStore(state).build(chosen.context, tag=reference, file=chosen.dockerfile)
    except BuildError as error:
        raise LabError(t("image {tag}: {why}", tag=image, why=error), t("see {path}", path=chosen.dockerfile)) from None


def _find(image: str) -> Image:
    folder = Path(image)
    if (folder / "Dockerfile").is_file():
        return Image(image, folder / "Dockerfile", folder)
    for known in IMAGES:
        if image in (known.tag, known.dockerfile.parent.name):
            return known
    raise LabError(
        t("there is no image {image!r}", image=image),
        t(
            "one of: {names}; or a folder with a Dockerfile or an OCI layout",
            names=", ".join(known.tag for known in IMAGES),
        ),
    )
