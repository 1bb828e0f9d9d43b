"""The kind provider against programs that record: which commands, in which order, and what each state of a cluster leads to.

Its API server is a real one, so add-ons are applied and readiness is asked for as on any cluster.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lab.clusters.base import IMAGES
from lab.clusters.kind import METRICS_SERVER, Kind
from lab.errors import LabError, ToolMissing
from lab.settings import Settings
from tests.lab.clusters.conftest import Server
from tests.lab.clusters.programs import Programs

NODE = "kindest/node:v1.36.1@sha256:3489c7674813ba5d8b1a9977baea8a6e553784dab7b84759d1014dbd78f7ebd5"


@pytest.fixture
def kind(loaded: Settings, programs: Programs, server: Server) -> Kind:
    """No cluster yet; `kind create` makes one, whose API is the real server."""
    programs.install("docker", "kind")
    programs.answer("docker network inspect kind", stdout="172.18.0.1 fc00:f853::1 ")
    programs.answer("docker version", stdout="1.50")
    programs.answer("kind get nodes", stdout="mlops-lab-control-plane\nmlops-lab-worker\n")
    programs.answer("kind create cluster", after="--kubeconfig", text=server.kubeconfig.read_text())
    return Kind(loaded)


def exists(programs: Programs) -> None:
    programs.answer("kind get clusters", stdout="mlops-lab\n")


def shelve(settings: Settings, *names: str) -> Path:
    """An unpacked bundle with these archives."""
    folder = settings.state / "bundle" / "images"
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(b"archive")
    return folder


def test_create(kind: Kind, programs: Programs) -> None:
    assert kind.create() == f"https://127.0.0.1:{kind.settings.ports.api}, 1 node"
    folder = kind.folder
    (made,) = programs.calls("kind create")
    where = f"--config {folder}/config.yaml --kubeconfig {folder}/kubeconfig"
    assert made == f"kind create cluster --name mlops-lab {where} --image {NODE} --wait 180s"
    assert not any("--kubeconfig" not in call for call in programs.calls("kind create"))
    assert kind.running()
    assert kind.capabilities.host_address == "172.18.0.1"


def test_configuration(kind: Kind, loaded: Settings) -> None:
    Kind(loaded.model_copy(update={"nodes": 3})).create()
    config = yaml.safe_load((kind.folder / "config.yaml").read_text())
    assert config["networking"] == {"apiServerAddress": "127.0.0.1", "apiServerPort": loaded.ports.api}
    assert [node["role"] for node in config["nodes"]] == ["control-plane", "worker", "worker"]
    assert [len(node.get("extraPortMappings", [])) for node in config["nodes"]] == [4, 0, 0]
    assert all(port["listenAddress"] == "127.0.0.1" for port in config["nodes"][0]["extraPortMappings"])
    for node in config["nodes"]:
        assert node["image"] == NODE
        mounts = {mount["containerPath"]: Path(mount["hostPath"]) for mount in node["extraMounts"]}
        assert set(mounts) == {"/etc/containerd/certs.d", "/etc/mlops-lab", "/var/tmp/mlops-lab"}
        assert all(path.is_dir() for path in mounts.values()), "Docker would make what is missing, as root"
    patch = yaml.safe_load(config["kubeadmConfigPatches"][0])
    arguments = {item["name"]: item["value"] for item in patch["apiServer"]["extraArgs"]}
    webhook = mounts["/etc/mlops-lab"] / Path(arguments["authentication-token-webhook-config-file"]).name
    server = yaml.safe_load(webhook.read_text())["clusters"][0]["cluster"]["server"]
    assert server == "http://172.18.0.1:4566/_awssim/eks/token-review"
    assert mounts["/etc/containerd/certs.d"] == kind.folder / "certs.d"
    assert (mounts["/var/tmp/mlops-lab"] / "models").stat().st_mode & 0o777 == 0o777


def test_more_nodes_than_there_are_is_told(kind: Kind, loaded: Settings, programs: Programs) -> None:
    kind.create()
    exists(programs)
    assert Kind(loaded.model_copy(update={"nodes": 2})).create() == "already running"
    told = Kind(loaded.model_copy(update={"nodes": 3})).create()
    assert told is not None
    assert told.startswith("already running with 2 nodes; ./inv down --purge")
    assert "--nodes 3" in told


def test_second_create_changes_nothing(kind: Kind, programs: Programs) -> None:
    kind.create()
    exists(programs)
    programs.forget()
    assert kind.create() == "already running"
    assert programs.calls() == ["kind get clusters"]


def test_after_a_reboot_its_containers_are_started(kind: Kind, programs: Programs, server: Server) -> None:
    kind.create()
    exists(programs)
    (kind.folder / "kubeconfig").write_text(server.kubeconfig.read_text().replace(str(server.port), "1"))
    assert not kind.running()
    (kind.folder / "kubeconfig").write_text(server.kubeconfig.read_text())
    programs.forget()
    kind._start()
    assert programs.calls("docker") == ["docker start mlops-lab-control-plane mlops-lab-worker"]


def test_half_made_cluster_is_made_anew(kind: Kind, programs: Programs) -> None:
    programs.answer("kind create", stderr="ERROR: failed to create cluster: no space left on device", code=1)
    with pytest.raises(LabError, match="no space left"):
        kind.create()
    exists(programs)
    programs.answer("kind create", after="--kubeconfig", text=kind_config(programs))
    programs.forget()
    kind.create()
    assert [call.split()[1] for call in programs.calls("kind")] == ["get", "delete", "create"]


def kind_config(programs: Programs) -> str:
    rules = sorted((programs.folder / "rules").iterdir())
    return next((rule / "text").read_text() for rule in rules if (rule / "text").read_text())


def test_a_cluster_from_elsewhere_is_not_touched(kind: Kind, programs: Programs) -> None:
    exists(programs)
    with pytest.raises(LabError, match="did not make") as refusal:
        kind.create()
    assert "kind delete cluster --name mlops-lab" in refusal.value.hint
    kind.delete()
    assert programs.calls("kind delete") == []
    assert programs.calls("kind create") == []


def test_images_go_as_archives_of_one_platform(kind: Kind, loaded: Settings, programs: Programs) -> None:
    kind.create()
    names = [image.tag.replace("/", "_").replace(":", "_") + ".tar" for image in IMAGES]
    folder = shelve(loaded, *names, "registry.k8s.io_metrics-server_metrics-server_v0.8.0.tar")
    assert kind.load_images(IMAGES) == "6 loaded"
    loads = programs.calls("kind load")
    assert loads[0] == f"kind load image-archive {folder}/{names[0]} --name mlops-lab"
    assert "metrics-server" in loads[-1]
    assert "docker-image" not in " ".join(loads)
    assert kind.load_images(IMAGES) == "all there"
    (folder / names[1]).write_bytes(b"another")
    assert kind.load_images(IMAGES) == "1 loaded"


@pytest.mark.parametrize(("served", "options"), [("1.50", "--platform linux/"), ("1.47", "-o ")])
def test_saving(kind: Kind, programs: Programs, tmp_path: Path, served: str, options: str) -> None:
    from lab.clusters import supply

    programs.answer("docker version", stdout=served)
    supply.save("mlops-lab/mlflow:1", tmp_path / "a.tar")
    (call,) = programs.calls("docker save")
    assert call.startswith(f"docker save {options}")
    assert call.endswith(f"-o {tmp_path}/a.tar mlops-lab/mlflow:1")


def test_node_image_from_a_bundle_has_no_digest(kind: Kind, loaded: Settings, programs: Programs) -> None:
    folder = shelve(loaded, "kindest_node_v1.36.1.tar")
    kind.create()
    assert programs.calls("docker load") == [f"docker load -i {folder}/kindest_node_v1.36.1.tar"]
    assert "--image kindest/node:v1.36.1 --wait" in programs.calls("kind create")[0]
    assert kind.capabilities.images == (NODE, METRICS_SERVER)


def test_stop_and_delete(kind: Kind, programs: Programs) -> None:
    kind.create()
    assert kind.stop()
    assert programs.calls("docker stop") == ["docker stop mlops-lab-control-plane mlops-lab-worker"]
    kind.delete()
    assert programs.calls("kind delete")[0].startswith("kind delete cluster --name mlops-lab --kubeconfig ")
    assert not kind.folder.exists()
    kind.delete()


def test_network_is_made_where_it_is_missing(kind: Kind, programs: Programs) -> None:
    from lab.clusters import network

    programs.answer("docker network inspect other", stderr="Error response: network other not found", code=1)
    with pytest.raises(LabError, match="not found"):
        network.gateway("other")
    assert programs.calls("docker network create")[0].endswith(" other")


def test_what_is_missing_is_told(loaded: Settings, programs: Programs) -> None:
    with pytest.raises(ToolMissing, match="kind is not installed") as missing:
        Kind(loaded).create()
    assert "./inv tools kind fetches v0.32.0" in missing.value.hint
    findings = {finding.subject: finding for finding in Kind(loaded).diagnose()}
    assert not findings["kind"].good
    assert not findings["Docker"].good
    programs.install("kind", "docker")
    programs.answer("docker", stderr="Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", code=1)
    with pytest.raises(LabError, match="the Docker engine does not answer") as stopped:
        Kind(loaded).create()
    assert "systemctl start docker" in stopped.value.hint


def test_doctor_reads_docker(loaded: Settings, programs: Programs) -> None:
    programs.install("kind", "docker", "kubectl")
    store = '[["driver-type","io.containerd.snapshotter.v1"]]'
    answer = f"29.0.1\noverlayfs\n{store}\n1\n{2 * 2**30}\n1\n"
    programs.answer("docker info", stdout=answer + str(loaded.state))
    programs.answer("kind version", stdout="kind v0.31.0 go1.25 linux/amd64")
    findings = {finding.subject: finding for finding in Kind(loaded).diagnose()}
    assert findings["Docker"].seen == "engine 29.0.1, images in containerd"
    assert "v0.31.0; the lab is made for v0.32.0" in findings["kind"].seen
    assert not findings["control groups"].good
    assert findings["Docker's memory"].seen == "2.0 GiB, 6 wanted"
    assert findings["Docker's processors"].seen == "1, 2 wanted"
    assert f"free at {loaded.state}, 10 wanted" in findings["Docker's disk"].seen
    assert all(finding.good or finding.cure for finding in findings.values())
    programs.answer("docker info", stdout=answer + "/of/a/virtual/machine")
    assert "Docker's disk" not in {finding.subject for finding in Kind(loaded).diagnose()}
