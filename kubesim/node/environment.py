"""A container's environment, and `$(NAME)` in its command: pure, given the ConfigMaps, Secrets and Services it names."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction

from kubesim import quantity
from kubesim.resources import Object

Lookup = Callable[[str, str], "Object | None"]
"""(kind, name) -> a ConfigMap ("configmaps") or Secret ("secrets") of the pod's namespace, or None."""


class ConfigError(Exception):
    """The container cannot be configured; the message is Kubernetes's (CreateContainerConfigError)."""


def build(
    pod: Object,
    container: Object,
    *,
    lookup: Lookup,
    services: Mapping[str, str],
    node: Object,
    base: Mapping[str, str],
) -> dict[str, str]:
    """Later wins: base (image and node), Services, envFrom, env. `$(NAME)` in a value means what is known so far of the pod's own."""
    own = dict(services)
    for source in container.get("envFrom") or []:
        own |= _from_source(source, lookup)
    for item in container.get("env") or []:
        value = _value(pod, container, item, lookup, node, own)
        if value is not None:
            own[item["name"]] = value
    return {**base, **own}


def _from_source(source: Object, lookup: Lookup) -> dict[str, str]:
    prefix = source.get("prefix", "")
    for field, kind, word in (("configMapRef", "configmaps", "configmap"), ("secretRef", "secrets", "secret")):
        if reference := source.get(field):
            found = lookup(kind, reference["name"])
            if found is None:
                if reference.get("optional"):
                    return {}
                raise ConfigError(f'{word} "{reference["name"]}" not found')
            return {prefix + key: value.decode(errors="replace") for key, value in data_of(kind, found).items()}
    return {}


def data_of(kind: str, found: Object) -> dict[str, bytes]:
    """What a ConfigMap or Secret holds, binary data decoded."""
    if kind == "secrets":
        return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}
    text = {key: value.encode() for key, value in (found.get("data") or {}).items()}
    return text | {key: base64.b64decode(value) for key, value in (found.get("binaryData") or {}).items()}


def _value(
    pod: Object, container: Object, item: Object, lookup: Lookup, node: Object, known: Mapping[str, str]
) -> str | None:
    source = item.get("valueFrom")
    if not source:
        return expand(item.get("value", ""), known)
    if reference := source.get("fieldRef"):
        return field(pod, reference["fieldPath"])
    if reference := source.get("resourceFieldRef"):
        return resource_field(pod, reference, node=node, container=container)
    for name, kind, word in (("configMapKeyRef", "configmaps", "ConfigMap"), ("secretKeyRef", "secrets", "Secret")):
        if reference := source.get(name):
            return _key(kind, word, reference, lookup, pod["metadata"]["namespace"])
    return None


def _key(kind: str, word: str, reference: Object, lookup: Lookup, namespace: str) -> str | None:
    found = lookup(kind, reference["name"])
    if found is None:
        if reference.get("optional"):
            return None
        raise ConfigError(f'{word.lower()} "{reference["name"]}" not found')
    data = data_of(kind, found)
    if reference["key"] not in data:
        if reference.get("optional"):
            return None
        raise ConfigError(f"couldn't find key {reference['key']} in {word} {namespace}/{reference['name']}")
    return data[reference["key"]].decode(errors="replace")


_SUBSCRIPT = re.compile(r"^metadata\.(labels|annotations)\['(.*)'\]$")


def field(pod: Object, path: str) -> str:
    """The downward API's fields."""
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    if match := _SUBSCRIPT.match(path):
        return str((metadata.get(match[1]) or {}).get(match[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        entries = metadata.get(path.rpartition(".")[2]) or {}
        return "\n".join(f'{key}="{_escaped(value)}"' for key, value in sorted(entries.items()))
    known: dict[str, str] = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "spec.restartPolicy": spec.get("restartPolicy", ""),
        "status.hostIP": status.get("hostIP", ""),
        "status.hostIPs": ",".join(item["ip"] for item in status.get("hostIPs") or []),
        "status.podIP": status.get("podIP", ""),
        "status.podIPs": ",".join(item["ip"] for item in status.get("podIPs") or []),
    }
    return known.get(path, "")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def resource_field(pod: Object, reference: Object, *, node: Object, container: Object | None = None) -> str:
    """A request or limit, in units of the divisor, rounded up; a limit that is not set is the node's allocatable."""
    if name := reference.get("containerName"):
        everyone = [*(pod["spec"].get("containers") or []), *(pod["spec"].get("initContainers") or [])]
        container = next((one for one in everyone if one["name"] == name), container)
    kind, _, resource = reference["resource"].partition(".")
    resources = (container or {}).get("resources") or {}
    value = (resources.get(kind) or {}).get(resource)
    if value is None:
        value = (node["status"]["allocatable"]).get(resource, "0") if kind == "limits" else "0"
    divisor = quantity.parse(reference.get("divisor") or "1") or Fraction(1)
    return str(math.ceil(quantity.parse(value) / divisor))


_REFERENCE = re.compile(r"\$(?:\$|\(([^()\s]+)\))")


def expand(text: str, known: Mapping[str, str]) -> str:
    """`$(NAME)` where NAME is known; `$$(NAME)` is a literal `$(NAME)`."""
    return _REFERENCE.sub(lambda match: known.get(match[1], match[0]) if match[1] else "$", text)


def expand_all(words: Sequence[str], known: Mapping[str, str]) -> list[str]:
    return [expand(word, known) for word in words]


def service_variables(services: Iterable[Object], namespace: str, *, links: bool) -> dict[str, str]:
    """NAME_SERVICE_HOST and friends, of the pod's namespace (if enableServiceLinks) and of the API itself."""
    found: dict[str, str] = {}
    for service in services:
        metadata, address = service["metadata"], service["spec"].get("clusterIP")
        api = (metadata["namespace"], metadata["name"]) == ("default", "kubernetes")
        if address in (None, "", "None") or not (api or (links and metadata["namespace"] == namespace)):
            continue
        found |= _variables(metadata["name"].upper().replace("-", "_"), address, service["spec"].get("ports") or [])
    return found


def _variables(name: str, address: str, ports: Sequence[Object]) -> dict[str, str]:
    if not ports:
        return {}
    first = ports[0]
    found = {f"{name}_SERVICE_HOST": address, f"{name}_SERVICE_PORT": str(first["port"])}
    protocol = first.get("protocol", "TCP").lower()
    found[f"{name}_PORT"] = f"{protocol}://{address}:{first['port']}"
    for port in ports:
        if port.get("name"):
            found[f"{name}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
        kind = port.get("protocol", "TCP")
        prefix = f"{name}_PORT_{port['port']}_{kind}"
        found[prefix] = f"{kind.lower()}://{address}:{port['port']}"
        found |= {f"{prefix}_PROTO": kind.lower(), f"{prefix}_PORT": str(port["port"]), f"{prefix}_ADDR": address}
    return found
