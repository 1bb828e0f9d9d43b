"""A Kubernetes client that reads and does not write."""

from __future__ import annotations

import re
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from lab import kube
from lab.connection import Connection, connect
from lab.dryrun import guard
from lab.dryrun.overlay import Overlay, Place, equalities, merged
from lab.dryrun.record import Record
from lab.errors import ClusterError
from lab.kube import Kind, Object, Refused

_READS = ("GET", "HEAD")
_PROXIED_READS = re.compile(r"/(search|get-\w+|list)$")
_NEW = "new"
_ANSWERS: Mapping[str, Callable[[Object], Object]] = {
    "/experiments/create": lambda body: {"experiment_id": _NEW},
    "/runs/create": lambda body: {
        "run": {
            "info": {**body, "run_id": _NEW, "status": "RUNNING"},
            "data": {"tags": body.get("tags", [])},
        }
    },
}
"""What MLflow would answer to what makes something: the name of a thing that is not there."""
_CLUSTER_SCOPED = {
    *("Namespace", "Node", "PersistentVolume", "StorageClass", "CustomResourceDefinition", "CertificateSigningRequest"),
    *("ClusterRole", "ClusterRoleBinding", "PriorityClass", "Profile", "IngressClass", "APIService"),
    *("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"),
}


_BEGINS: Mapping[str, Object] = {
    kind: {"phase": "Pending"} for kind in ("Pod", "PersistentVolumeClaim", "PersistentVolume")
}
"""The status that some kinds have from their first moment."""


