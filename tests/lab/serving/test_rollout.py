"""`invoke rollout` and `rollback`: what they decide, without a cluster. With one: tests/lab/load/test_lab.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.errors import LabError
from lab.serving import rollout
from lab.serving.rollout import choose, counts, dockerfile, revisions
from lab.settings import ROOT


def deployment(**status: int) -> dict[str, Any]:
    spec = {"replicas": 3, "template": {"spec": {"containers": [{"name": "serving", "image": "ops-demo:serving-v2"}]}}}
    return {"metadata": {"uid": "u1", "name": "iris-serving", "generation": 2}, "spec": spec, "status": status}


def replica_set(revision: int, image: str, owner: str = "u1") -> dict[str, Any]:
    metadata = {
        "name": f"iris-serving-{revision}",
        "annotations": {"deployment.kubernetes.io/revision": str(revision)},
        "ownerReferences": [{"uid": owner}],
    }
    template = {"metadata": {"labels": {}}, "spec": {"containers": [{"name": "serving", "image": image}]}}
    return {"metadata": metadata, "spec": {"template": template}}


SETS = [replica_set(3, "c"), replica_set(1, "a"), replica_set(2, "b"), replica_set(9, "x", owner="other")]


def test_revisions_are_the_deployments_own_in_order() -> None:
    assert [(one.number, one.image) for one in revisions(deployment(), SETS)] == [(1, "a"), (2, "b"), (3, "c")]


def test_rollback_goes_one_back_or_where_it_is_told() -> None:
    found = revisions(deployment(), SETS)
    assert choose(found, "").image == "b"
    assert choose(found, "1").image == "a"
    with pytest.raises(LabError, match="no earlier revision '7'") as caught:
        choose(found, "7")
    assert caught.value.hint == "there are 1 (a), 2 (b)"


def test_without_an_earlier_revision_there_is_nothing_to_go_back_to() -> None:
    with pytest.raises(LabError, match="one revision only"):
        choose(revisions(deployment(), SETS[:1]), "")


@pytest.mark.parametrize(
    ("status", "line"),
    [
        ({"replicas": 4, "updatedReplicas": 1, "readyReplicas": 3}, "1 of 3 pods new, 3 old, 3 ready"),
        ({"replicas": 3, "updatedReplicas": 3, "readyReplicas": 3}, "3 of 3 pods new, 3 ready"),
        ({}, "0 of 3 pods new, 0 ready"),
    ],
)
def test_a_rollouts_line_counts_new_old_and_ready_pods(status: dict[str, int], line: str) -> None:
    assert counts(deployment(**status)) == line


@pytest.mark.parametrize(
    ("image", "next_"),
    [
        ("ops-demo:serving", "ops-demo:serving-v2"),
        ("ops-demo:serving-v2", "ops-demo:serving-v3"),
        ("registry:5000/ops-demo:serving-v9", "ops-demo:serving-v10"),
        ("ops-demo:serving-blue", "ops-demo:serving-v2"),
    ],
)
def test_the_next_release_counts_on(image: str, next_: str) -> None:
    assert rollout._next(image) == next_


def test_a_releases_dockerfile_differs_by_its_release_only(tmp_path: Path) -> None:
    original = ROOT / "images/serving/Dockerfile"
    for _ in range(2):  # a release may be built again
        made = dockerfile("blue", tmp_path)
    assert made == tmp_path / "blue" / "serving" / "Dockerfile"
    assert (
        made.read_text() == original.read_text().replace("ARG RELEASE=v1", "ARG RELEASE=blue") != original.read_text()
    )
    for beside in ("Dockerfile.dockerignore", "requirements.lock"):
        assert made.with_name(beside).read_bytes() == original.with_name(beside).read_bytes()


@pytest.mark.parametrize("image", ["", " ", "Ops Demo", "-x", "a\nb", "x" * 300])
def test_names_that_are_none_are_refused(image: str) -> None:
    assert not rollout._NAME.fullmatch(image)
