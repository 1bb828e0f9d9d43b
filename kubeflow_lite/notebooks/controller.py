"""The Notebook controller: applies what a Notebook stands for, and mirrors back what became of it. A key is "namespace/name"."""

from __future__ import annotations

from collections.abc import Callable

from kubeflow_lite.apply import RESOURCES
from kubeflow_lite.errors import ApiError, Conflict
from kubeflow_lite.kube.client import Client
from kubeflow_lite.notebooks import status as states
from kubeflow_lite.notebooks.desired import NAME_LABEL, complaint, desired
from kubeflow_lite.objects import Object, deleting, labels, name, namespace, now

NOTEBOOKS = "kubeflow.org/v1/notebooks"


class NotebookController:
    def __init__(self, client: Client, *, clock: Callable[[], str] = now) -> None:
        self._client = client
        self._clock = clock

    def noticed(self, event: str | None, obj: Object) -> str | None:
        """A pod or child points to its Notebook by label; the server-side selectors let no others through."""
        owner = name(obj) if obj["kind"] == "Notebook" else labels(obj).get(NAME_LABEL)
        return f"{namespace(obj)}/{owner}" if owner else None

    async def reconcile(self, key: str) -> None:
        where, _, notebook_name = key.partition("/")
        notebook = await self._client.find(NOTEBOOKS, notebook_name, where)
        if notebook is None or deleting(notebook):
            # Garbage collection takes the children.
            return
        if problem := complaint(notebook):
            await self._report(notebook, states.refused(notebook, "InvalidName", problem, at=self._clock()))
            return
        try:
            applied = [await self._client.apply(RESOURCES[part["kind"]], part) for part in desired(notebook)]
        except Conflict:
            raise
        except ApiError as error:
            await self._report(
                notebook, states.refused(notebook, error.reason or "Error", error.message, at=self._clock())
            )
            raise
        pod = await self._client.find("v1/pods", f"{notebook_name}-0", where)
        await self._report(notebook, states.mirrored(notebook, applied[-1], pod))

    async def _report(self, notebook: Object, status: Object) -> None:
        if patch := states.change(notebook, status):
            await self._client.patch(NOTEBOOKS, name(notebook), patch, namespace(notebook), subresource="status")
