"""The PodDefault webhook as a program: TLS on `port`, probes on HEALTH_PORT (8080), POD_NAMESPACE says where its Secret and Service are."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping

from kubeflow_lite import health
from kubeflow_lite.errors import ApiError, KubeflowError, Unreachable
from kubeflow_lite.kube.client import Client
from kubeflow_lite.kube.config import Access, load_cert_chain
from kubeflow_lite.poddefaults import certificate, registration, webhook
from kubeflow_lite.poddefaults.certificate import Certificate
from kubeflow_lite.web.serve import stop_signal

log = logging.getLogger(__name__)

CHECK_SECONDS = 6 * 3600.0
RETRY_SECONDS = 1.0


class Served:
    """The certificate in use and the TLS context that has it; renewing changes both for connections to come."""

    def __init__(self, held: Certificate) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.use(held)

    def use(self, held: Certificate) -> None:
        load_cert_chain(self.context, held.certificate, held.key)
        self.held = held

    def authority(self) -> str:
        return self.held.authority


async def run(access: Access, environment: Mapping[str, str], *, address: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    namespace = environment.get("POD_NAMESPACE", "kubeflow")
    registered, stop = asyncio.Event(), stop_signal()
    probes = health.application(registered.is_set)
    async with (
        Client(access) as client,
        health.serving(probes, address, int(environment.get("HEALTH_PORT", "8080"))),
    ):
        served = Served(await _obtain(client, namespace))
        async with (
            health.serving(webhook.application(client), address, port, served.context) as bound,
            asyncio.TaskGroup() as group,
        ):
            log.info("serving %s on port %d", webhook.PATH, bound)
            tasks = (
                group.create_task(registration.keep_registered(client, served.authority, registered)),
                group.create_task(_keep_fresh(client, namespace, served)),
            )
            await stop.wait()
            for task in tasks:
                task.cancel()


async def _obtain(client: Client, namespace: str) -> Certificate:
    """`registration.obtain`, waiting for an API server or for RBAC that is not there yet."""
    while True:
        try:
            return await registration.obtain(client, namespace, at=certificate.now())
        except (ApiError, Unreachable) as error:
            log.warning("no certificate yet: %s", error)
            await asyncio.sleep(RETRY_SECONDS)


async def _keep_fresh(client: Client, namespace: str, served: Served) -> None:
    """Renew in time, and follow a Secret that another replica renewed."""
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        held = await _obtain(client, namespace)
        if held == served.held:
            continue
        served.use(held)
        try:
            configuration = await client.get(registration.CONFIGURATIONS, registration.CONFIGURATION)
            await registration.register(client, configuration, held.authority)
        except KubeflowError as error:
            log.warning("renewed, but %s", error)
