"""Is the lab already up? Answered in a fraction of a second, without the Kubernetes client's second of imports.

A fingerprint of everything `up` reads (settings, manifests, sources of the images) is kept when `up` ends; the lab is up where it is unchanged, both
APIs answer, and every Deployment and StatefulSet has its replicas.
"""

from __future__ import annotations

import hashlib
import json
import ssl
import tempfile
import urllib.error
import urllib.request
from base64 import b64decode
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any

import yaml

from lab import ready
from lab.kube import Object
from lab.settings import ROOT, Tenant
from lab.users import write_private
from lab.world import World

_SOURCES = ("k8s", "images", "serving", "training", "kubeflow_lite", "kubesim", "awssim", "lab")
_MAY_WAIT = {("mlops-serving", "iris-serving")}  # ready only once there is a model


def is_up(world: World, people: Sequence[Tenant]) -> bool:
    record = _record(world)
    started = set(record.get("tenants", []))
    if record.get("fingerprint") != fingerprint(world) or not {tenant.num for tenant in people} <= started:
        return False
    return world.aws.running() and world.provider.running() and _settled(world.kubeconfig)


def remember(world: World, people: Sequence[Tenant]) -> None:
    started = {*_record(world).get("tenants", []), *(tenant.num for tenant in people)}
    record = {
        "fingerprint": fingerprint(world),
        "tenants": sorted(started),
        "cluster": world.provider.name,
        "aws": world.aws.name,
    }
    write_private(_path(world), json.dumps(record))


def forget(world: World, numbers: Set[str]) -> None:
    """These tenants are no longer up."""
    record = _record(world)
    if record:
        record["tenants"] = [number for number in record.get("tenants", []) if number not in numbers]
        write_private(_path(world), json.dumps(record))


def started(world: World) -> list[str]:
    """Numbers of the tenants that `up` has brought up."""
    return list(_record(world).get("tenants", []))


def _path(world: World) -> Path:
    return world.settings.state / "up.json"


def _record(world: World) -> dict[str, Any]:
    try:
        found = json.loads(_path(world).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def fingerprint(world: World) -> str:
    digest = hashlib.sha256(world.settings.model_dump_json().encode())
    digest.update(f"{world.provider.name} {world.aws.name}".encode())
    for folder in _SOURCES:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and path.suffix not in (".pyc",):
                state = path.stat()
                digest.update(f"{path.relative_to(ROOT)} {state.st_size} {state.st_mtime_ns}".encode())
    return digest.hexdigest()


def may_wait(item: Object) -> bool:
    """Whether the lab counts as up without this workload."""
    return (item["metadata"]["namespace"], item["metadata"]["name"]) in _MAY_WAIT


def _settled(kubeconfig: Path) -> bool:
    """Every Deployment and StatefulSet has its replicas, asked with the administrator's certificate."""
    try:
        server, trust = _connection(kubeconfig)
        for kind, plural in (("Deployment", "deployments"), ("StatefulSet", "statefulsets")):
            with urllib.request.urlopen(f"{server}/apis/apps/v1/{plural}", timeout=5, context=trust) as answer:
                items = [{"kind": kind} | item for item in json.load(answer)["items"]]
            waiting = [
                i
                for i in items
                if (i["metadata"]["namespace"], i["metadata"]["name"]) not in _MAY_WAIT and ready.missing(i)
            ]
            if waiting:
                return False
    except (OSError, urllib.error.URLError, ValueError, KeyError):
        return False
    return True


def _connection(kubeconfig: Path) -> tuple[str, ssl.SSLContext]:
    """The server and a TLS context with the certificate of a kubeconfig; ssl takes keys from files only, so one lives for a moment, 0600."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    trust = ssl.create_default_context(cadata=b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile(dir=kubeconfig.parent) as pair:
        pair.write(b64decode(user["client-certificate-data"]) + b"\n" + b64decode(user["client-key-data"]))
        pair.flush()
        trust.load_cert_chain(pair.name)
    return cluster["server"], trust
