"""The pod's network for Python programs: one address, cluster DNS, and a loopback of its own.

All of 127.0.0.0/8 is the host's loopback, so a pod's address is a real one; what is missing is that a program in the pod sees *only* it.
This module changes `socket.socket` and the resolver functions of this process, and uvloop's entry points, which bypass them:

- bind to 0.0.0.0, :: or "" lands on the pod's address; to 127.0.0.1 or localhost on the pod's own loopback address (KUBESIM_LOOPBACK);
- connect to 127.0.0.1 goes to whichever of the pod's two addresses has a listener; to pods and Services it leaves from the pod's address;
- names of the cluster (svc, svc.ns, svc.ns.svc, svc.ns.svc.cluster.local, pods of headless Services) resolve from the node's hosts file;
- where low ports may not be bound, ports under 1024 of pods and Services are moved by KUBESIM_LOW_PORTS.

Standard library only, and small: it is imported by every Python process of every container. It does nothing until `activate`.
"""

# os.* on purpose: this runs between fork and exec, in every container, or in a tight loop.
# ruff: noqa: PTH116, PTH123
from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import socket
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_WILDCARDS = ("", "0.0.0.0", "::", "<any>")
_IP_BIND_ADDRESS_NO_PORT = 24


class Guest:
    """What this process knows of its pod."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.address = env["KUBESIM_POD_IP"]
        self.loopback = env.get("KUBESIM_LOOPBACK", self.address)
        self.hosts_file = env.get("KUBESIM_HOSTS", "")
        self.search = env.get("KUBESIM_SEARCH", "").split()
        self.hostname = env.get("HOSTNAME", "")
        self.offset = int(env.get("KUBESIM_LOW_PORTS", "0"))
        self.names: dict[str, list[str]] = {}
        self.stamp: tuple[int, int] = (0, 0)

    def lookup(self, name: str) -> list[str] | None:
        """Addresses of a cluster name; [] for a cluster name that does not exist, None for a name that is not the cluster's."""
        self._refresh()
        name = name.rstrip(".").lower()
        if name == self.hostname.lower():
            return [self.address]
        candidates = [name, *(f"{name}.{domain}" for domain in self.search)]
        for candidate in candidates if name.count(".") >= 5 else [*candidates[1:], name]:
            if candidate in self.names:
                return self.names[candidate]
        return [] if name.endswith(".cluster.local") else None

    def _refresh(self) -> None:
        try:
            stat = os.stat(self.hosts_file)
        except OSError:
            return
        stamp = (stat.st_mtime_ns, stat.st_ino)
        if stamp != self.stamp:
            names: dict[str, list[str]] = {}
            with open(self.hosts_file, encoding="utf-8") as file:
                for line in file:
                    address, *aliases = line.split()
                    for alias in aliases:
                        names.setdefault(alias, []).append(address)
            self.names, self.stamp = names, stamp

    def bind_host(self, host: str) -> str:
        if host in _WILDCARDS:
            return self.address
        return self.loopback if host in ("127.0.0.1", "localhost", "::1") else host

    def connect_host(self, host: str, port: int) -> str:
        """Where a connection to this address really goes."""
        if host in ("127.0.0.1", "::1", "0.0.0.0"):
            return self.loopback if _listening(self.loopback, port) else self.address
        return host

    def port(self, host: str, port: int) -> int:
        """The port that stands for a low port of a pod or Service."""
        return (
            port + self.offset
            if 0 < port < 1024 and self.offset and host.startswith(("127.10.", "127.11.", "127.12."))
            else port
        )


def _listening(host: str, port: int) -> bool:
    wanted = f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}:{port:04X}"
    try:
        with open("/proc/net/tcp", encoding="ascii") as table:
            return any(fields[1] == wanted and fields[3] == "0A" for fields in map(str.split, table))
    except OSError:
        return False


_active: Guest | None = None


def activate(env: Mapping[str, str]) -> None:
    """Put the pod of `env` in place; a second call in the same process (a fork) replaces the first."""
    global _active
    if not env.get("KUBESIM_POD_IP"):
        return
    first, _active = _active is None, Guest(env)
    if first:
        _patch_sockets()
        _patch_names()
        if "uvloop" in sys.modules:
            _patch_uvloop(sys.modules["uvloop"])
        else:
            sys.meta_path.insert(0, _UvloopFinder())


def _guest() -> Guest:
    assert _active is not None
    return _active


def _patch_sockets() -> None:
    raw = socket.socket.__mro__[1]
    bind, connect, connect_ex, sendto = raw.bind, raw.connect, raw.connect_ex, raw.sendto  # type: ignore[attr-defined]

    def new_bind(self: socket.socket, address: Any) -> None:
        if self.family not in (socket.AF_INET, socket.AF_INET6):
            return bind(self, address)  # type: ignore[no-any-return]
        host = _guest().bind_host(address[0])
        if self.family == socket.AF_INET6 and host.count(".") == 3 and ":" not in host:
            self.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            return bind(self, (f"::ffff:{host}", _guest().port(host, address[1]), *address[2:]))  # type: ignore[no-any-return]
        return bind(self, (host, _guest().port(host, address[1]), *address[2:]))  # type: ignore[no-any-return]

    def target(self: socket.socket, address: Any) -> Any:
        if self.family != socket.AF_INET or not isinstance(address, tuple):
            return address
        host, port = address[0], address[1]
        if not _numeric(host):
            found = _guest().lookup(host)
            host = found[0] if found else "127.0.0.1" if host == "localhost" else host
        host = _guest().connect_host(host, port)
        if host.startswith("127."):
            _leave_from(self, bind)
        return (host, _guest().port(host, port))

    def new_connect(self: socket.socket, address: Any) -> None:
        return connect(self, target(self, address))  # type: ignore[no-any-return]

    def new_connect_ex(self: socket.socket, address: Any) -> int:
        return connect_ex(self, target(self, address))  # type: ignore[no-any-return]

    def new_sendto(self: socket.socket, data: Any, *rest: Any) -> int:
        return sendto(self, data, *rest[:-1], target(self, rest[-1]))  # type: ignore[no-any-return]

    cls: Any = socket.socket
    cls.bind, cls.connect, cls.connect_ex, cls.sendto = new_bind, new_connect, new_connect_ex, new_sendto


