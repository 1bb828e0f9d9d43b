"""Configuration files of clusters, from the templates in k8s/: what differs between clusters is there, as data."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from lab.host.files import write_private
from lab.kube import manifests
from lab.settings import Settings

KIND = manifests.K8S / "kind.yaml"


def values(settings: Settings, *, folder: Path, address: str) -> dict[str, str]:
    """What the templates are filled in with; `address` is this machine as the cluster's own programs reach it."""
    aws = f"http://{address}:{settings.standin_port}"
    return {
        "FOLDER": str(folder),
        "REGISTRY": registry(settings),
        "ENDPOINT": aws,
        "WEBHOOK_URL": f"{aws}/_awssim/eks/token-review",
        **{f"{key.upper()}_PORT": str(value) for key, value in settings.ports.model_dump().items()},
    }


def registry(settings: Settings) -> str:
    """The real name of ECR's registry."""
    return f"{settings.account}.dkr.ecr.{settings.region}.amazonaws.com"


def write(folder: Path, files: Mapping[str, str], given: Mapping[str, str]) -> None:
    """Each file of `files` (its name below `folder`, its template in k8s/), for this user and root alone, whole at every moment."""
    for name, template in files.items():
        write_private(folder / name, manifests.filled(manifests.K8S / template, given))


def kind(given: Mapping[str, str], *, name: str, nodes: int) -> dict[str, Any]:
    """k8s/kind.yaml with as many nodes as wanted; only the first has ports on this machine."""
    (config,) = manifests.read(KIND, {**given, "NAME": name})
    worker = {key: value for key, value in config["nodes"][0].items() if key != "extraPortMappings"}
    config["nodes"] += [deepcopy(worker) | {"role": "worker"} for _ in range(nodes - 1)]
    return config


def node_image() -> str:
    """The node image that k8s/kind.yaml pins by digest."""
    line = next(line for line in KIND.read_text().splitlines() if line.strip().startswith("image:"))
    return line.split(":", 1)[1].strip()