class Cluster(kube.Cluster):
    """`kubeconfig` is the one that tasks read, in the scratch folder; `source` the one that requests are made with."""

    def __init__(
        self, kubeconfig: Path, *, source: Path, image: Callable[[str], str], record: Record, overlay: Overlay
    ) -> None:
        super().__init__(kubeconfig, image=image)
        self.source = source
        self.record = record
        self.overlay = overlay

    @cached_property
    def connection(self) -> Connection:
        return connect(self.source)

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        seconds: float = 30,
    ) -> Any:
        query, place = query or {}, Place.read(path)
        if _reads(method, path, body, query):
            options = {"content_type": content_type, "accept": accept, "seconds": seconds}
            return self._read(method, path, body, query=query, place=place, options=options)
        return self._note(method, path, body, query=query, place=place)

    def _read(
        self,
        method: str,
        path: str,
        body: object,
        *,
        query: Mapping[str, str],
        place: Place | None,
        options: dict[str, Any],
    ) -> Any:
        if place is None or place.subresource or method not in _READS:
            return (
                self._live(method, path, body, query=query, **options) if not self.record.new_cluster else _empty(body)
            )
        if place.name:
            return self._object(place, lambda: self._live(method, path, body, query=query, **options))
        items = [] if self.record.new_cluster else self._items(path, query, options)
        return {"items": self.overlay.over(place, items, equalities(query.get("labelSelector", "")))}

    def _object(self, place: Place, ask: Callable[[], Any]) -> Any:
        found = self.overlay.get(place) if self.overlay.knows(place) else None if self.record.new_cluster else ask()
        if found is None:
            what = f'{place.plural} "{place.name}" not found'
            raise Refused(what, code=404, reason="NotFound")
        return found

    def _items(self, path: str, query: Mapping[str, str], options: dict[str, Any]) -> list[Object]:
        try:
            answer = self._live("GET", path, None, query=query, **options)
        except Refused as error:
            if error.code == 404:  # of a kind whose definition would be applied by this very task
                return []
            raise
        return list(answer["items"])

    def _live(self, method: str, path: str, body: object, **options: Any) -> Any:
        with guard.looking():
            return super().request(method, path, body, **options)

    def _note(self, method: str, path: str, body: object, *, query: Mapping[str, str], place: Place | None) -> Any:
        if place is None or place.subresource.startswith("proxy"):
            self.record.note(method, path)
            end = next((end for end in _ANSWERS if path.endswith(end)), "")
            return _ANSWERS[end](dict(body)) if end and isinstance(body, dict) else {}
        before = self._before(method, place)
        self.record.note(method, path + (f"?{urlencode(query)}" if query else "") + _said(body, place))
        return self._written(method, place, before, body)

    def _before(self, method: str, place: Place) -> Object | None:
        """What is there. Raises Refused, as the server would, for a deletion of what is not."""
        if method == "POST":
            return None
        at = place.named(place.name)
        path = Kind(place.group_version, place.plural, bool(place.namespace)).path(place.namespace, place.name)
        try:
            found: Object = self._object(at, lambda: self._live("GET", path, None))
        except Refused as error:
            if method == "DELETE" or error.code != 404:
                raise
            return None
        return found

    def _written(self, method: str, place: Place, before: Object | None, body: object) -> Any:
        if method == "DELETE":
            self.overlay.put(place.named(place.name), None)
            return {"kind": "Status", "status": "Success"}
        if place.subresource == "token":
            return {"status": {"token": _NEW}}
        sent = body if isinstance(body, dict) else {}
        made: Object = merged(before or {}, sent)
        meta = made.setdefault("metadata", {})
        meta.setdefault("name", place.name or f"{meta.get('generateName', '')}{_NEW}")
        if place.namespace:
            meta.setdefault("namespace", place.namespace)
        meta.setdefault("creationTimestamp", "")
        meta.setdefault("generation", 1)
        made["status"] = {**_BEGINS.get(str(made.get("kind")), {}), **made.get("status", {})}
        if _is_approved(made):
            made["status"]["certificate"] = b64encode(b"(signed by the cluster)").decode()
        self.overlay.put(place.named(meta["name"]), made)
        return made

    def lines(self, path: str, query: Mapping[str, str], *, silence: float | None = None) -> Iterator[str]:
        with guard.looking():
            yield from super().lines(path, query, silence=silence)

    def kind(self, api_version: str, kind: str) -> Kind:
        if not self.record.new_cluster:
            try:
                with guard.looking():
                    return super().kind(api_version, kind)
            except Refused:
                raise
            except ClusterError:
                if kind not in {item["spec"]["names"]["kind"] for item in self.overlay.definitions()}:
                    raise
        return Kind(api_version, _plural(kind), kind not in _CLUSTER_SCOPED)

    def wait(
        self, ready: Callable[[], str | None], *, seconds: float, cancelled: threading.Event, every: float = 0.15
    ) -> None:
        """Says what would be waited for, and goes on as if it had come."""
        if (missing := ready()) is not None:
            self.record.note("wait", missing)

    def pause(self, seconds: float, until: str) -> None:
        self.record.end("wait", until)


def _reads(method: str, path: str, body: object, query: Mapping[str, str]) -> bool:
    """Reviews are stored nowhere; a dry run asked of the server changes nothing; MLflow searches by POST."""
    if method in _READS or query.get("dryRun") == "All" or path.endswith("/exec"):
        return True
    if "/proxy/" in path:
        return bool(_PROXIED_READS.search(path))
    return isinstance(body, dict) and str(body.get("kind", "")).endswith("Review")


def _empty(body: object) -> Any:
    """What a cluster that is not there yet says of itself, and to a review."""
    return {"status": {"allowed": True}} if body is not None else {}


def _said(body: object, place: Place) -> str:
    """ "  (Job iris-training-)": kind and name, never what is in it."""
    if not isinstance(body, dict) or place.subresource or place.name or "kind" not in body:
        return ""
    meta = body.get("metadata", {})
    return f"  ({body['kind']} {meta.get('name') or meta.get('generateName', '')})"


def _is_approved(item: Object) -> bool:
    conditions = item["status"].get("conditions") or []
    return item.get("kind") == "CertificateSigningRequest" and any(one["type"] == "Approved" for one in conditions)


def _plural(kind: str) -> str:
    """As Kubernetes makes names of its kinds, for a cluster that cannot be asked."""
    name = kind.lower()
    if name.endswith("endpoints"):
        return name
    if name.endswith("y"):
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith(("s", "x", "ch")) else f"{name}s"
