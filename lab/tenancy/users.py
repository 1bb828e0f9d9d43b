"""A tenant's own credentials: an x509 kubeconfig through the cluster's certificate API, AWS keys, and the environment that uses both.

Everything lies in `.lab/users/userNN/`, readable by this user only. ~/.kube and ~/.aws are never touched.
"""

from __future__ import annotations

import configparser
import secrets
import time
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from lab import kubeconfig
from lab.aws import routes
from lab.aws.base import Keys
from lab.errors import ClusterError, LabError
from lab.host.files import write_private as write_private
from lab.kube import Cluster, Object
from lab.messages import t
from lab.settings import Settings, Tenant


def folder(settings: Settings, tenant: Tenant) -> Path:
    return settings.state / "users" / tenant.user


def kubeconfig_path(settings: Settings, tenant: Tenant) -> Path:
    return folder(settings, tenant) / "kubeconfig"


def provide_kubeconfig(cluster: Cluster, settings: Settings, tenant: Tenant, groups: Sequence[str]) -> None:
    """Write the tenant's kubeconfig unless there is one for this cluster that is good for another week."""
    path = kubeconfig_path(settings, tenant)
    server = kubeconfig.read([cluster.kubeconfig]).cluster
    if _still_good(path, server):
        return
    key, certificate = _sign(cluster, tenant.email, groups)
    name, context = "mlops-lab", {"cluster": "mlops-lab", "user": tenant.user, "namespace": tenant.namespace}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": server}],
        "contexts": [{"name": f"{tenant.user}@{name}", "context": context}],
        "current-context": f"{tenant.user}@{name}",
        "users": [{"name": tenant.user, "user": {"client-certificate-data": certificate, "client-key-data": key}}],
    }
    write_private(path, yaml.safe_dump(config, sort_keys=False))


def _still_good(path: Path, server: Object) -> bool:
    from cryptography import x509

    try:
        kept = kubeconfig.read([path])
        certificate = x509.load_pem_x509_certificate(kept.certificate.encode())
    except (LabError, ValueError):
        return False
    return kept.cluster == server and certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=7)


def _sign(cluster: Cluster, user: str, groups: Sequence[str]) -> tuple[str, str]:
    """A new key and its certificate (base64 of PEM each), signed by the cluster through a CertificateSigningRequest."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(x509.NameOID.COMMON_NAME, user)]
        + [x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, group) for group in groups]
    )
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    certificate = _approved(cluster, user, request.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return b64encode(pem).decode(), certificate


def _approved(cluster: Cluster, user: str, request: bytes) -> str:
    api, kind = "certificates.k8s.io/v1", "CertificateSigningRequest"
    name = f"{user.partition('@')[0]}-{secrets.token_hex(4)}"
    spec = {
        "request": b64encode(request).decode(),
        "signerName": "kubernetes.io/kube-apiserver-client",
        "usages": ["client auth"],
    }
    made = cluster.create({"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec})
    condition = {"type": "Approved", "status": "True", "reason": "LabTenant", "message": "approved by invoke up"}
    made["status"] = {"conditions": [condition]}
    cluster.request("PUT", cluster.kind(api, kind).path(name=name, subresource="approval"), made)
    deadline = time.monotonic() + 15
    try:
        while time.monotonic() < deadline:
            found = cluster.get(api, kind, name)
            if certificate := found.get("status", {}).get("certificate"):
                return str(certificate)
            cluster.pause(0.05, t("CertificateSigningRequest {name} to be signed", name=name))
    finally:
        cluster.delete(api, kind, name)
    raise ClusterError(
        t("the cluster did not sign the certificate of {user} within 15 s", user=user),
        t("does it have a signer? ./inv doctor"),
    )


def write_keys(settings: Settings, user: str, keys: Keys) -> None:
    """AWS keys of an IAM user, in the format the AWS tools read; region and endpoints stand beside them."""
    text = (
        f"[default]\naws_access_key_id = {keys.access_key_id}\naws_secret_access_key = {keys.secret}\n"
        f"region = {settings.region}\n{routes.profile(settings)}"
    )
    write_private(settings.state / "users" / user / "aws.ini", text)


def read_keys(settings: Settings, user: str) -> Keys | None:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string((settings.state / "users" / user / "aws.ini").read_text())
        return Keys(parser["default"]["aws_access_key_id"], parser["default"]["aws_secret_access_key"])
    except (OSError, KeyError, configparser.Error):
        return None


def sign_in(settings: Settings, tenant: Tenant) -> dict[str, str]:
    """What AWS's tools need to be the tenant; {} where the tenant has no keys."""
    keys = read_keys(settings, tenant.user)
    if keys is None:
        return {}
    ini = str(folder(settings, tenant) / "aws.ini")
    return {
        "AWS_REGION": settings.region,
        "AWS_DEFAULT_REGION": settings.region,
        **routes.variables(settings),
        "AWS_ACCESS_KEY_ID": keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": keys.secret,
        "AWS_CONFIG_FILE": ini,
        "AWS_SHARED_CREDENTIALS_FILE": ini,
    }


def environment(settings: Settings, tenant: Tenant) -> dict[str, str]:
    """What a student's shell has: the course's variables, and clients pointed at the lab by this user's own files."""
    signed_in = sign_in(settings, tenant)
    if not signed_in or not kubeconfig_path(settings, tenant).exists():
        raise LabError(t("tenant {user} has not been started", user=tenant.user), f"./inv up --tenants {tenant.num}")
    s3 = routes.endpoint(settings, "s3")
    return {
        "USER_NUM": tenant.num,
        "NAMESPACE": tenant.namespace,
        "S3_BUCKET": tenant.bucket,
        **signed_in,
        "KUBECONFIG": str(kubeconfig_path(settings, tenant)),
        **({"MLFLOW_S3_ENDPOINT_URL": s3} if s3 else {}),
    }
