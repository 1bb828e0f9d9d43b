"""Services, Endpoints, EndpointSlices, Ingresses and NetworkPolicies."""

from __future__ import annotations

from typing import Any

from kubesim.admission.validation import containers, meta, names
from kubesim.admission.validation.fields import Problems
from kubesim.resources import Object

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
WITH_NODE_PORTS = ("NodePort", "LoadBalancer")


def service(problems: Problems, obj: Object) -> None:
    spec = obj.get("spec") or {}
    kind, ports = spec.get("type"), spec.get("ports") or ()
    headless = spec.get("clusterIP") == "None"
    if not ports and not headless and kind != "ExternalName":
        problems.required("spec.ports")
    if kind == "ExternalName":
        _external(problems, spec)
    elif kind == "LoadBalancer" and headless:
        problems.invalid("spec.clusterIPs[0]", "None", "may not be set to 'None' for LoadBalancer services")
    elif kind == "NodePort" and headless:
        problems.invalid("spec.clusterIPs[0]", "None", "may not be set to 'None' for NodePort services")
    _ports(problems, ports, named=len(ports) > 1)
    if spec.get("selector"):
        meta.labels(problems, spec["selector"], "spec.selector")
    problems.choice("spec.sessionAffinity", spec.get("sessionAffinity"), ("ClientIP", "None"))
    _affinity(problems, spec)
    _addresses(problems, spec)
    if kind not in TYPES:
        problems.choice("spec.type", kind, TYPES)
    _node_ports(problems, spec, ports)
    _policies(problems, spec)


def _external(problems: Problems, spec: Object) -> None:
    if spec.get("clusterIP"):
        problems.forbidden("spec.clusterIPs", "may not be set for ExternalName services")
    name = (spec.get("externalName") or "").rstrip(".")
    if not name:
        problems.required("spec.externalName")
    for message in names.subdomain(name) if name else ():
        problems.invalid("spec.externalName", spec["externalName"], message)


def _ports(problems: Problems, ports: Any, *, named: bool) -> None:
    seen: set[str] = set()
    numbers: set[tuple[object, object]] = set()
    for at, each in enumerate(ports):
        here, name = f"spec.ports[{at}]", each.get("name") or ""
        if named and not name:
            problems.required(f"{here}.name")
        elif name:
            for message in names.label(name):
                problems.invalid(f"{here}.name", name, message)
            if name in seen:
                problems.duplicate(f"{here}.name", name)
            seen.add(name)
        for message in names.port_number(each.get("port", 0)):
            problems.invalid(f"{here}.port", each.get("port", 0), message)
        problems.choice(f"{here}.protocol", each.get("protocol"), containers.PROTOCOLS)
        containers.port(problems, each.get("targetPort", 0), f"{here}.targetPort")
        key = (each.get("protocol"), each.get("port"))
        if key in numbers:
            problems.duplicate(here, {field: each[field] for field in ("protocol", "port") if field in each})
        numbers.add(key)


def _affinity(problems: Problems, spec: Object) -> None:
    config = ((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get("timeoutSeconds")
    if spec.get("sessionAffinity") == "ClientIP" and config is not None and not 0 < config <= 86400:
        problems.invalid(
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds", config, "must be greater than 0 and less than 86400"
        )


def _addresses(problems: Problems, spec: Object) -> None:
    for at, address in enumerate(spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])):
        if address != "None":
            for message in names.ip(address):
                problems.invalid(f"spec.clusterIPs[{at}]", address, message)
    for at, address in enumerate(spec.get("externalIPs") or ()):
        for message in names.ip(address):
            problems.invalid(f"spec.externalIPs[{at}]", address, message)
    for at, text in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        for message in names.cidr(text.strip()):
            problems.invalid(f"spec.loadBalancerSourceRanges[{at}]", text, message)


def _node_ports(problems: Problems, spec: Object, ports: Any) -> None:
    taken: set[tuple[object, object]] = set()
    for at, each in enumerate(ports):
        here, number = f"spec.ports[{at}].nodePort", each.get("nodePort")
        if not number:
            continue
        if spec.get("type") not in WITH_NODE_PORTS:
            problems.forbidden(here, f"may not be used when `type` is '{spec.get('type')}'")
        key = (each.get("protocol"), number)
        if key in taken:
            problems.duplicate(here, number)
        taken.add(key)


