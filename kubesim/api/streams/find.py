"""From a request to the pod and container it is about, with Kubernetes's words for what is not there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubesim.api.request import Request
from kubesim.errors import ApiError, BadRequest, NotFound
from kubesim.node.kubelet import Node
from kubesim.node.pods import PodWorker
from kubesim.node.status import Container
from kubesim.resources import Object

if TYPE_CHECKING:
    from kubesim.api.app import Server


class ServiceUnavailable(ApiError):
    """503: what is asked for cannot be reached now."""

    code = 503
    reason = "ServiceUnavailable"


@dataclass(frozen=True)
class Target:
    """A container of a pod that this node runs."""

    node: Node
    worker: PodWorker
    container: Container
    pod: Object

    @property
    def id(self) -> str:
        """The container that runs now. Raises BadRequest where none does."""
        run = self.container.run
        if run is None or not run.running:
            raise BadRequest(f'container not found ("{self.container.name}")')
        return run.id


def pod_of(server: Server, request: Request) -> Object:
    found = server.reader.get("v1/pods", request.info.namespace, request.info.name)
    if found is None:
        raise NotFound(f'pods "{request.info.name}" not found', details={"name": request.info.name, "kind": "pods"})
    return found


def worker_of(server: Server, pod: Object) -> tuple[Node, PodWorker]:
    """The node's side of a pod. Raises BadRequest for one that no node has."""
    name, host = pod["metadata"]["name"], pod["spec"].get("nodeName")
    if not host:
        raise BadRequest(f"pod {name} does not have a host assigned")
    node: Node | None = server.node
    worker = node.workers.get(pod["metadata"]["uid"]) if node is not None else None
    if node is None or worker is None:
        raise ServiceUnavailable(f"the node {host} does not run pod {name} (yet)")
    return node, worker


def container_name(pod: Object, asked: str) -> str:
    """The container that a request means. Raises BadRequest."""
    name, spec = pod["metadata"]["name"], pod["spec"]
    mains = [one["name"] for one in spec["containers"]]
    inits = [one["name"] for one in spec.get("initContainers") or []]
    if asked:
        if asked not in mains + inits:
            raise BadRequest(f"container {asked} is not valid for pod {name}")
        return asked
    if len(mains) == 1 and not inits:
        return str(mains[0])
    if len(mains) == 1:
        return str(mains[0])
    choices = f"a container name must be specified for pod {name}, choose one of: [{' '.join(mains)}]"
    raise BadRequest(choices + (f" or one of the init containers: [{' '.join(inits)}]" if inits else ""))


def target(server: Server, request: Request) -> Target:
    pod = pod_of(server, request)
    name = container_name(pod, request.query.get("container", ""))
    node, worker = worker_of(server, pod)
    container = worker.container(name)
    if container is None:
        raise BadRequest(f"container {name} is not valid for pod {pod['metadata']['name']}")
    return Target(node, worker, container, pod)


def flag(request: Request, name: str, *, default: bool = False) -> bool:
    """A boolean of the query, as Go reads it."""
    text = request.query.get(name)
    if text is None:
        return default
    if text in ("1", "t", "T", "true", "TRUE", "True", ""):
        return text != ""
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise BadRequest(f'strconv.ParseBool: parsing "{text[:64]}": invalid syntax')
