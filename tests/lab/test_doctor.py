"""What `invoke doctor` says of proxies, authority files and certificates; what it says of providers is tested with them."""

from __future__ import annotations

import os
import socket
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from lab import doctor, world
from lab.clusters.base import Finding
from lab.errors import LabError
from lab.world import World


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("LAB_STATE", str(tmp_path))
    return world.load(cluster="sim", aws="standin")


def certificate(days: float) -> str:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "user01")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(now - timedelta(days=30)).not_valid_after(now + timedelta(days=days))
    return b64encode(made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)).decode()


def kubeconfig(path: Path, user: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"users": [{"name": "a", "user": user}]}))


def test_proxies_that_know_no_local_names() -> None:
    (finding,) = doctor._proxies({"HTTPS_PROXY": "http://proxy:3128"})
    assert not finding.good
    assert finding.cure.startswith("export no_proxy=localhost,127.0.0.1")
    (finding,) = doctor._proxies({"HTTPS_PROXY": "http://proxy:3128", "no_proxy": "*"})
    assert finding.good


def test_a_proxy_that_is_no_address() -> None:
    (finding,) = doctor._proxies({"http_proxy": "proxy"})
    assert (finding.good, finding.seen) == (False, "not an address: http_proxy=proxy")


def test_authority_files_that_are_gone(tmp_path: Path) -> None:
    assert doctor._authorities({"SSL_CERT_FILE": str(tmp_path)}) == []
    (finding,) = doctor._authorities({"REQUESTS_CA_BUNDLE": "/gone.pem", "SSL_CERT_FILE": str(tmp_path)})
    assert "unset REQUESTS_CA_BUNDLE" in finding.cure


def test_certificates_that_end(loaded: World) -> None:
    assert doctor._certificates(loaded) == []
    kubeconfig(loaded.kubeconfig, {"client-certificate-data": certificate(300)})
    kubeconfig(loaded.settings.state / "users" / "user02" / "kubeconfig", {"token": "t"})
    assert [finding.good for finding in doctor._certificates(loaded)] == [True]
    kubeconfig(loaded.settings.state / "users" / "user01" / "kubeconfig", {"client-certificate-data": certificate(3)})
    (finding,) = doctor._certificates(loaded)
    assert not finding.good
    assert finding.seen.startswith("1 of 3: users/user01/kubeconfig ends 20")
    assert finding.cure.startswith(f"rm {loaded.settings.state}/users/user01/kubeconfig")
    loaded.kubeconfig.write_text("]")
    assert doctor._certificates(loaded)[0].seen.startswith("2 of 3: kubeconfig cannot be read")


def test_every_finding_that_is_not_good_has_a_cure(loaded: World) -> None:
    findings = doctor.diagnose(loaded)
    assert [finding.subject for finding in findings if not finding.good and not finding.cure] == []
    assert {"Python", "memory", "disk", "inotify", "proxies", "loopback addresses"} <= {f.subject for f in findings}


def test_the_exit_code_counts(loaded: World) -> None:
    good, bad = Finding(True, "a", ""), Finding(False, "b", "")
    doctor.require_good([good])
    with pytest.raises(LabError, match="1 of 2 findings"):
        doctor.require_good([good, bad])


@pytest.mark.parametrize(("containers", "good"), [(False, True), (True, False)])
def test_nodes_in_containers_want_more_inotify_instances(containers: bool, good: bool) -> None:
    """Linux's usual 128 carry one simulator; three nodes of kind use them up."""
    found = doctor.inotify({"max_user_instances": 128, "max_user_watches": 65536}, containers=containers)
    assert found.good is good
    assert found.seen == "instances 128, watches 65536"
    assert found.cure == ("" if good else "sudo sysctl -w fs.inotify.max_user_instances=512")


def test_a_node_port_that_is_taken_is_told_with_who_has_it(loaded: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = loaded.settings.model_copy(
            update={"ports": loaded.settings.ports.model_copy(update={"serving": port})}
        )
        (found,) = doctor._node_ports(replace(loaded, settings=settings))
    assert not found.good
    assert f"serving {port} (process {os.getpid()})" in found.seen
    assert "lab.yaml" in found.cure
