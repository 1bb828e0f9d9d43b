"""CertificateSigningRequests: approved ones are signed, a node's own are approved, old ones are removed.

Only the three built-in client and serving signers are answered. What each will sign is checked before anything is signed, as in Kubernetes: a
request the signer does not allow becomes Failed with the reason SignerValidationFailure.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from datetime import timedelta

from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from kubesim.controllers.clock import stamp
from kubesim.controllers.informer import Key
from kubesim.controllers.kinds import SIGNING_REQUESTS
from kubesim.controllers.meta import condition, created, is_true
from kubesim.controllers.runtime import Cluster, Controller
from kubesim.resources import Object

CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
USAGES = {
    CLIENT: ({"client auth"}, {"digital signature", "key encipherment", "client auth"}),
    KUBELET_CLIENT: ({"client auth"}, {"digital signature", "key encipherment", "client auth"}),
    KUBELET_SERVING: ({"server auth"}, {"digital signature", "key encipherment", "server auth"}),
}
"""By signer: the usages a request must have, and those it may have."""
LIFETIMES = {"Approved": timedelta(hours=1), "Denied": timedelta(hours=1), "Pending": timedelta(hours=24)}

Sign = Callable[..., str]
"""`sign(csr_pem, *, signer, usages, expiration_seconds)`: the certificate chain, PEM."""


class Signing(Controller):
    name = "csrsigning-controller"

    def __init__(self, cluster: Cluster, *, sign: Sign) -> None:
        super().__init__(cluster)
        self.sign = sign
        self.requests = self.on(SIGNING_REQUESTS)

    async def reconcile(self, key: Key) -> float | None:
        request = self.requests.get(*key)
        if request is None:
            return None
        status = request.get("status") or {}
        if not status.get("certificate") and request["spec"]["signerName"] in USAGES:
            if is_true(request, "Approved") and not is_true(request, "Failed") and not is_true(request, "Denied"):
                await self._sign(request)
            elif not status.get("conditions") and _is_kubelets(request):
                await self._approve(request)
        return await self._expire(request)

    async def _sign(self, request: Object) -> None:
        spec, status = request["spec"], request.get("status") or {}
        pem = base64.b64decode(spec["request"]).decode()
        problem = refusal(spec, pem)
        if problem:
            conditions = [
                *(status.get("conditions") or ()),
                _condition("Failed", "SignerValidationFailure", problem, self._now()),
            ]
            await self.cluster.update_status(SIGNING_REQUESTS, request, status | {"conditions": conditions})
            return
        chain = await asyncio.to_thread(
            self.sign,
            pem,
            signer=spec["signerName"],
            usages=list(spec.get("usages") or ()),
            expiration_seconds=spec.get("expirationSeconds"),
        )
        certificate = base64.b64encode(chain.encode()).decode()
        await self.cluster.update_status(SIGNING_REQUESTS, request, status | {"certificate": certificate})

    async def _approve(self, request: Object) -> None:
        message = "Auto approving kubelet client certificate after SubjectAccessReview."
        conditions = [_condition("Approved", "AutoApproved", message, self._now())]
        body = request | {"status": (request.get("status") or {}) | {"conditions": conditions}}
        await self.cluster.update(SIGNING_REQUESTS, body, subresource="approval")

    def _now(self) -> str:
        return stamp(self.clock.now())

    async def _expire(self, request: Object) -> float | None:
        kind = next((k for k in ("Approved", "Denied") if condition(request, k)), "Pending")
        left = (created(request) + LIFETIMES[kind] - self.clock.now()).total_seconds()
        if left > 0:
            return left
        await self.cluster.delete(SIGNING_REQUESTS, request)
        return None


def _is_kubelets(request: Object) -> bool:
    """A node asking for its own client certificate."""
    spec = request["spec"]
    return (
        spec["signerName"] == KUBELET_CLIENT
        and "system:nodes" in (spec.get("groups") or ())
        and str(spec.get("username", "")).startswith("system:node:")
    )


def refusal(spec: Object, pem: str) -> str:
    """Why the signer will not sign this request, or ""."""
    try:
        csr = x509.load_pem_x509_csr(pem.encode())
    except ValueError as error:
        return f"unable to parse csr: {error}"
    usages = set(spec.get("usages") or ())
    needed, allowed = USAGES[spec["signerName"]]
    if not needed <= usages or not usages <= allowed:
        return f"usages did not match {sorted(allowed)}"
    names = [str(a.value) for a in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    groups = [str(a.value) for a in csr.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    if spec["signerName"] == CLIENT:
        return "" if names else "subject common name is required"
    if groups != ["system:nodes"]:
        return "subject organization is not system:nodes"
    if not names or not names[0].startswith("system:node:"):
        return "subject common name does not begin with system:node:"
    if spec["signerName"] == KUBELET_SERVING and not _has_names(csr):
        return "DNS or IP subjectAltName is required"
    return ""


def _has_names(csr: x509.CertificateSigningRequest) -> bool:
    try:
        csr.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    except x509.ExtensionNotFound:
        return False
    return True


def _condition(kind: str, reason: str, message: str, now: str) -> Object:
    return {
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": message,
        "lastUpdateTime": now,
        "lastTransitionTime": now,
    }
