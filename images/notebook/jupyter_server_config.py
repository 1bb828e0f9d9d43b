"""Jupyter behind Kubeflow's URL prefix, with a token.

Stock Kubeflow turns the token off, because Istio lets only the owner through. Nothing stands in front of a pod here, so Jupyter asks
for its token itself; it writes it to the pod's log, which only the tenant may read (`kubectl logs NAME-0`).
"""

from __future__ import annotations

import os
from typing import Any

c: Any = get_config()  # type: ignore[name-defined]  # noqa: F821

c.ServerApp.ip = os.environ.get("POD_IP", "0.0.0.0")
c.ServerApp.port = 8888
c.ServerApp.port_retries = 0
c.ServerApp.base_url = os.environ.get("NB_PREFIX", "/")
c.ServerApp.allow_remote_access = True
c.ServerApp.root_dir = os.environ.get("HOME", "/home/jovyan")
c.ExtensionApp.open_browser = False
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.news_url = None
