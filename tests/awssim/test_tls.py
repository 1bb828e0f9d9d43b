"""HTTPS with a certificate of the lab's, and addresses beyond loopback."""

import datetime as dt
import http.client
import ipaddress
import json
import socket
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kubesim.pki import Authority
from tests.awssim.running import REGION, running

REGISTRY = f"123456789012.dkr.ecr.{REGION}.amazonaws.com"


def certificate(directory: Path) -> tuple[Path, Path]:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "awssim")])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, now, now + dt.timedelta(days=1)).add_extension(
        names, critical=False
    )
    made = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(
        key, hashes.SHA256()
    )
    files = directory / "tls.crt", directory / "tls.key"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    files[1].write_bytes(private)
    return files


def test_everything_over_tls(tmp_path: Path) -> None:
    public, private = certificate(tmp_path)
    with running(tmp_path / "state", "--tls-certificate", str(public), "--tls-key", str(private)) as stand:
        assert stand.endpoint.startswith("https://127.0.0.1:")
        root = stand.root
        s3 = boto3.client(
            "s3", endpoint_url=stand.endpoint, region_name=REGION, verify=str(public),
            aws_access_key_id=root.access_key_id, aws_secret_access_key=root.secret_access_key,
        )  # fmt: skip
        s3.create_bucket(Bucket="secure", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-2"})
        s3.put_object(Bucket="secure", Key="k", Body=b"x" * 400_000)
        assert len(s3.get_object(Bucket="secure", Key="k")["Body"].read()) == 400_000
        s3.close()


def test_the_labs_ca_signs_for_every_address_and_the_registrys_name(tmp_path: Path) -> None:
    authority = Authority.load(tmp_path)
    with running(
        tmp_path / "state", "--address", "127.0.0.1,127.0.0.3", "--tls-authority", str(tmp_path / "ca.crt")
    ) as stand:
        port = int(stand.endpoint.rpartition(":")[2])
        trusting = ssl.create_default_context(cadata=authority.pem.decode())
        for address, name in (("127.0.0.1", "localhost"), ("127.0.0.3", "127.0.0.3"), ("127.0.0.3", REGISTRY)):
            with (
                socket.create_connection((address, port), timeout=20) as plain,
                trusting.wrap_socket(plain, server_hostname=name) as secure,
            ):
                secure.sendall(f"GET /v2/ HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
                assert b" 401 " in secure.recv(200)
        with (
            pytest.raises(ssl.SSLCertVerificationError),
            socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
        ):
            trusting.wrap_socket(plain, server_hostname="somewhere.else")
        assert stat.S_IMODE((tmp_path / "state" / "tls" / "tls.key").stat().st_mode) == 0o600


def test_a_ca_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "awssim",
        "serve",
        "--state",
        str(tmp_path),
        "--port",
        "0",
        "--tls-authority",
        "none.crt",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("awssim: none.crt: no CA to make a certificate with")
    assert done.stderr.count("\n") == 1


ANYWHERE = [
    ("GET", "/", {}, (403,)), ("GET", "/bucket/key", {}, (403,)), ("PUT", "/bucket/key", {}, (403,)),
    ("GET", "/v2/", {}, (401,)), ("GET", "/v2/_catalog", {}, (401,)), ("POST", "/_ministack/reset", {}, (403,)),
    ("GET", "/?Action=ListUsers&Version=2010-05-08", {}, (403,)), ("GET", "/clusters", {}, (400, 403)),
    ("GET", "/_awssim/layers/sha256:0", {}, (403,)), ("GET", "/", {"Authorization": "AWS test:test"}, (400, 403)),
]  # fmt: skip


def test_an_address_of_nodes_is_authenticated_throughout(tmp_path: Path) -> None:
    """Beside loopback a kind or k3s cluster's nodes reach it: nothing is told there to whom is not known, nor believed."""
    with running(tmp_path / "state", "--address", "127.0.0.1,127.0.0.4") as stand:
        port = int(stand.endpoint.rpartition(":")[2])
        for method, path, headers, expected in ANYWHERE:
            connection = http.client.HTTPConnection("127.0.0.4", port, timeout=20)
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            assert answer.status in expected, (method, path, answer.read())
            connection.close()
        review = json.dumps({"spec": {"token": "k8s-aws-v1.x"}})
        connection = http.client.HTTPConnection("127.0.0.4", port, timeout=20)
        connection.request("POST", "/_awssim/eks/token-review", body=review)
        assert json.loads(connection.getresponse().read())["status"]["authenticated"] is False
        connection.close()
        root = stand.root
        sts = boto3.client(
            "sts", endpoint_url=f"http://127.0.0.4:{port}", region_name=REGION,
            aws_access_key_id=root.access_key_id, aws_secret_access_key=root.secret_access_key,
        )  # fmt: skip
        assert sts.get_caller_identity()["Account"] == "123456789012"
        sts.close()
