"""Jupyter behind Kubeflow's URL prefix, for its tenant.

Stock Kubeflow turns the token off, because Istio lets only the owner through. Nothing stands in front of a pod here, so Jupyter asks who is
there, and lets in by either of two ways:

- its token, which it writes to the pod's log, which only the tenant may read (`kubectl logs NAME-0`): for a port-forward;
- a pass of the central dashboard, which has asked Kubernetes that the visitor is this Notebook's tenant: a token of the dashboard's service
  account, made for this Notebook and no other (its audience), checked here with the cluster's public keys.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any

import jwt
import requests
import yaml
from jupyter_server.auth.identity import PasswordIdentityProvider, User

log = logging.getLogger("jupyter.dashboard")

HEADER = "X-Notebook-Visitor"
DASHBOARD = "system:serviceaccount:kubeflow:centraldashboard"
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_KEYS_SECONDS = 300.0


def cluster_keys() -> list[jwt.PyJWK]:
    """The keys that the cluster signs service accounts' tokens with, asked for as this pod's own account."""
    if path := os.environ.get("KUBECONFIG"):
        # Where a simulator cannot mount the account's folder it names a kubeconfig that holds the same.
        config = yaml.safe_load(Path(path).read_text())
        server = config["clusters"][0]["cluster"]
        url, trust = server["server"], server.get("certificate-authority")
        user = config["users"][0]["user"]
        token = user.get("token") or Path(user["tokenFile"]).read_text().strip()
    else:
        host = os.environ["KUBERNETES_SERVICE_HOST"]
        url = f"https://{f'[{host}]' if ':' in host else host}:{os.environ['KUBERNETES_SERVICE_PORT']}"
        trust, token = str(ACCOUNT / "ca.crt"), (ACCOUNT / "token").read_text().strip()
    answer = requests.get(
        f"{url}/openid/v1/jwks", headers={"Authorization": f"Bearer {token}"}, verify=trust or True, timeout=5
    )
    answer.raise_for_status()
    return jwt.PyJWKSet.from_dict(answer.json()).keys


class Doorkeeper(PasswordIdentityProvider):
    """The dashboard's passes, and otherwise Jupyter's own ways."""

    _keys: tuple[float, list[jwt.PyJWK]] = (float("-inf"), [])

    async def get_user_token(self, handler: Any) -> User | None:
        """Called for every request that is not known yet; a pass counts as a token, so that no further proof of origin is asked for:
        the dashboard has asked for it."""
        given = handler.request.headers.get(HEADER)
        if given and self.is_pass(given):
            return User(username="tenant", name="tenant", display_name="tenant", initials="T", color=None)
        return await super().get_user_token(handler)

    def is_pass(self, given: str) -> bool:
        audience = "notebook:" + os.environ.get("NB_PREFIX", "").removeprefix("/notebook/")
        for key in self.keys():
            try:
                claims = jwt.decode(given, key, algorithms=["RS256", "ES256"], audience=audience)
            except jwt.InvalidTokenError as error:
                log.debug("no pass: %s", error)
                continue
            return bool(claims.get("sub") == DASHBOARD)
        return False

    def keys(self) -> list[jwt.PyJWK]:
        asked, known = self._keys
        if time.monotonic() - asked > _KEYS_SECONDS:
            try:
                self._keys = (time.monotonic(), cluster_keys())
            except (OSError, KeyError, ValueError, jwt.PyJWTError) as error:
                # The other way in stays open.
                log.warning("the cluster's keys cannot be read: %s", error)
                self._keys = (time.monotonic() - _KEYS_SECONDS + 5, known)
        return self._keys[1]


c: Any = get_config()  # type: ignore[name-defined]  # noqa: F821

c.ServerApp.identity_provider_class = Doorkeeper
c.ServerApp.ip = os.environ.get("POD_IP", "0.0.0.0")
c.ServerApp.port = 8888
c.ServerApp.port_retries = 0
c.ServerApp.base_url = os.environ.get("NB_PREFIX", "/")
c.ServerApp.allow_remote_access = True
c.ServerApp.root_dir = os.environ.get("HOME", "/home/jovyan")
c.ExtensionApp.open_browser = False
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.news_url = None
