"""How nodes of somebody's cluster pull the lab's images from a registry that asks who they are (`registry` in lab.yaml).

The user's own login is what the nodes get: what `docker login` keeps, or the program that Docker asks for it, becomes a Secret in every
namespace of the lab's, and `lab.kube.images.renamed` names it in every pod that has an image of that registry. A registry that asks nobody has no
login, so there is no Secret; Kubernetes pulls without one then. Every `up` writes the Secrets anew: some logins last for hours only.
"""

from __future__ import annotations

import json
import shutil
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from lab.errors import LabError
from lab.kube.images import PULL_SECRET
from lab.messages import t
from lab.settings import Settings

Object = dict[str, Any]


def beside(objects: Sequence[Object], settings: Settings) -> list[Object]:
    """The same objects, and with each Namespace among them its Secret."""
    names = [item["metadata"]["name"] for item in objects if item["kind"] == "Namespace"]
    return [*objects, *secrets(settings, names)]


def secrets(settings: Settings, namespaces: Sequence[str]) -> list[Object]:
    """For these namespaces; none where images come without a registry, or the registry without a login."""
    if settings.cluster != "current" or not settings.registry or not namespaces:
        return []
    host = settings.registry.partition("/")[0]
    found = login(host)
    return [_secret(namespace, host, found) for namespace in namespaces] if found else []


def login(host: str) -> Mapping[str, str] | None:
    """`username` and `password` as Docker's configuration has them for that registry. Raises LabError where its helper program fails."""
    from docker import auth
    from docker.errors import DockerException

    config = auth.load_config()
    helper = config.get_credential_store(host)
    if helper and shutil.which(f"docker-credential-{helper}") is None:
        raise _unreadable(host, t("{program} is not on PATH", program=f"docker-credential-{helper}"))
    try:
        found = config.resolve_authconfig(host)
    except DockerException as error:
        raise _unreadable(host, str(error)) from None
    lowered = {key.lower(): value for key, value in (found or {}).items()}
    if not lowered.get("username") or not lowered.get("password"):
        return None
    return {"username": lowered["username"], "password": lowered["password"]}


def _unreadable(host: str, reason: str) -> LabError:
    return LabError(
        t("Docker's login of {host} cannot be read: {reason}", host=host, reason=reason), f"docker login {host}"
    )


def _secret(namespace: str, host: str, found: Mapping[str, str]) -> Object:
    both = b64encode(f"{found['username']}:{found['password']}".encode()).decode()
    config = json.dumps({"auths": {host: {**found, "auth": both}}})
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": PULL_SECRET, "namespace": namespace},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": b64encode(config.encode()).decode()},
    }
