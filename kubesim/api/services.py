"""Addresses and node ports of Services: given when a Service is written, from what the store says is free at that moment.

Every Service's address is a real one in 127.11.0.0/16 (the whole of 127.0.0.0/8 is loopback on Linux). There is no allocator's state to
repair: the Services themselves are the record.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterable

from kubesim.errors import Cause, Invalid
from kubesim.resources import Object
from kubesim.store import Store

NETWORK = ipaddress.ip_network("127.11.0.0/16")
NODE_PORTS = range(30000, 32768)
STORAGE = "services"
WITH_NODE_PORTS = ("NodePort", "LoadBalancer")


def allocate(store: Store, obj: Object, old: Object | None) -> None:
    """Completes the spec in place; raises Invalid for an address or port that cannot be had."""
    spec = obj["spec"]
    others = [record.object for record in store.list(STORAGE) if _key(record.object) != _key(obj)]
    if spec.get("type") == "ExternalName":
        for key in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            spec.pop(key, None)
    else:
        _address(obj, spec, others)
    if spec.get("type") in WITH_NODE_PORTS:
        _ports(obj, spec, others)
    elif old is not None and old["spec"].get("type") in WITH_NODE_PORTS:
        for port in spec.get("ports") or ():
            port.pop("nodePort", None)
    obj.setdefault("status", {}).setdefault("loadBalancer", {})


def _key(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def keep(spec: Object, old: Object) -> None:
    """What an update leaves out and the Service has already, it keeps; before validation, which lets no address change."""
    if spec.get("type") != "ExternalName" and old.get("type") != "ExternalName" and not spec.get("clusterIP"):
        for key in ("clusterIP", "clusterIPs"):
            if key in old:
                spec[key] = old[key]
    if spec.get("type") in WITH_NODE_PORTS and old.get("type") in WITH_NODE_PORTS:
        had = {
            (port.get("protocol", "TCP"), port["port"]): port["nodePort"]
            for port in old.get("ports") or ()
            if port.get("nodePort")
        }
        for port in spec.get("ports") or ():
            kept = had.get((port.get("protocol", "TCP"), port["port"]))
            if kept and not port.get("nodePort"):
                port["nodePort"] = kept


def _address(obj: Object, spec: Object, others: Iterable[Object]) -> None:
    wanted = spec.get("clusterIP") or ""
    if wanted != "None":
        taken = {other["spec"].get("clusterIP") for other in others}
        if wanted:
            _check_address(obj, wanted, taken)
        else:
            wanted = _free(taken)
    spec["clusterIP"] = wanted
    spec["clusterIPs"] = [wanted]
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")


def _check_address(obj: Object, wanted: str, taken: set[str]) -> None:
    if wanted in taken:
        raise _invalid(
            obj,
            "spec.clusterIPs",
            f'Invalid value: ["{wanted}"]: failed to allocate IP {wanted}: provided IP is already allocated',
        )
    try:
        inside = ipaddress.ip_address(wanted) in NETWORK
    except ValueError:
        raise _invalid(
            obj,
            "spec.clusterIPs[0]",
            f'Invalid value: "{wanted}": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
        ) from None
    if not inside:
        message = f"the provided IP ({wanted}) is not in the valid range. The range of valid IPs is {NETWORK}"
        raise _invalid(
            obj, "spec.clusterIPs", f'Invalid value: ["{wanted}"]: failed to allocate IP {wanted}: {message}'
        )


def _free(taken: set[str]) -> str:
    """A free address; random, so that one of a deleted Service is not soon another's."""
    first = int(NETWORK.network_address) + 16
    for _ in range(64):
        address = str(ipaddress.ip_address(first + random.randrange(NETWORK.num_addresses - 32)))
        if address not in taken:
            return address
    return next(
        text
        for number in range(NETWORK.num_addresses - 32)
        if (text := str(ipaddress.ip_address(first + number))) not in taken
    )


def _ports(obj: Object, spec: Object, others: Iterable[Object]) -> None:
    taken = {
        (port.get("protocol", "TCP"), port.get("nodePort"))
        for other in others
        for port in other["spec"].get("ports") or ()
    }
    for index, port in enumerate(spec.get("ports") or ()):
        protocol, wanted = port.get("protocol", "TCP"), port.get("nodePort")
        field = f"spec.ports[{index}].nodePort"
        if not wanted:
            wanted = port["nodePort"] = _free_port(obj, protocol, taken)
        elif (protocol, wanted) in taken:
            raise _invalid(obj, field, f"Invalid value: {wanted}: provided port is already allocated")
        elif wanted not in NODE_PORTS:
            last = NODE_PORTS[-1]
            raise _invalid(
                obj,
                field,
                f"Invalid value: {wanted}: provided port is not in the valid range. The range of valid ports is {NODE_PORTS[0]}-{last}",
            )
        taken.add((protocol, wanted))


def _free_port(obj: Object, protocol: str, taken: set[tuple[str, int | None]]) -> int:
    free = [port for port in NODE_PORTS if (protocol, port) not in taken]
    if not free:
        raise _invalid(obj, "spec.ports", "Internal error: no node port is free")
    return random.choice(free)


def _invalid(obj: Object, field: str, message: str) -> Invalid:
    name = obj["metadata"]["name"]
    reason = "FieldValueInvalid"
    return Invalid(
        f'Service "{name}" is invalid: {field}: {message}',
        details={"name": name, "kind": "Service"},
        causes=[Cause(reason, message, field)],
    )