def _policies(problems: Problems, spec: Object) -> None:
    external, internal = spec.get("externalTrafficPolicy"), spec.get("internalTrafficPolicy")
    if external and spec.get("type") not in WITH_NODE_PORTS and not spec.get("externalIPs"):
        problems.invalid("spec.externalTrafficPolicy", external, "may only be set for externally-accessible services")
    elif external and external not in ("Cluster", "Local"):
        problems.unsupported("spec.externalTrafficPolicy", external, ["Cluster", "Local"])
    if internal is not None and internal not in ("Cluster", "Local"):
        problems.unsupported("spec.internalTrafficPolicy", internal, ["Cluster", "Local"])


def service_update(problems: Problems, obj: Object, old: Object) -> None:
    spec, was = obj.get("spec") or {}, old.get("spec") or {}
    if was.get("type") != "ExternalName" and spec.get("type") != "ExternalName" and was.get("clusterIP"):
        new = spec.get("clusterIP") or ""
        if new != was["clusterIP"]:
            problems.invalid("spec.clusterIPs[0]", new, "may not change once set")
    service(problems, obj)


def endpoints(problems: Problems, obj: Object) -> None:
    for at, subset in enumerate(obj.get("subsets") or ()):
        here = f"subsets[{at}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            problems.required(here, "must specify `addresses` or `notReadyAddresses`")
        for kind in ("addresses", "notReadyAddresses"):
            for n, address in enumerate(subset.get(kind) or ()):
                for message in names.ip(address.get("ip", "")):
                    problems.invalid(f"{here}.{kind}[{n}].ip", address.get("ip", ""), message)
        for n, port in enumerate(subset.get("ports") or ()):
            if len(subset["ports"]) > 1 and not port.get("name"):
                problems.required(f"{here}.ports[{n}].name")
            for message in names.port_number(port.get("port", 0)):
                problems.invalid(f"{here}.ports[{n}].port", port.get("port", 0), message)
            problems.choice(f"{here}.ports[{n}].protocol", port.get("protocol"), containers.PROTOCOLS)


def endpoints_update(problems: Problems, obj: Object, old: Object) -> None:
    endpoints(problems, obj)


def endpoint_slice(problems: Problems, obj: Object) -> None:
    kind = obj.get("addressType") or ""
    problems.choice("addressType", kind, ("FQDN", "IPv4", "IPv6"))
    for at, endpoint in enumerate(obj.get("endpoints") or ()):
        here = f"endpoints[{at}].addresses"
        addresses = endpoint.get("addresses") or ()
        if not addresses:
            problems.required(here, "must contain at least 1 address")
        for n, address in enumerate(addresses if kind in ("IPv4", "IPv6") else ()):
            for message in names.ip(address):
                problems.invalid(f"{here}[{n}]", address, message)
    seen: set[str] = set()
    for at, port in enumerate(obj.get("ports") or ()):
        name = port.get("name") or ""
        if name in seen:
            problems.duplicate("ports", name)
        seen.add(name)
        problems.choice(f"ports[{at}].protocol", port.get("protocol"), containers.PROTOCOLS)


def endpoint_slice_update(problems: Problems, obj: Object, old: Object) -> None:
    endpoint_slice(problems, obj)
    problems.immutable("addressType", obj.get("addressType"), old.get("addressType"))


PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")


def ingress(problems: Problems, obj: Object) -> None:
    spec = obj.get("spec") or {}
    rules = spec.get("rules") or ()
    if not rules and spec.get("defaultBackend") is None:
        problems.invalid("spec", [], "either `defaultBackend` or `rules` must be specified")
    if spec.get("defaultBackend") is not None:
        _backend(problems, spec["defaultBackend"], "spec.defaultBackend")
    for at, rule in enumerate(rules):
        _rule(problems, rule, f"spec.rules[{at}]")
    if spec.get("ingressClassName"):
        for message in names.subdomain(spec["ingressClassName"]):
            problems.invalid("spec.ingressClassName", spec["ingressClassName"], message)


