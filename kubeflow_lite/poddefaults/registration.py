"""How the API server comes to trust the webhook: the certificate in a Secret, its authority in the MutatingWebhookConfiguration.

Several replicas may start at once: whoever creates the Secret first wins, the others read it. The configuration is watched, so applying
the manifest again (which carries no caBundle), or deleting and making it, is mended within a moment.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable
from datetime import datetime

from kubeflow_lite.errors import Conflict, KubeflowError
from kubeflow_lite.kube.client import Client
from kubeflow_lite.kube.watch import follow
from kubeflow_lite.objects import Object, metadata
from kubeflow_lite.poddefaults import certificate
from kubeflow_lite.poddefaults.certificate import Certificate

log = logging.getLogger(__name__)

SERVICE = "admission-webhook-service"
SECRET = "admission-webhook-certificate"
CONFIGURATION = "admission-webhook-mutating-webhook-configuration"
CONFIGURATIONS = "admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


def server_names(namespace: str) -> list[str]:
    return [f"{SERVICE}.{namespace}.svc", f"{SERVICE}.{namespace}.svc.cluster.local"]


async def obtain(client: Client, namespace: str, *, at: datetime) -> Certificate:
    """The certificate that the Secret holds; made, or made anew, where there is none that serves."""
    secret = await client.find("v1/secrets", SECRET, namespace)
    held = from_secret(secret) if secret else None
    if held is not None and certificate.serves(held, server_names(namespace), at=at):
        return held
    made = certificate.make(server_names(namespace), at=at)
    try:
        await _keep(client, namespace, made, secret)
    except Conflict:
        log.info("another replica made the certificate first")
        return await obtain(client, namespace, at=at)
    log.info("made a certificate for %s", server_names(namespace)[0])
    return made


async def _keep(client: Client, namespace: str, made: Certificate, known: Object | None) -> None:
    body = to_secret(made, namespace)
    if known is None:
        await client.create("v1/secrets", body)
    else:
        version = {"resourceVersion": metadata(known)["resourceVersion"]}
        await client.patch("v1/secrets", SECRET, {"metadata": version, "data": body["data"]}, namespace)


def to_secret(held: Certificate, namespace: str) -> Object:
    values = {"ca.crt": held.authority, "tls.crt": held.certificate, "tls.key": held.key}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SECRET, "namespace": namespace},
        "type": "kubernetes.io/tls",
        "data": {key: _base64(value) for key, value in values.items()},
    }


def from_secret(secret: Object) -> Certificate | None:
    """None for a Secret that somebody has damaged."""
    data = secret.get("data") or {}
    try:
        return Certificate(*(base64.b64decode(data[key]).decode() for key in ("ca.crt", "tls.crt", "tls.key")))
    except (KeyError, ValueError):
        return None


def correction(configuration: Object, authority: str) -> list[Object]:
    """The JSON patch that makes every webhook of the configuration trust `authority`; empty where they do."""
    bundle = _base64(authority)
    patch: list[Object] = []
    for index, hook in enumerate(configuration.get("webhooks") or []):
        if hook["clientConfig"].get("caBundle") != bundle:
            patch.append({"op": "test", "path": f"/webhooks/{index}/name", "value": hook["name"]})
            patch.append({"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": bundle})
    return patch


async def keep_registered(client: Client, authority: Callable[[], str], registered: asyncio.Event) -> None:
    """Watch the configuration until cancelled; `registered` says whether the API server can call us now."""
    async for configuration in follow(client, CONFIGURATIONS, CONFIGURATION):
        if configuration is None:
            registered.clear()
            continue
        try:
            await register(client, configuration, authority())
        except KubeflowError as error:
            # The next event (the change that came between) or the next listing tries again.
            log.warning("cannot write caBundle: %s", error)
        else:
            registered.set()


async def register(client: Client, configuration: Object, authority: str) -> None:
    if patch := correction(configuration, authority):
        await client.patch(CONFIGURATIONS, CONFIGURATION, patch, kind="json")
        log.info("caBundle written into %s", CONFIGURATION)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
