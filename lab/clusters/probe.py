"""Whether an API server answers, in a fraction of a second and without the Kubernetes client's second of imports."""

from __future__ import annotations

import ssl
import tempfile
import urllib.error
import urllib.request
from base64 import b64decode
from pathlib import Path

import yaml

_direct = urllib.request.ProxyHandler({})
"""The lab's clusters are on this machine: a proxy of the user's has no part in it."""


def answers(kubeconfig: Path, *, seconds: float = 2) -> bool:
    """Asks /readyz with the kubeconfig's certificates, so that another cluster on the same port is not taken for this one. Never raises."""
    try:
        server, trust = connection(kubeconfig)
        opener = urllib.request.build_opener(_direct, urllib.request.HTTPSHandler(context=trust))
        with opener.open(f"{server}/readyz", timeout=seconds) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError, ValueError, KeyError, IndexError, TypeError, yaml.YAMLError):
        return False


def connection(kubeconfig: Path) -> tuple[str, ssl.SSLContext]:
    """The server and a TLS context with the certificate of a kubeconfig; ssl takes keys from files only, so one lives for a moment, 0600."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    trust = ssl.create_default_context(cadata=b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile(dir=kubeconfig.parent) as pair:
        pair.write(b64decode(user["client-certificate-data"]) + b"\n" + b64decode(user["client-key-data"]))
        pair.flush()
        trust.load_cert_chain(pair.name)
    return str(cluster["server"]), trust