def _leave_from(sock: socket.socket, bind: Callable[..., None]) -> None:
    """Bind an unbound socket to the pod's address; the port is chosen when it connects."""
    try:
        if sock.getsockname()[1] == 0:
            sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            bind(sock, (_guest().address, 0))
    except OSError:
        pass  # a socket that is connecting already keeps the address it has


def _numeric(host: str) -> bool:
    try:
        socket.inet_aton(host)
    except (OSError, TypeError):
        return False
    return True


def _patch_names() -> None:
    getaddrinfo, gethostbyname, gethostbyname_ex = socket.getaddrinfo, socket.gethostbyname, socket.gethostbyname_ex

    def found(host: Any) -> list[str] | None:
        name = host.decode("ascii", "replace") if isinstance(host, bytes | bytearray) else host
        if not isinstance(name, str) or not name or name == "localhost" or ":" in name or _numeric(name):
            return None
        addresses = _guest().lookup(name)
        if addresses == []:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return addresses

    def new_getaddrinfo(
        host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> list[Any]:
        addresses = found(host)
        if addresses is None:
            if host in (None, "", b"") and flags & socket.AI_PASSIVE and family in (0, socket.AF_INET6):
                family = socket.AF_INET
            answers = getaddrinfo(host, port, family, type, proto, flags)
            if host == "localhost" and family == 0:
                return [answer for answer in answers if answer[0] == socket.AF_INET] or answers
            return answers
        if family == socket.AF_INET6:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            answer for address in addresses for answer in getaddrinfo(address, port, socket.AF_INET, type, proto, flags)
        ]

    def new_gethostbyname(name: str) -> str:
        addresses = found(name)
        return addresses[0] if addresses else gethostbyname(name)

    def new_gethostbyname_ex(name: str) -> tuple[str, list[str], list[str]]:
        addresses = found(name)
        return (name, [], addresses) if addresses else gethostbyname_ex(name)

    module: Any = socket
    module.getaddrinfo, module.gethostbyname, module.gethostbyname_ex = (
        new_getaddrinfo,
        new_gethostbyname,
        new_gethostbyname_ex,
    )
    if _guest().hostname and socket.gethostname() != _guest().hostname:
        module.gethostname = lambda: _guest().hostname


class _UvloopFinder(importlib.abc.MetaPathFinder):
    """Patches uvloop when a program imports it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "uvloop":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: types.ModuleType) -> None:
                load(module)
                _patch_uvloop(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _patch_uvloop(uvloop: Any) -> None:
    """uvloop resolves, binds and connects in C: hosts are replaced before it sees them."""
    loop_class = uvloop.Loop
    create_server, create_connection = loop_class.create_server, loop_class.create_connection
    sock_connect, getaddrinfo = loop_class.sock_connect, loop_class.getaddrinfo

    async def new_create_server(self: Any, factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        if options.get("sock") is None and (host is None or isinstance(host, str)):
            host = _guest().bind_host(host or "")
            port = _guest().port(host, port or 0)
        elif isinstance(host, list | tuple):
            host = list({_guest().bind_host(one) for one in host})
        return await create_server(self, factory, host, port, **options)

    async def new_create_connection(self: Any, factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        if isinstance(host, str) and options.get("sock") is None:
            if options.get("ssl") and options.get("server_hostname") is None:
                options["server_hostname"] = host
            address = (
                host if _numeric(host) else (_guest().lookup(host) or ["127.0.0.1" if host == "localhost" else host])[0]
            )
            address = _guest().connect_host(address, port)
            if address.startswith("127.") and options.get("local_addr") is None:
                options["local_addr"] = (_guest().address, 0)
            host, port = address, _guest().port(address, port)
        return await create_connection(self, factory, host, port, **options)

    async def new_getaddrinfo(self: Any, host: Any, port: Any, **options: Any) -> Any:
        if isinstance(host, str) and host and not _numeric(host) and _guest().lookup(host) is not None:
            return socket.getaddrinfo(host, port, **options)
        return await getaddrinfo(self, host, port, **options)

    async def new_sock_connect(self: Any, sock: Any, address: Any) -> Any:
        if sock.family == socket.AF_INET and _numeric(address[0]):
            host = _guest().connect_host(address[0], address[1])
            if host.startswith("127."):
                _leave_from(sock, socket.socket.bind)
            address = (host, _guest().port(host, address[1]))
        return await sock_connect(self, sock, address)

    loop_class.create_server, loop_class.create_connection = new_create_server, new_create_connection
    loop_class.sock_connect, loop_class.getaddrinfo = new_sock_connect, new_getaddrinfo
