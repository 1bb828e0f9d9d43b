"""The cluster: any kind by its manifest, and errors a person can act on.

The typed half of the `kubernetes` package knows built-in kinds only; the lab applies manifests of every kind, so it sends them as they are and
finds each kind's path by discovery.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote, urlencode

import urllib3

from lab.connection import Connection, connect
from lab.errors import ClusterError
from lab.kube import images
from lab.messages import t

Object: TypeAlias = dict[str, Any]
Objects: TypeAlias = list[Object]

FIELD_MANAGER = "mlops-lab"


class NotServed(ClusterError):
    """The cluster has no such kind."""


class Refused(ClusterError):
    """The API server's Failure, with its HTTP `code` and `reason`."""

    def __init__(self, message: str, *, code: int, reason: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.code = code
        self.reason = reason

    @property
    def unknown(self) -> bool:
        """Whether the cluster does not know who asks: a wrong credential (401), or none, which is system:anonymous's (403)."""
        return self.code == 401 or '"system:anonymous"' in self.message


@dataclass(frozen=True)
class Kind:
    """Where a kind is served."""

    group_version: str
    plural: str
    namespaced: bool

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """`namespace` is left out for cluster-scoped kinds, or to mean all namespaces."""
        root = f"/apis/{self.group_version}" if "/" in self.group_version else f"/api/{self.group_version}"
        parts = [root]
        if self.namespaced and namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts += [self.plural, *(quote(part, safe=":") for part in (name, subresource) if part)]
        return "/".join(parts)


_kinds: dict[str, dict[tuple[str, str], Kind]] = {}  # by server: what is served does not depend on who asks


class Cluster:
    """One identity's view of one cluster: the kubeconfig decides who asks. Safe to use from several threads."""

    def __init__(
        self,
        kubeconfig: Path,
        context: str | None = None,
        *,
        image: Callable[[str], str] | None = None,
    ) -> None:
        """`image` gives the name by which the cluster's nodes know an image of the lab's; manifests are sent with those."""
        self.kubeconfig = kubeconfig
        self.context = context
        self._image = image
        self.environ: Mapping[
            str, str
        ] = {}  # for the sign-in program that the kubeconfig may name; set before the first request

    @cached_property
    def connection(self) -> Connection:
        return connect(self.kubeconfig, self.context, environ=self.environ)

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
        """One request, its JSON answer decoded (text where it is not JSON). Raises Refused, or ClusterError where nothing answers."""
        return _decode(
            self._send(method, path, body, query=query, content_type=content_type, accept=accept, seconds=seconds).data
        )

    def _send(
        self,
        method: str,
        path: str,
        body: object,
        *,
        query: Mapping[str, str] | None,
        content_type: str,
        accept: str,
        seconds: float,
    ) -> Any:
        connection = self.connection
        url = connection.server + path + (f"?{urlencode(query)}" if query else "")
        headers = {"Accept": accept, "Content-Type": content_type, "User-Agent": "mlops-lab", **connection.headers()}
        data = None if body is None else json.dumps(body).encode()
        with self._answering():
            answer = connection.pool.request(method, url, body=data, headers=headers, timeout=seconds, retries=False)
        if answer.status >= 400:
            raise _refused(answer.status, _decode(answer.data), method=method, path=path)
        return answer

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """What goes wrong on the wire is a ClusterError that says which cluster it was."""
        try:
            yield
        except urllib3.exceptions.HTTPError as error:
            raise ClusterError(
                t(
                    "the cluster at {server} does not answer ({error})",
                    server=self.connection.server,
                    error=type(error).__name__,
                ),
                t("is the lab up? ./inv up"),
            ) from None

    def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> Object:
        found: Object = self.request("GET", self.kind(api_version, kind).path(namespace, name))
        return found

    def find(self, api_version: str, kind: str, name: str, namespace: str = "") -> Object | None:
        """Like `get`, None where it does not exist."""
        try:
            return self.get(api_version, kind, name, namespace)
        except Refused as error:
            if error.code == 404:
                return None
            raise

    def list(self, api_version: str, kind: str, namespace: str = "", *, labels: str = "") -> list[Object]:
        """Every object of the kind; all namespaces where none is given."""
        return self.snapshot(api_version, kind, namespace, labels=labels)[0]

    def snapshot(self, api_version: str, kind: str, namespace: str = "", *, labels: str = "") -> tuple[Objects, str]:
        """A list, and the version from which `changes` goes on."""
        query = {"labelSelector": labels} if labels else {}
        answer = self.request("GET", self.kind(api_version, kind).path(namespace), query=query)
        items = [{"apiVersion": api_version, "kind": kind} | item for item in answer["items"]]
        return items, (answer.get("metadata") or {}).get("resourceVersion", "")

    def changes(
        self, api_version: str, kind: str, namespace: str = "", *, since: str, seconds: int
    ) -> Iterator[tuple[str, Object]]:
        """A watch of some seconds: each event's type and object. ERROR: the version is too old, list again."""
        query = {"watch": "true", "resourceVersion": since, "timeoutSeconds": str(seconds)}
        for line in self.lines(self.kind(api_version, kind).path(namespace), query, silence=seconds + 30):
            event = json.loads(line)
            yield event["type"], event["object"]

    def create(self, manifest: Object, *, namespace: str = "") -> Object:
        kind = self.kind(manifest["apiVersion"], manifest["kind"])
        path = kind.path(namespace or manifest.get("metadata", {}).get("namespace", ""))
        made: Object = self.request("POST", path, images.renamed(manifest, self._image))
        return made

    def apply(self, manifest: Object) -> Object:
        """Server-side apply as the lab's field manager, taking over fields that others own."""
        kind = self.kind(manifest["apiVersion"], manifest["kind"])
        meta = manifest["metadata"]
        applied: Object = self.request(
            "PATCH",
            kind.path(meta.get("namespace", "default"), meta["name"]),
            images.renamed(manifest, self._image),
            query={"fieldManager": FIELD_MANAGER, "force": "true"},
            content_type="application/apply-patch+yaml",
        )
        return applied

    def patch(
        self, api_version: str, kind: str, name: str, patch: object, namespace: str = "", *, subresource: str = ""
    ) -> Object:
        """JSON merge patch."""
        path = self.kind(api_version, kind).path(namespace, name, subresource)
        changed: Object = self.request("PATCH", path, patch, content_type="application/merge-patch+json")
        return changed

    def delete(
        self, api_version: str, kind: str, name: str, namespace: str = "", *, propagation: str = "Background"
    ) -> bool:
        """False where it was not there."""
        try:
            self.request(
                "DELETE", self.kind(api_version, kind).path(namespace, name), {"propagationPolicy": propagation}
            )
        except Refused as error:
            if error.code == 404:
                return False
            raise
        return True

    def lines(self, path: str, query: Mapping[str, str], *, silence: float | None = None) -> Iterator[str]:
        """The answer's lines as they arrive (a followed log, a watch); `silence` is how long (s) there may be none. Raises as `request` does."""
        url = self.connection.server + path + f"?{urlencode(query)}"
        headers = {"Accept": "*/*", "User-Agent": "mlops-lab", **self.connection.headers()}
        with self._answering():
            answer = self.connection.pool.request(
                "GET", url, headers=headers, timeout=silence, preload_content=False, retries=False
            )
            if answer.status >= 400:
                raise _refused(answer.status, _decode(answer.read()), method="GET", path=path)
            rest = b""
            try:
                for chunk in answer.stream(65536):
                    *whole, rest = (rest + chunk).split(b"\n")
                    for line in whole:
                        yield line.decode(errors="replace")
                if rest:
                    yield rest.decode(errors="replace")
            finally:
                answer.close()  # a caller who has seen enough leaves the rest unread; after its end the connection is back in the pool

    def kind(self, api_version: str, kind: str) -> Kind:
        """Where a kind is served, by discovery; asked again for one that is not known yet (a CRD made a moment ago)."""
        key = (api_version, kind)
        kinds = _kinds.setdefault(self.connection.server, {})
        if key not in kinds:
            kinds.update(self._discover(api_version))
        if key not in kinds:
            raise NotServed(
                t("the cluster does not serve {api_version} {kind}", api_version=api_version, kind=kind),
                t("has its CustomResourceDefinition been applied? ./inv up"),
            )
        return kinds[key]

    def _discover(self, api_version: str) -> dict[tuple[str, str], Kind]:
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        try:
            resources = self.request("GET", root)["resources"]
        except Refused as error:
            if error.code == 404:
                return {}
            raise
        plain = [item for item in resources if "/" not in item["name"]]
        return {(api_version, item["kind"]): Kind(api_version, item["name"], item["namespaced"]) for item in plain}

    def wait(
        self, ready: Callable[[], str | None], *, seconds: float, cancelled: threading.Event, every: float = 0.15
    ) -> None:
        """Until `ready()` returns None; it returns what is still missing. A timeout is a failure that names it."""
        deadline = time.monotonic() + seconds
        while (missing := ready()) is not None:
            if time.monotonic() > deadline:
                raise ClusterError(
                    t("not ready after {seconds:.0f} s: {missing}", seconds=seconds, missing=missing),
                    t("./inv status shows what runs, ./inv logs why"),
                )
            if cancelled.wait(every):
                raise ClusterError(t("given up: {missing}", missing=missing))

    def pause(self, seconds: float, until: str) -> None:
        """A moment before the next look at what others bring about; `until` says what that is."""
        time.sleep(seconds)


def _decode(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace")


def _refused(code: int, body: Any, *, method: str, path: str) -> Refused:
    if isinstance(body, dict):
        return Refused(
            str(body.get("message") or f"{method} {path}: {code}"), code=code, reason=str(body.get("reason", ""))
        )
    return Refused(f"{method} {path}: {code} {str(body).strip()[:200]}", code=code, reason="")
