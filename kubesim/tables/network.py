"""Services, endpoints, ingresses and network policies."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kubesim.resources import Object
from kubesim.tables.column import AGE, NAME, NONE, UNSET, Column, age, labels, listed, name_of, selector, some

SERVICE = [
    NAME,
    Column("Type", "core.v1.ServiceSpec.type"),
    Column("Cluster-IP", "core.v1.ServiceSpec.clusterIP"),
    Column("External-IP", "core.v1.ServiceSpec.externalIPs"),
    Column("Port(s)", "core.v1.ServiceSpec.ports"),
    AGE,
    Column("Selector", "core.v1.ServiceSpec.selector", wide=True),
]
ENDPOINTS = [NAME, Column("Endpoints", "core.v1.Endpoints.subsets"), AGE]
ENDPOINT_SLICE = [
    NAME,
    Column("AddressType", "discovery.v1.EndpointSlice.addressType"),
    Column("Ports", "discovery.v1.EndpointSlice.ports"),
    Column("Endpoints", "discovery.v1.EndpointSlice.endpoints"),
    AGE,
]
INGRESS = [
    NAME,
    Column("Class", "The name of the IngressClass resource that should be used for additional configuration"),
    Column("Hosts", "Hosts that incoming requests are matched against before the ingress rule"),
    Column("Address", "Address is a list containing ingress points for the load-balancer"),
    Column("Ports", "Ports of TLS configurations that open"),
    AGE,
]
INGRESS_CLASS = [
    NAME,
    Column("Controller", "Controller that is responsible for handling this class"),
    Column("Parameters", "A reference to a resource with additional parameters"),
    AGE,
]
NETWORK_POLICY = [NAME, Column("Pod-Selector", "networking.v1.NetworkPolicySpec.podSelector"), AGE]
IP_ADDRESS = [NAME, Column("ParentRef", "networking.v1.IPAddressSpec.parentRef"), AGE]
SERVICE_CIDR = [NAME, Column("CIDRs", "networking.v1.ServiceCIDRSpec.cidrs"), AGE]
SOME_ENDPOINTS = 3


def service(obj: Object, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    address = (spec.get("clusterIPs") or [spec.get("clusterIP")])[0] or NONE
    row = [name_of(obj), spec.get("type", ""), address, _external(obj), _ports(spec.get("ports") or ())]
    return [*row, age(obj, now), labels(spec.get("selector"))]


def _external(obj: Object) -> str:
    spec = obj.get("spec") or {}
    kind, addresses = spec.get("type"), spec.get("externalIPs") or []
    if kind == "ExternalName":
        return str(spec.get("externalName", ""))
    if kind != "LoadBalancer":
        return listed(addresses)
    ingress = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    found = [each.get("ip") or each.get("hostname") or "" for each in ingress] + addresses
    return ",".join(found) if found else "<pending>"


def _ports(ports: Any) -> str:
    texts = []
    for each in ports:
        node = f":{each['nodePort']}" if each.get("nodePort") else ""
        texts.append(f"{each.get('port')}{node}/{each.get('protocol', 'TCP')}")
    return listed(texts)


def endpoints(obj: Object, now: datetime) -> list[Any]:
    found: list[str] = []
    for subset in obj.get("subsets") or ():
        addresses = [each.get("ip", "") for each in subset.get("addresses") or ()]
        ports = subset.get("ports") or ()
        found += [f"{address}:{port.get('port')}" for port in ports for address in addresses] if ports else addresses
    return [name_of(obj), some(found, SOME_ENDPOINTS), age(obj, now)]


def endpoint_slice(obj: Object, now: datetime) -> list[Any]:
    ports = [str(each["port"]) if each.get("port") is not None else "*" for each in obj.get("ports") or ()]
    addresses = [address for each in obj.get("endpoints") or () for address in each.get("addresses") or ()]
    shown = some(ports, SOME_ENDPOINTS) if ports else UNSET
    reached = some(addresses, SOME_ENDPOINTS) if addresses else UNSET
    return [name_of(obj), obj.get("addressType", ""), shown, reached, age(obj, now)]


def ingress(obj: Object, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    hosts = [each.get("host") or "*" for each in spec.get("rules") or ()]
    points = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    address = ",".join(each.get("ip") or each.get("hostname") or "" for each in points)
    shown = some(hosts, 3) if hosts else "*"
    ports = "80, 443" if spec.get("tls") else "80"
    return [name_of(obj), spec.get("ingressClassName") or NONE, shown, address, ports, age(obj, now)]


def ingress_class(obj: Object, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    reference = spec.get("parameters")
    text = NONE
    if reference:
        group = f".{reference['apiGroup']}" if reference.get("apiGroup") else ""
        text = f"{reference.get('kind', '')}{group}/{reference.get('name', '')}"
    return [name_of(obj), spec.get("controller", ""), text, age(obj, now)]


def network_policy(obj: Object, now: datetime) -> list[Any]:
    return [name_of(obj), selector((obj.get("spec") or {}).get("podSelector")), age(obj, now)]


def ip_address(obj: Object, now: datetime) -> list[Any]:
    parent = (obj.get("spec") or {}).get("parentRef") or {}
    parts = [parent.get(field) for field in ("resource", "namespace", "name")]
    group = f".{parent['group']}" if parent.get("group") else ""
    return [
        name_of(obj),
        "/".join(str(part) for part in (f"{parts[0] or ''}{group}", *parts[1:]) if part),
        age(obj, now),
    ]


def service_cidr(obj: Object, now: datetime) -> list[Any]:
    return [name_of(obj), ",".join((obj.get("spec") or {}).get("cidrs") or ()), age(obj, now)]
