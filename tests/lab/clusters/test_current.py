"""`--cluster current` on a real API server that is somebody else's: asked for, nothing taken over, exactly what was made is removed."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
import yaml

from lab import consent
from lab.clusters import footprint, guest
from lab.clusters.base import IMAGES
from lab.clusters.current import Current
from lab.errors import LabError
from lab.kube import Cluster, manifests
from lab.kube.apply import apply
from lab.settings import Settings
from tests.lab.clusters.conftest import Server
from tests.lab.clusters.programs import Programs


@pytest.fixture
def current(loaded: Settings, server: Server) -> Current:
    return Current(loaded, source=(server.kubeconfig,))


@pytest.fixture
def theirs(server: Server) -> Cluster:
    return Cluster(server.kubeconfig)


def names(cluster: Cluster) -> set[str]:
    kinds = [("v1", "Namespace"), ("rbac.authorization.k8s.io/v1", "ClusterRole"), ("v1", "PersistentVolume")]
    kinds.append(("apiextensions.k8s.io/v1", "CustomResourceDefinition"))
    return {f"{kind} {item['metadata']['name']}" for group, kind in kinds for item in cluster.list(group, kind)}


def test_question_names_the_cluster(current: Current, server: Server) -> None:
    question = current.question()
    assert question is not None
    assert f"https://127.0.0.1:{server.port}" in question
    assert "context  theirs" in question
    assert "kubeflow" in question


def test_nobody_is_asked_where_there_is_no_terminal(current: Current) -> None:
    said: list[str] = []
    with pytest.raises(LabError, match="nobody agreed") as refusal:
        consent.obtain(current, yes=False, terminal=False, say=said.append, ask=lambda _: pytest.fail("asked"))
    assert "--yes" in refusal.value.hint
    with pytest.raises(LabError, match="nobody agreed"):
        current.create()


@pytest.mark.parametrize("answer", ["", "no", "y"])
def test_anything_but_yes_is_no(current: Current, answer: str) -> None:
    with pytest.raises(LabError, match="nothing was changed"):
        consent.obtain(current, yes=False, terminal=True, say=lambda _: None, ask=lambda _: answer)
    assert current.question() is not None


def test_agreed_once_for_one_cluster(current: Current, loaded: Settings, theirs: Cluster, tmp_path: Path) -> None:
    consent.obtain(current, yes=False, terminal=True, say=lambda _: None, ask=lambda _: " Yes ")
    assert current.question() is None
    record = json.loads((current.folder / "record.json").read_text())
    assert record["uid"] == theirs.get("v1", "Namespace", "kube-system")["metadata"]["uid"]
    (current.folder / "record.json").write_text(json.dumps(record | {"uid": "another", "agreed": "another"}))
    assert current.question() is not None, "a context that points elsewhere now is asked about again"


def test_create_up_to_delete_leaves_what_was_there(current: Current, theirs: Cluster) -> None:
    before = names(theirs)
    current.agree()
    assert f"theirs, {current.context.server}" == current.create()
    assert names(theirs) == before, "create changes nothing"
    made = manifests.read(manifests.K8S / "01-namespaces.yaml") + manifests.read(manifests.K8S / "02-storage.yaml")
    crds = [i for i in manifests.read(manifests.K8S / "kubeflow") if i["kind"] == "CustomResourceDefinition"]
    apply(Cluster(current.kubeconfig()), [*made, *crds])
    apply(theirs, [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "their-own"}}])
    assert current.create() is not None, "again, now that the lab's own things are there"
    assert not current.stop()
    current.delete()
    assert names(theirs) == before | {"Namespace their-own"}
    assert not current.folder.exists()
    theirs.delete("v1", "Namespace", "their-own")


def test_what_is_there_already_is_not_taken_over(current: Current, theirs: Cluster) -> None:
    apply(theirs, [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kubeflow-user01"}}])
    current.agree()
    with pytest.raises(LabError, match="has already what the lab would make: Namespace kubeflow-user01; nothing was"):
        current.create()
    current.delete()
    assert theirs.find("v1", "Namespace", "kubeflow-user01") is not None
    theirs.delete("v1", "Namespace", "kubeflow-user01")


def test_context_moved_to_another_cluster(current: Current) -> None:
    current.agree()
    current.create()
    path = current.folder / "record.json"
    path.write_text(
        json.dumps(json.loads(path.read_text()) | {"uid": "gone", "server": "https://gone", "context": "a"})
    )
    with pytest.raises(LabError, match="is on https://gone") as refusal:
        current.question()
    assert "LAB_CONTEXT=a" in refusal.value.hint
    with pytest.raises(LabError, match="another cluster than the one"):
        current.delete()


def test_a_profile_without_its_operator_goes_too(theirs: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    crds = [i for i in manifests.read(manifests.K8S / "kubeflow") if i["kind"] == "CustomResourceDefinition"]
    apply(theirs, crds)
    profile = {"apiVersion": "kubeflow.org/v1", "kind": "Profile", "metadata": {"name": "p", "finalizers": ["lab/x"]}}
    theirs.wait(lambda: None if _served(theirs) else "not served", seconds=10, cancelled=Event())
    theirs.create(profile | {"spec": {"owner": {"kind": "User", "name": "a"}}})
    monkeypatch.setattr(guest, "PATIENCE", 0.5)
    refs = [footprint.Ref("kubeflow.org/v1", "Profile", "p")]
    refs += [footprint.Ref(i["apiVersion"], i["kind"], i["metadata"]["name"]) for i in crds]
    guest.remove(theirs, refs)
    assert not any("kubeflow" in name for name in names(theirs))


def _served(cluster: Cluster) -> bool:
    try:
        cluster.kind("kubeflow.org/v1", "Profile")
    except LabError:
        return False
    return True


def test_images_by_the_registrys_name(current: Current, loaded: Settings, programs: Programs) -> None:
    programs.install("docker")
    shelf = loaded.state / "bundle" / "images"
    shelf.mkdir(parents=True)
    for image in IMAGES:
        (shelf / (image.tag.replace("/", "_").replace(":", "_") + ".tar")).write_bytes(b"")
    pushing = replace(current, settings=loaded.model_copy(update={"registry": "reg.example:5000/lab"}))
    assert pushing.load_images(IMAGES) == "5 images at reg.example:5000/lab"
    assert programs.calls("docker push") == [f"docker push reg.example:5000/lab/{image.tag}" for image in IMAGES]
    assert pushing.image("ops-demo:serving") == "reg.example:5000/lab/ops-demo:serving"
    assert pushing.image("busybox:1") == "busybox:1"
    assert current.image("ops-demo:serving") == "ops-demo:serving"
    assert "its nodes must have mlops-lab/postgres:1" in (current.load_images(IMAGES) or "")


def test_kubeconfigs_of_others(tmp_path: Path, loaded: Settings, server: Server) -> None:
    whole = yaml.safe_load(server.kubeconfig.read_text())
    (tmp_path / "ca.pem").write_bytes(b64decode(whole["clusters"][0]["cluster"]["certificate-authority-data"]))
    del whole["clusters"][0]["cluster"]["certificate-authority-data"]
    whole["clusters"][0]["cluster"]["certificate-authority"] = "ca.pem"
    (tmp_path / "config").write_text(yaml.safe_dump(whole))
    assert Current(loaded, source=(tmp_path / "none", tmp_path / "config")).question() is not None, "files are inlined"
    with pytest.raises(LabError, match="there is no kubeconfig at"):
        Current(loaded, source=(tmp_path / "none",)).question()
    with pytest.raises(LabError, match="no context 'elsewhere'") as refusal:
        Current(loaded.model_copy(update={"context": "elsewhere"}), source=(server.kubeconfig,)).question()
    assert "known: theirs" in refusal.value.hint


def test_what_the_lab_makes(loaded: Settings) -> None:
    refs = footprint.footprint(loaded)
    assert len([ref for ref in refs if ref.kind == "Profile"]) == 2
    assert footprint.Ref("rbac.authorization.k8s.io/v1", "Role", "mlops-cluster-info", "kube-system") in refs
    groups = footprint.ordered(refs)
    assert {ref.kind for ref in groups[0]} == {"Profile"}
    assert {ref.kind for ref in groups[-1]} == {"CustomResourceDefinition"}
    assert sorted(ref for group in groups for ref in group) == refs
