"""What a cluster has before anyone asks for anything: its namespaces, its default roles, and the Service of the API itself."""

from __future__ import annotations

from kubesim.admission import priority
from kubesim.auth import bootstrap as roles
from kubesim.auth.reader import Reader
from kubesim.client import Client
from kubesim.resources import Object

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


async def run(client: Client, reader: Reader, address: str, port: int, *, service_ip: str) -> None:
    """Creates what is missing and repairs what must be so; harmless to repeat."""
    for name in NAMESPACES:
        await _ensure(
            client, reader, "v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        )
    for key, obj in roles.pending(reader):
        await (client.update(key, obj) if "resourceVersion" in obj["metadata"] else client.create(key, obj))
    for class_ in priority.SYSTEM_CLASSES:
        await _ensure(client, reader, "scheduling.k8s.io/v1/priorityclasses", class_)
    await _ensure(client, reader, "v1/services", _service(service_ip))
    await _endpoints(client, reader, address, port)


async def _ensure(client: Client, reader: Reader, key: str, obj: Object) -> None:
    metadata = obj["metadata"]
    if reader.get(key, metadata.get("namespace", ""), metadata["name"]) is None:
        await client.create(key, obj)


def _service(cluster_ip: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "type": "ClusterIP",
            "clusterIP": cluster_ip,
            "clusterIPs": [cluster_ip],
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}],
        },
    }


async def _endpoints(client: Client, reader: Reader, address: str, port: int) -> None:
    """Where the API really is; its port may differ from start to start."""
    ports = [{"name": "https", "port": port, "protocol": "TCP"}]
    endpoints: Object = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": [{"addresses": [{"ip": address}], "ports": ports}],
    }
    piece: Object = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": ports,
    }
    for key, obj in (("v1/endpoints", endpoints), ("discovery.k8s.io/v1/endpointslices", piece)):
        found = reader.get(key, "default", "kubernetes")
        if found is None:
            await client.create(key, obj)
        else:
            await client.update(key, obj | {"metadata": found["metadata"]})
