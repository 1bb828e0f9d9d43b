"""The smallest change that makes an object as desired, and none where it is."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kubeflow_lite.changes import Create, Patch, Replace, change
from kubeflow_lite.objects import Object
from kubeflow_lite.profiles.desired import desired
from tests.kubeflow_lite.making import existing, profile

QUOTA = {"hard": {"cpu": "8", "memory": "16Gi"}}
WANTED = desired(profile(resourceQuotaSpec=QUOTA), "kubeflow-user01")


def wanted(kind: str, name: str) -> Object:
    (found,) = (one for one in WANTED if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return copy.deepcopy(found)


def patch_of(before: Object, after: Object) -> Any:
    found = change(before, after)
    assert isinstance(found, Patch)
    assert found.patch["metadata"].pop("resourceVersion") == "41"
    if not found.patch["metadata"]:
        del found.patch["metadata"]
    return found.patch


@pytest.mark.parametrize("part", WANTED, ids=lambda part: f"{part['kind']}-{part['metadata']['name']}")
def test_absent_is_created_and_present_is_left_alone(part: Object) -> None:
    assert change(None, part) == Create(part)
    assert change(existing(part), part) is None


def test_what_others_added_is_left_alone() -> None:
    namespace = wanted("Namespace", "kubeflow-user01")
    before = existing(namespace, labels={**namespace["metadata"]["labels"], "team": "blue"}, finalizers=["x"])
    before["spec"] = {"finalizers": ["kubernetes"]}
    before["status"] = {"phase": "Active"}
    assert change(before, namespace) is None


def test_label_values_of_a_namespace_are_never_overwritten() -> None:
    namespace = wanted("Namespace", "kubeflow-user01")
    labels = {**namespace["metadata"]["labels"], "istio-injection": "disabled"}
    assert change(existing(namespace, labels=labels), namespace) is None
    del labels["pipelines.kubeflow.org/enabled"]
    patch = patch_of(existing(namespace, labels=labels), namespace)
    assert patch == {"metadata": {"labels": {"pipelines.kubeflow.org/enabled": "true"}}}


def test_drifted_subjects_are_put_back() -> None:
    binding = wanted("RoleBinding", "namespaceAdmin")
    before = {**existing(binding), "subjects": [*binding["subjects"], {"kind": "User", "name": "mallory"}]}
    assert patch_of(before, binding) == {"subjects": binding["subjects"]}


def test_drifted_annotations_are_put_back() -> None:
    binding = wanted("RoleBinding", "namespaceAdmin")
    before = existing(binding, annotations={"user": "mallory", "role": "admin", "note": "kept"})
    assert patch_of(before, binding) == {"metadata": {"annotations": {"user": "user01@mlops.local"}}}


def test_a_role_reference_cannot_be_patched() -> None:
    binding = wanted("RoleBinding", "default-viewer")
    before = {**existing(binding), "roleRef": {**binding["roleRef"], "name": "cluster-admin"}}
    assert change(before, binding) == Replace(before, binding)


def test_a_quota_in_other_spelling_is_the_same_quota() -> None:
    quota = wanted("ResourceQuota", "kf-resource-quota")
    before = {**existing(quota), "spec": {"hard": {"cpu": "8000m", "memory": "16384Mi"}}}
    assert change(before, quota) is None


def test_quota_amounts_are_changed_added_and_removed() -> None:
    quota = wanted("ResourceQuota", "kf-resource-quota")
    before = {**existing(quota), "spec": {"hard": {"cpu": "4", "pods": "10"}, "scopes": ["BestEffort"]}}
    assert patch_of(before, quota) == {"spec": {"hard": {"cpu": "8", "memory": "16Gi", "pods": None}, "scopes": None}}


def test_a_lost_owner_reference_comes_back_next_to_others() -> None:
    account = wanted("ServiceAccount", "default-editor")
    other = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "u"}
    patch = patch_of(existing(account, ownerReferences=[other]), account)
    assert patch == {"metadata": {"ownerReferences": [other, *account["metadata"]["ownerReferences"]]}}


def test_a_dead_predecessors_reference_is_replaced() -> None:
    account = wanted("ServiceAccount", "default-editor")
    ours = account["metadata"]["ownerReferences"]
    patch = patch_of(existing(account, ownerReferences=[{**ours[0], "uid": "older"}]), account)
    assert patch == {"metadata": {"ownerReferences": ours}}


def test_a_strangers_controller_reference_stays() -> None:
    account = wanted("ServiceAccount", "default-editor")
    stranger = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x", "uid": "u", "controller": True}
    assert change(existing(account, ownerReferences=[stranger]), account) is None


def test_rules_are_put_back() -> None:
    role = wanted("ClusterRole", "kubeflow-profile-profile-user01")
    assert patch_of({**existing(role), "rules": []}, role) == {"rules": role["rules"]}
