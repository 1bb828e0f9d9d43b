"""What the images and their manifests promise each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kubesim.node import dockerfile
from tests.images.stack import ROOT

IMAGES = ("awssim", "kubeflow-lite", "mlflow", "notebook", "postgres", "serving", "training")
MANIFESTS = [*sorted((ROOT / "k8s").glob("0*.yaml")), ROOT / "k8s/postgres.yaml", ROOT / "k8s/tenant/mlflow.yaml"]


def pins(path: Path) -> dict[str, str]:
    lines = [line.split(" ")[0] for line in path.read_text().splitlines() if "==" in line and not line.startswith("#")]
    return dict(line.split("==") for line in lines)


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_is_pinned_unprivileged_and_copies_what_exists(name: str) -> None:
    text = (ROOT / f"images/{name}/Dockerfile").read_text()
    stage = dockerfile.parse(text)
    assert stage.user == "10001"
    assert ":latest" not in text
    assert "--require-hashes" in text
    for copy in stage.copies:
        assert all((ROOT / source).exists() for source in copy.sources), copy


@pytest.mark.parametrize("name", IMAGES)
def test_an_images_packages_are_the_labs_own_with_hashes_and_no_registry(name: str) -> None:
    lock = ROOT / f"images/{name}/requirements.lock"
    assert pins(lock).items() <= pins(ROOT / "requirements.lock").items()
    assert "://" not in lock.read_text()
    assert lock.read_text().count("==") <= lock.read_text().count("--hash=")


def containers() -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    found = []
    for path in MANIFESTS:
        for item in yaml.safe_load_all(path.read_text()):
            if item["kind"] in ("Deployment", "StatefulSet", "Job"):
                pod = item["spec"]["template"]["spec"]
                found += [(f"{path.name}:{one['name']}", pod, one) for one in pod["containers"]]
    return found


@pytest.mark.parametrize(("title", "pod", "container"), containers())
def test_a_container_is_restricted_bounded_and_never_pulled(
    title: str, pod: dict[str, Any], container: dict[str, Any]
) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert set(container["resources"]["requests"]) == {"cpu", "memory"} == set(container["resources"]["limits"])


def test_a_tenants_mlflow_is_the_shared_one_but_for_names() -> None:
    shared = list(yaml.safe_load_all((ROOT / "k8s/03-mlflow.yaml").read_text()))
    tenant = list(yaml.safe_load_all((ROOT / "k8s/tenant/mlflow.yaml").read_text()))
    spec = yaml.safe_dump(tenant[0]["spec"]).replace("${BUCKET}", "mlops-training-shared")
    assert yaml.safe_load(spec) == shared[0]["spec"]
    assert (tenant[1]["metadata"]["name"], shared[1]["metadata"]["name"]) == ("mlflow-server", "mlflow-service")
    assert shared[1]["spec"]["ports"][0] == tenant[1]["spec"]["ports"][0] | {"nodePort": 30500}
