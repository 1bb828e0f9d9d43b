"""What `invoke doctor` says of proxies, authority files and certificates; what it says of providers is tested with them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from base64 import b64encode
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from lab import doctor, world
from lab.aws.standin import StandIn
from lab.clusters.base import Finding
from lab.clusters.sim import Sim
from lab.errors import LabError
from lab.kubeconfig import Context
from lab.settings import ROOT
from lab.world import World
from tests.lab.bundle.offline import needs_namespaces


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
    path.write_text(Context("a", path, {}, user).alone())


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


@dataclass(frozen=True)
class Usage:
    """As psutil and shutil answer."""

    available: int = 0
    free: int = 0


def test_a_machine_that_is_too_small_is_told_what_helps(loaded: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Usage(available=2 * doctor.GIB))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free=doctor.GIB))
    found = {finding.subject: finding for finding in doctor.diagnose(loaded)}
    assert (found["memory"].seen, found["processors"].seen) == ("2.0 GiB available, 3 wanted", "1 available, 2 wanted")
    assert found["disk"].seen == f"1.0 GiB free at {loaded.settings.state}, 2 wanted"
    assert not any(found[name].good for name in ("memory", "processors", "disk"))
    assert "--tenants" in found["memory"].cure
    assert "fewer tenants" in found["processors"].cure
    assert "LAB_STATE=" in found["disk"].cure


def test_another_system_and_a_folder_of_somebody_elses(loaded: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(os, "access", lambda *_: False)
    found = {finding.subject: finding for finding in doctor.diagnose(loaded)}
    assert "Python 3.11 or newer on Linux" in found["Python"].cure
    assert found["lab folder"].seen == f"{loaded.settings.state} cannot be written"
    assert "LAB_STATE=" in found["lab folder"].cure


def test_ports_that_others_have(loaded: World) -> None:
    """The API's and the stand-in's own findings name the variable that moves them."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        moved = loaded.settings.ports.model_copy(update={"api": port, "aws": port})
        settings = loaded.settings.model_copy(update={"ports": moved})
        (api,) = Sim(settings).diagnose()
        (aws,) = StandIn(settings).diagnose()
    assert api.seen == aws.seen == f"port {port} is taken by another program"
    assert "LAB_PORTS_API" in api.cure
    assert "ports.aws" in aws.cure or "LAB_PORTS_AWS" in aws.cure


@needs_namespaces
def test_a_namespace_whose_loopback_is_down(tmp_path: Path) -> None:
    own = {key: value for key, value in os.environ.items() if not key.startswith("LAB_")} | {"LAB_STATE": str(tmp_path)}
    done = subprocess.run(
        ["unshare", "--net", str(ROOT / "inv"), "doctor"], env=own, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "✗ loopback addresses" in done.stdout
    assert "ip link set lo up" in done.stdout
    assert "Traceback" not in done.stderr
