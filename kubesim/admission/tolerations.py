"""DefaultTolerationSeconds: a pod stays five minutes on a node that has gone quiet."""

from __future__ import annotations

from typing import Any

from kubesim.admission.request import AdmissionRequest, Plugin
from kubesim.auth.reader import Reader

SECONDS = 300
KEYS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


class DefaultTolerationSeconds(Plugin):
    kinds = ("v1/pods",)

    def mutate(self, request: AdmissionRequest, reader: Reader) -> None:
        if not request.creates("v1/pods"):
            return
        spec = request.body.setdefault("spec", {})
        have = list(spec.get("tolerations") or ())
        missing = [_default(key) for key in KEYS if not any(_tolerates(one, key) for one in have)]
        if missing:
            spec["tolerations"] = have + missing


def _tolerates(toleration: dict[str, Any], key: str) -> bool:
    return toleration.get("key", "") in ("", key) and toleration.get("effect", "") in ("", "NoExecute")


def _default(key: str) -> dict[str, Any]:
    return {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS}