def _rule(problems: Problems, rule: Object, path: str) -> None:
    host = rule.get("host")
    if host:
        if not names.ip(host):
            problems.invalid(f"{path}.host", host, "must be a DNS name, not an IP address")
        for message in names.wildcard_subdomain(host) if "*" in host else names.subdomain(host):
            problems.invalid(f"{path}.host", host, message)
    paths = (rule.get("http") or {}).get("paths")
    if rule.get("http") is not None and not paths:
        problems.required(f"{path}.http.paths")
    for at, each in enumerate(paths or ()):
        here, kind, text = f"{path}.http.paths[{at}]", each.get("pathType"), each.get("path") or ""
        if not kind:
            problems.required(f"{here}.pathType", "pathType must be specified")
        elif kind not in PATH_TYPES:
            problems.unsupported(f"{here}.pathType", kind, PATH_TYPES)
        elif (kind in ("Exact", "Prefix") or text) and not text.startswith("/"):
            problems.invalid(f"{here}.path", text, "must be an absolute path")
        _backend(problems, each.get("backend") or {}, f"{here}.backend")


def _backend(problems: Problems, backend: Object, path: str) -> None:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        problems.invalid(path, "", "cannot set both resource and service backends")
    elif resource is None and service is None:
        problems.required(path, "resource or service backend is required")
    elif service is not None:
        if not service.get("name"):
            problems.required(f"{path}.service.name")
        else:
            for message in names.label_1035(service["name"]):
                problems.invalid(f"{path}.service.name", service["name"], message)
        port = service.get("port") or {}
        if port.get("name") and port.get("number"):
            problems.invalid(path, "", "cannot set both port name & port number")
        elif not port.get("name") and not port.get("number"):
            problems.required(path, "port name or number is required")


def ingress_update(problems: Problems, obj: Object, old: Object) -> None:
    ingress(problems, obj)


def network_policy(problems: Problems, obj: Object) -> None:
    spec = obj.get("spec") or {}
    meta.selector(problems, spec.get("podSelector") or {}, "spec.podSelector")
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for at, rule in enumerate(spec.get(direction) or ()):
            here = f"spec.{direction}[{at}]"
            _policy_ports(problems, rule.get("ports") or (), f"{here}.ports")
            for n, peer in enumerate(rule.get(peers) or ()):
                _peer(problems, peer, f"{here}.{peers}[{n}]")
    kinds = spec.get("policyTypes") or ()
    if len(kinds) > 2:
        problems.invalid("spec.policyTypes", kinds, "may not specify more than two policyTypes")
    for at, kind in enumerate(kinds):
        if kind not in ("Ingress", "Egress"):
            problems.unsupported(f"spec.policyTypes[{at}]", kind, ["Egress", "Ingress"])


def _policy_ports(problems: Problems, ports: Any, path: str) -> None:
    for at, each in enumerate(ports):
        here = f"{path}[{at}]"
        if each.get("protocol") is not None:
            problems.choice(f"{here}.protocol", each["protocol"], containers.PROTOCOLS)
        if each.get("port") is not None:
            containers.port(problems, each["port"], f"{here}.port")
        if each.get("endPort") is not None and isinstance(each.get("port"), int) and each["endPort"] < each["port"]:
            problems.invalid(f"{here}.endPort", each["endPort"], "must be greater than or equal to `port`")


def _peer(problems: Problems, peer: Object, path: str) -> None:
    for field in ("podSelector", "namespaceSelector"):
        meta.selector(problems, peer.get(field), f"{path}.{field}")
    block = peer.get("ipBlock")
    if not peer:
        problems.required(path, "must specify a peer")
    elif block is not None and len(peer) > 1:
        problems.forbidden(path, "may not specify both ipBlock and another peer")
    if block is not None:
        for message in names.cidr(block.get("cidr") or ""):
            problems.invalid(f"{path}.ipBlock.cidr", block.get("cidr", ""), message)


def network_policy_update(problems: Problems, obj: Object, old: Object) -> None:
    network_policy(problems, obj)
