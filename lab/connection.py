"""The way to an API server: its address, TLS, and who asks, from a kubeconfig.

Certificates and plain tokens, which is what the lab itself writes, are read here and need urllib3 alone. Whatever else a kubeconfig may hold (the
exec plug-ins of EKS, auth providers, proxies) is the official client's to read; importing that costs a second.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3
import yaml

from lab.errors import ClusterError, LabError
from lab.kubeconfig import Context, read
from lab.messages import t

CONNECTIONS = 24  # kept open; the lab's threads share them
_CLUSTER_FIELDS = {"server", "certificate-authority-data"}
_USER_FIELDS = {"client-certificate-data", "client-key-data", "token"}


@dataclass(frozen=True)
class Connection:
    """`headers()` is asked before every request: a token may have to be renewed."""

    server: str
    pool: urllib3.PoolManager
    headers: Callable[[], dict[str, str]]


def connect(kubeconfig: Path, context: str | None = None, *, environ: Mapping[str, str] | None = None) -> Connection:
    """Nothing is sent yet. Raises ClusterError for a file that is not a kubeconfig or has no such context.

    `environ` is what a sign-in program named in it (`aws eks get-token`) finds in its environment beside the shell's own.
    """
    try:
        chosen = read([kubeconfig], context or "")
        if set(chosen.cluster) <= _CLUSTER_FIELDS and set(chosen.user) <= _USER_FIELDS:
            return _plain(chosen)
    except (LabError, ssl.SSLError) as error:
        raise ClusterError(
            t("{kubeconfig} cannot be used: {what}", kubeconfig=kubeconfig, what=error), "./inv up writes it"
        ) from None
    return _official(kubeconfig, context, environ or {})


def _plain(chosen: Context) -> Connection:
    pool = urllib3.PoolManager(maxsize=CONNECTIONS, ssl_context=trust(chosen))
    headers = {"Authorization": f"Bearer {chosen.user['token']}"} if "token" in chosen.user else {}
    return Connection(chosen.server, pool, lambda: dict(headers))


def trust(chosen: Context) -> ssl.SSLContext:
    """TLS with the cluster's authority and the user's certificate."""
    made = ssl.create_default_context(cadata=chosen.authority or None)
    if chosen.certificate and chosen.key:
        # ssl reads keys from files only; this one is in memory.
        file = os.memfd_create("client")
        try:
            os.write(file, f"{chosen.certificate}\n{chosen.key}".encode())
            made.load_cert_chain(f"/proc/self/fd/{file}")
        finally:
            os.close(file)
    return made


def _official(kubeconfig: Path, context: str | None, environ: Mapping[str, str]) -> Connection:
    from kubernetes import client, config

    loaded = client.Configuration()
    if environ:
        content = _with_environment(yaml.safe_load(kubeconfig.read_text()), environ)
        loader: Any = config.load_kube_config_from_dict
        loader(content, context=context, client_configuration=loaded, temp_file_path=str(kubeconfig.parent))
    else:
        config.load_kube_config(str(kubeconfig), context=context, client_configuration=loaded)
    loaded.retries = False
    loaded.connection_pool_maxsize = CONNECTIONS
    api = client.ApiClient(loaded)

    def headers() -> dict[str, str]:
        found: dict[str, str] = {}
        api.update_params_for_auth(found, [], ["BearerToken"], "", "", None)
        return found

    return Connection(loaded.host, api.rest_client.pool_manager, headers)


def _with_environment(content: Any, environ: Mapping[str, str]) -> Any:
    """The kubeconfig with `environ` for its sign-in programs; what they say themselves comes first."""
    for entry in content.get("users") or []:
        program = (entry.get("user") or {}).get("exec")
        if program:
            own = {item["name"]: item["value"] for item in program.get("env") or []}
            program["env"] = [{"name": name, "value": value} for name, value in {**environ, **own}.items()]
    return content
