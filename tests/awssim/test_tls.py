"""HTTPS with a certificate of the lab's."""

import datetime as dt
import ipaddress
from pathlib import Path

import boto3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.awssim.running import REGION, running


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
