"""Certificate requests: whose they are, and who may approve and sign them.

CertificateApproval, CertificateSigning and CertificateSubjectRestriction; and the requester's identity, which the API server writes and nobody else.
"""

from __future__ import annotations

import base64
import binascii

from cryptography import x509
from cryptography.x509.oid import NameOID

from kubesim.admission.request import AdmissionRequest, Plugin
from kubesim.auth.attributes import Attributes, quote
from kubesim.auth.rbac import Authorizer
from kubesim.auth.reader import Reader
from kubesim.auth.user import MASTERS
from kubesim.resources import Object

GROUP = "certificates.k8s.io"
REQUESTS = f"{GROUP}/v1/certificatesigningrequests"
CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"
_IDENTITY = ("username", "uid", "groups", "extra")


class CertificateRequests(Plugin):
    kinds = (REQUESTS,)

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def mutate(self, request: AdmissionRequest, reader: Reader) -> None:
        """A request carries the identity of who made it: signers trust it."""
        if not request.creates(REQUESTS):
            return
        spec = request.body.setdefault("spec", {})
        for name in _IDENTITY:
            spec.pop(name, None)
        body = request.user.body()
        spec |= {name: body[name] for name in _IDENTITY if name in body}

    def validate(self, request: AdmissionRequest, reader: Reader) -> None:
        if request.resource.key != REQUESTS:
            return
        if request.creates(REQUESTS):
            _check_subject(request)
        elif request.updates(REQUESTS, subresource="approval"):
            self._check_signer(request, "approve")
        elif request.updates(REQUESTS, subresource="status") and _is_signed_now(request):
            self._check_signer(request, "sign")

    def _check_signer(self, request: AdmissionRequest, verb: str) -> None:
        assert request.old is not None, "an update has an old object"
        signer = str((request.old.get("spec") or {}).get("signerName", ""))
        domain = f"{signer.partition('/')[0]}/*"
        asked = (
            Attributes(request.user, verb, group=GROUP, version="v1", resource="signers", name=name)
            for name in (signer, domain)
        )
        if not any(self._authorizer.authorize(one).allowed for one in asked):
            raise request.forbid(f"user not permitted to {verb} requests with signerName {quote(signer)}")


def _is_signed_now(request: AdmissionRequest) -> bool:
    return _status(request.body).get("certificate") != _status(request.old or {}).get("certificate") or _failed(
        request.body
    ) != _failed(request.old or {})


def _status(obj: Object) -> Object:
    return obj.get("status") or {}


def _failed(obj: Object) -> list[object]:
    return [one for one in _status(obj).get("conditions") or () if one.get("type") == "Failed"]


def _check_subject(request: AdmissionRequest) -> None:
    spec = request.body.get("spec") or {}
    if spec.get("signerName") != CLIENT_SIGNER:
        return
    try:
        parsed = x509.load_pem_x509_csr(base64.b64decode(spec.get("request") or "", validate=True))
    except (ValueError, TypeError, binascii.Error) as error:
        raise request.forbid(f"failed to parse CSR: {error}") from error
    if MASTERS in (name.value for name in parsed.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)):
        raise request.forbid(f"use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed")
