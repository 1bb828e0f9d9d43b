"""A rollout's arithmetic, against the tables of Kubernetes's own tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kubesim.controllers import progress, rollout
from kubesim.resources import Object

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)


def deployment(replicas: int = 10, surge: int | str = 0, unavailable: int | str = 0, **spec: Any) -> Object:
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    body = {
        "replicas": replicas,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
        "template": {"spec": {}},
    }
    return {"metadata": {"name": "d", "generation": 1}, "spec": body | spec}


def replica_set(
    name: str, replicas: int, *, available: int | None = None, age: int = 0, maximum: int | None = None
) -> Object:
    annotations = {} if maximum is None else {rollout.MAXIMUM: str(maximum)}
    created = (NOW - timedelta(minutes=age)).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = {"name": name, "uid": name, "creationTimestamp": created, "annotations": annotations}
    status = {"replicas": replicas, "availableReplicas": replicas if available is None else available}
    return {"metadata": metadata, "spec": {"replicas": replicas, "template": {"spec": {}}}, "status": status}


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (10, 0, 0, (0, 1)),
        (10, "25%", "25%", (3, 2)),
        (1, "25%", "25%", (1, 0)),
        (2, "25%", "25%", (1, 0)),
        (4, 2, 1, (2, 1)),
        (10, "0%", "10%", (0, 1)),
    ],
)
def test_fenceposts(replicas: int, surge: int | str, unavailable: int | str, expected: tuple[int, int]) -> None:
    assert rollout.fenceposts(deployment(replicas, surge, unavailable)) == expected


@pytest.mark.parametrize(
    ("surge", "old", "new", "expected"),
    [(0, 10, 0, 0), (2, 10, 0, 2), (2, 5, 0, 7), (2, 10, 2, 2), (0, 5, 5, 5), (3, 0, 0, 10)],
)
def test_how_far_the_new_set_may_grow(surge: int, old: int, new: int, expected: int) -> None:
    found = rollout.new_size(deployment(10, surge), [replica_set("old", old), replica_set("new", new)], new)
    assert found == expected


@pytest.mark.parametrize(
    ("unavailable", "old", "old_available", "new", "new_available", "expected"),
    [
        # as in TestDeploymentController_reconcileOldReplicaSets
        (0, 10, 10, 0, 0, {}),
        (2, 10, 10, 0, 0, {"old": 8}),
        (2, 10, 8, 0, 0, {"old": 8}),  # unhealthy first
        (2, 10, 9, 0, 0, {"old": 8}),
        (2, 8, 8, 2, 0, {}),  # new pods are not available yet
        (0, 10, 10, 1, 1, {"old": 9}),
        (0, 10, 10, 1, 0, {}),
    ],
)
def test_how_far_old_sets_may_shrink(
    unavailable: int, old: int, old_available: int, new: int, new_available: int, expected: dict[str, int]
) -> None:
    body = deployment(10, 1, unavailable)
    sizes = rollout.old_sizes(
        body, replica_set("new", new, available=new_available), [replica_set("old", old, available=old_available)]
    )
    assert sizes == expected


@pytest.mark.parametrize(
    ("replicas", "surge", "before", "sets", "expected"),
    [
        # larger sets first, and the largest takes the leftover
        (12, 0, 10, {"old": 5, "new": 5}, {"new": 6, "old": 6}),
        (15, 0, 10, {"new": 2, "middle": 3, "old": 5}, {"new": 2, "middle": 5, "old": 8}),
        (5, 0, 10, {"new": 2, "middle": 3, "old": 5}, {"new": 1, "middle": 2, "old": 2}),
        (0, 0, 10, {"new": 5, "old": 5}, {"new": 0, "old": 0}),
        (10, 0, 20, {"new": 10, "old": 10}, {"new": 5, "old": 5}),
        (20, 5, 15, {"new": 5, "old": 10}, {"new": 8, "old": 17}),
    ],
)
def test_scaling_in_mid_rollout_is_proportional(
    replicas: int, surge: int, before: int, sets: dict[str, int], expected: dict[str, int]
) -> None:
    found = [replica_set(name, size, age=age, maximum=before) for age, (name, size) in enumerate(sets.items())]
    sizes = {s["metadata"]["name"]: size for s, size in rollout.proportional_sizes(deployment(replicas, surge), found)}
    assert sizes == expected
    assert sum(sizes.values()) == (replicas + surge if replicas else 0)


def test_the_hash_is_the_template_s_and_changes_with_collisions() -> None:
    one, same, other = deployment(), deployment(3, 1), deployment(template={"spec": {"x": 1}})
    assert rollout.template_hash(one) == rollout.template_hash(same) != rollout.template_hash(other)
    assert rollout.template_hash(one | {"status": {"collisionCount": 1}}) != rollout.template_hash(one)
    assert set(rollout.template_hash(one)) <= set("bcdfghjklmnpqrstvwxz2456789")


def test_an_old_set_that_is_new_again_remembers_its_revisions() -> None:
    again = replica_set("s", 0)
    again["metadata"]["annotations"] = {rollout.REVISION: "1", rollout.HISTORY: "0"}
    found = rollout.revised_annotations(deployment(), again, 3)
    assert found == {rollout.REVISION: "3", rollout.HISTORY: "0,1"}
    assert rollout.revised_annotations(deployment(), {"metadata": {"annotations": found}}, 2) == found


def test_annotations_are_copied_but_for_bookkeeping() -> None:
    body = deployment()
    body["metadata"]["annotations"] = {
        "kubernetes.io/change-cause": "v2",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        rollout.REVISION: "4",
    }
    assert rollout.copied_annotations(body) == {"kubernetes.io/change-cause": "v2"}


def test_the_deadline_counts_from_the_last_progress() -> None:
    at = "2026-11-22T04:00:00Z"
    stuck = {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated", "lastUpdateTime": at}
    body = deployment(progressDeadlineSeconds=60) | {"status": {"conditions": [stuck]}}
    assert not progress.is_timed_out(body, NOW + timedelta(seconds=60))
    assert progress.is_timed_out(body, NOW + timedelta(seconds=61))
    stuck["reason"] = "NewReplicaSetAvailable"
    assert not progress.is_timed_out(body, NOW + timedelta(seconds=61))
    assert not progress.is_timed_out(deployment() | {"status": {"conditions": [stuck]}}, NOW + timedelta(days=1))


def test_conditions_move_to_the_end_only_when_they_change() -> None:
    one = progress.new_condition("A", "True", "R", "m", NOW)
    two = progress.new_condition("B", "True", "R", "m", NOW)
    later = NOW + timedelta(seconds=5)
    assert progress.put_condition([one, two], progress.new_condition("A", "True", "R", "other", later)) == [one, two]
    moved = progress.put_condition([one, two], progress.new_condition("A", "True", "S", "m", later))
    assert [c["type"] for c in moved] == ["B", "A"]
    assert moved[1]["lastTransitionTime"] == one["lastTransitionTime"] < moved[1]["lastUpdateTime"]
