"""Where the API server is and who we are: a pod's service account, or a kubeconfig (for tests and for running by hand).

The service account's token is read again when a minute has passed, because the kubelet replaces it before it expires.
"""

from __future__ import annotations

import base64
import os
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kubeflow_lite.errors import ConfigurationError

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_SECONDS = 60.0


@dataclass(frozen=True)
class Access:
    """One way into one cluster. `ca` and the client certificate are PEM text; '' where there is none."""

    server: str
    ca: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    insecure: bool = False

    def ssl_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self.ca or None)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.certificate:
            load_cert_chain(context, self.certificate, self.key)
        return context


def load_cert_chain(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """OpenSSL takes a certificate from a file only: here one in memory, so that the key is never on a disk and the root may be read-only."""
    with open(os.memfd_create("certificate"), "w") as pem:  # noqa: PTH123
        pem.write(f"{certificate}\n{key}\n")
        pem.flush()
        context.load_cert_chain(f"/proc/self/fd/{pem.fileno()}")


class Token:
    """The bearer token to send now."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._value = access.token
        self._read_at = float("-inf")

    def current(self) -> str:
        path = self._access.token_file
        if path is not None and time.monotonic() - self._read_at > TOKEN_SECONDS:
            self._value = path.read_text().strip()
            self._read_at = time.monotonic()
        return self._value


def detect(environment: Mapping[str, str] = os.environ) -> Access:
    """KUBECONFIG where it is set, else the pod's service account."""
    if path := environment.get("KUBECONFIG"):
        return from_kubeconfig(Path(path))
    return in_cluster(environment)


def in_cluster(environment: Mapping[str, str], account: Path = ACCOUNT) -> Access:
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT", "443")
    token_file = account / "token"
    if not host or not token_file.exists():
        raise ConfigurationError(
            f"neither KUBECONFIG nor a service account ({token_file}) says which cluster to talk to"
        )
    return Access(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        ca=(account / "ca.crt").read_text(),
        token_file=token_file,
    )


def from_kubeconfig(path: Path) -> Access:
    """The current context of a kubeconfig. Exec plug-ins are not run: this is for tests and local runs."""
    try:
        config = yaml.safe_load(path.read_text())
        context = _named(config["contexts"], config["current-context"])["context"]
        cluster = _named(config["clusters"], context["cluster"])["cluster"]
        user = _named(config["users"], context["user"])["user"]
    except (OSError, KeyError, TypeError, StopIteration, yaml.YAMLError) as error:
        raise ConfigurationError(f"cannot use kubeconfig {path}: {error!r}") from error
    return Access(
        server=cluster["server"].rstrip("/"),
        ca=_pem(cluster, "certificate-authority", path),
        certificate=_pem(user, "client-certificate", path),
        key=_pem(user, "client-key", path),
        token=user.get("token", ""),
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
    )


def _named(items: list[dict[str, Any]], wanted: str) -> dict[str, Any]:
    return next(item for item in items if item["name"] == wanted)


def _pem(section: Mapping[str, Any], key: str, config: Path) -> str:
    """Inline data, or the file named; a relative name is relative to the kubeconfig, as kubectl has it."""
    if data := section.get(f"{key}-data"):
        return base64.b64decode(data).decode()
    return (config.parent / section[key]).read_text() if section.get(key) else ""
