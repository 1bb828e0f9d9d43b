"""The Notebook controller as a program."""

from __future__ import annotations

from collections.abc import Mapping

from kubeflow_lite import controllers
from kubeflow_lite.kube.client import Client
from kubeflow_lite.kube.config import Access
from kubeflow_lite.notebooks.controller import NotebookController
from kubeflow_lite.notebooks.desired import NAME_LABEL
from kubeflow_lite.watching import Kind

_CHILDREN = "app.kubernetes.io/managed-by=notebook-controller"
KINDS = (
    Kind("kubeflow.org", "v1", "notebooks", "Notebook"),
    Kind("apps", "v1", "statefulsets", "StatefulSet", _CHILDREN),
    Kind("", "v1", "services", "Service", _CHILDREN),
    Kind("", "v1", "pods", "Pod", NAME_LABEL),
)


async def run(access: Access, environment: Mapping[str, str], *, address: str, port: int) -> None:
    async with Client(access) as client:
        await controllers.run(NotebookController(client), client, access, KINDS, address=address, port=port)
