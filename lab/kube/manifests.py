"""Manifests from k8s/: read, filled in and put in the order in which a cluster takes them. Pure but for reading files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

from lab import documents
from lab.errors import LabError
from lab.kube import Object
from lab.messages import t
from lab.settings import ROOT, Settings

K8S = ROOT / "k8s"
_FIRST = (
    "CustomResourceDefinition",
    "Namespace",
    "ClusterRole",
    "Role",
    "ServiceAccount",
    "StorageClass",
    "PersistentVolume",
    "Secret",
    "ConfigMap",
)


def read(path: Path, values: Mapping[str, str] | None = None) -> list[Object]:
    """The objects of one file, or of a folder with a kustomization.yaml (its `resources`); ${NAME} is filled in from `values`."""
    if path.is_dir():
        kustomization = documents.load((path / "kustomization.yaml").read_text())
        return [item for name in kustomization["resources"] for item in read(path / name, values)]
    text = path.read_text(encoding="utf-8") if values is None else filled(path, values)
    return documents.load_all(text)


def filled(path: Path, values: Mapping[str, str]) -> str:
    """A file's text with ${NAME} from `values`; raises LabError for a name that has none."""
    try:
        return Template(path.read_text(encoding="utf-8")).substitute(values)
    except KeyError as error:
        raise LabError(
            t("{path}: no value for {error}", path=path, error=error),
            t("the placeholders are listed at the top of the file"),
        ) from None


def ordered(objects: Sequence[Object]) -> list[Object]:
    """Definitions, namespaces and what others refer to first; otherwise as written."""
    rank = {kind: index for index, kind in enumerate(_FIRST)}
    return sorted(objects, key=lambda item: rank.get(item["kind"], len(rank)))


def with_ports(objects: Sequence[Object], settings: Settings) -> list[Object]:
    """The same objects, node ports as lab.yaml has them (the manifests carry the course's own, so that they stand alone under kubectl)."""
    wanted = {
        "mlflow-service": settings.ports.mlflow,
        "iris-serving-service": settings.ports.serving,
        "centraldashboard": settings.ports.dashboard,
        "ml-pipeline-ui": settings.ports.pipelines,
    }
    return [_with_port(item, wanted) for item in objects]


def with_names(objects: Sequence[Object], settings: Settings) -> list[Object]:
    """The same objects, the operator's rule from Profile to namespace as lab.yaml names them."""
    templates = {"PROFILE_TEMPLATE": settings.names.profile, "NAMESPACE_TEMPLATE": settings.names.namespace}
    return [item | {"data": item["data"] | templates} if _is_operators_config(item) else item for item in objects]


def _is_operators_config(item: Object) -> bool:
    return bool(item["kind"] == "ConfigMap" and item["metadata"]["name"] == "kubeflow-lite")


def _with_port(item: Object, wanted: Mapping[str, int]) -> Object:
    port = wanted.get(item["metadata"]["name"])
    if item["kind"] != "Service" or port is None or item["spec"].get("type") != "NodePort":
        return item
    first, *others = item["spec"]["ports"]
    return item | {"spec": item["spec"] | {"ports": [first | {"nodePort": port}, *others]}}
