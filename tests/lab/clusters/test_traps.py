"""What is known to go wrong on real clusters, one test each; docs/how-to/kind.md and k3s.md list the traps with where they are handled.

The programs are recorded, so what is tested here is what the lab tells them; what only they can prove is in those pages too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.clusters import kind as kind_module
from lab.clusters.base import IMAGES
from lab.clusters.kind import ADDONS, METRICS_SERVER, Kind
from lab.errors import ClusterError
from lab.kube import Object, manifests
from lab.settings import ROOT, Settings, load
from lab.tenancy import tenants
from tests.lab.clusters.conftest import Server
from tests.lab.clusters.programs import Programs
from tests.lab.clusters.test_kind import exists
from tests.lab.clusters.test_kind import kind as kind  # the fixture

K8S = manifests.K8S
WHERE = {"AWS_ADDRESS": "192.0.2.1", "AWS_PORT": "4566"}


def sent() -> list[Object]:
    """Every manifest that the lab sends to a cluster, one tenant's among them."""
    files = [*sorted(K8S.glob("0*.yaml")), K8S / "postgres.yaml", K8S / "kubeflow", *ADDONS]
    found = [item for path in files for item in manifests.read(path)]
    return [*found, *manifests.read(K8S / "system.yaml", WHERE), *tenants.mlflow(load(), load().one("01"))]


def containers(value: Any) -> Iterator[dict[str, Any]]:
    """Wherever a pod template lies in it."""
    if isinstance(value, list):
        for item in value:
            yield from containers(item)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key in ("containers", "initContainers"):
                yield from (item for item in inner if "image" in item)
            yield from containers(inner)


def test_images_have_a_fixed_tag_and_are_not_pulled_where_they_are() -> None:
    """Images that were loaded have no digest, and `:latest` would be pulled, from where nobody is."""
    found = [item for manifest in sent() for item in containers(manifest)]
    assert len(found) > 8
    for item in found:
        tag = item["image"].rpartition("/")[2].partition(":")[2]
        assert tag not in ("", "latest"), item["image"]
        assert item.get("imagePullPolicy") == "IfNotPresent", item["image"]
    assert {item["image"] for item in found} <= {METRICS_SERVER.partition("@")[0], *(image.tag for image in IMAGES)}


def test_metrics_server_takes_the_kubelets_own_certificates() -> None:
    """Else an autoscaler on kind shows <unknown>."""
    (found,) = [item for path in ADDONS for manifest in manifests.read(path) for item in containers(manifest)]
    assert "--kubelet-insecure-tls" in found["args"]
    (autoscaler,) = [item for item in sent() if item["kind"] == "HorizontalPodAutoscaler"]
    (metric,) = autoscaler["spec"]["metrics"]
    assert metric["resource"]["name"] == "cpu"


def test_what_users_keep_open_needs_no_port_forward(kind: Kind, loaded: Settings) -> None:
    """Every node port of the lab's is published by the kind node, on loopback: a port-forward drops after minutes."""
    kind.create()
    config = yaml.safe_load((kind.folder / "config.yaml").read_text())
    published = {item["hostPort"]: item["containerPort"] for item in config["nodes"][0]["extraPortMappings"]}
    services = [item for item in manifests.with_ports(sent(), loaded) if item["kind"] == "Service"]
    wanted = {port["nodePort"] for item in services for port in item["spec"]["ports"] if "nodePort" in port}
    assert len(wanted) == 4
    assert {published.get(port) for port in wanted} == wanted


def test_the_users_own_kubeconfig_is_not_touched(
    kind: Kind, programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kind writes to ~/.kube/config unless every command that writes names another file."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    kind.create()
    exists(programs)
    kind.stop()
    kind.delete()
    writing = [call for call in programs.calls("kind") if call.split()[1] in ("create", "delete", "export")]
    assert [call.split()[1] for call in writing] == ["create", "delete"]
    assert all(f"--kubeconfig {kind.folder}/kubeconfig" in call for call in writing)
    assert list(home.iterdir()) == []


def test_nodes_whose_addresses_changed_are_told_with_what_to_do(
    kind: Kind, programs: Programs, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a restart Docker may deal the addresses out anew; the API server of kind then never answers."""
    kind.create()
    exists(programs)
    (kind.folder / "kubeconfig").write_text(server.kubeconfig.read_text().replace(str(server.port), "1"))
    monkeypatch.setattr(kind_module, "PATIENCE", 1)
    with pytest.raises(ClusterError, match=r"does not answer 1 s after its containers .* were started") as told:
        kind.create()
    assert "./inv down --purge" in told.value.hint
    assert programs.calls("docker start") == ["docker start mlops-lab-control-plane mlops-lab-worker"]


def test_mlflow_knows_the_names_it_is_called_by() -> None:
    """Since 3.5 it refuses a Host header that it does not know: each name with and without the port, and pods' addresses for probes."""
    text = (ROOT / "images/mlflow/Dockerfile").read_text()
    (listed,) = re.findall(r'MLFLOW_SERVER_ALLOWED_HOSTS="([^"]+)"', text)
    hosts = listed.split(",")
    names = {item["metadata"]["name"] for item in sent() if item["kind"] == "Service"} & {
        "mlflow-service",
        "mlflow-server",
    }
    assert len(names) == 2
    for name in names:
        assert {name, f"{name}:*", f"{name}.*"} <= set(hosts)
    assert {"10.*", "172.*", "192.168.*"} <= set(hosts), "kubelets of kind, k3s and EKS probe by address"
    assert "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false" in text, "seven helper processes a server"


def test_both_ways_to_the_registry_keep_its_real_name(kind: Kind, loaded: Settings, tmp_path: Path) -> None:
    """kind's containerd reads a folder that is mounted when its nodes are made; k3s reads its file at the start, with plain HTTP spelled out."""
    from lab.clusters import k3s, render

    name = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com"
    kind.create()
    assert list((kind.folder / "certs.d").iterdir()) == [], "there is no registry to sign in to yet"
    assert list(kind.capabilities.logins) == [f"certs.d/{name}/hosts.toml"]
    given = render.values(loaded, folder=tmp_path, address="127.0.0.1")
    render.write(tmp_path, k3s.FILES, given)
    registries = yaml.safe_load((tmp_path / "registries.yaml").read_text())
    assert registries == {"mirrors": {name: {"endpoint": ["http://127.0.0.1:4566"]}}}
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    kubelet = dict(item.split("=", 1) for item in config["kubelet-arg"])
    (asked,) = yaml.safe_load(Path(kubelet["image-credential-provider-config"]).read_text())["providers"]
    assert asked["matchImages"] == [name]
    assert (Path(kubelet["image-credential-provider-bin-dir"]) / asked["name"]).is_file()


def test_nothing_of_the_shell_reaches_k3s(monkeypatch: pytest.MonkeyPatch) -> None:
    from lab.clusters.k3s import _environment

    kept, left = ("LAB_LANG", "PATH"), ("AWS_PROFILE", "KUBECONFIG", "K3S_TOKEN")
    for key in (*kept, *left):
        monkeypatch.setenv(key, "x")
    assert set(kept) <= set(_environment())
    assert not set(left) & set(_environment())
