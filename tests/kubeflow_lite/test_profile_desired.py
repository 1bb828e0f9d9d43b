"""What a Profile stands for: exactly what stock Kubeflow makes, in its order, plus the owner's right to read the Profile."""

from __future__ import annotations

from kubeflow_lite.objects import Object
from kubeflow_lite.profiles.desired import desired, owner, role_arn
from tests.kubeflow_lite.making import profile

NAMESPACE = "kubeflow-user01"
QUOTA = {"hard": {"cpu": "8", "memory": "16Gi"}}


def named(objects: list[Object], kind: str, name: str) -> Object:
    (found,) = (one for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return found


def test_the_order_is_stocks() -> None:
    objects = desired(profile(resourceQuotaSpec=QUOTA), NAMESPACE)
    assert [(one["kind"], one["metadata"]["name"]) for one in objects] == [
        ("Namespace", NAMESPACE),
        ("ServiceAccount", "default-editor"),
        ("RoleBinding", "default-editor"),
        ("ServiceAccount", "default-viewer"),
        ("RoleBinding", "default-viewer"),
        ("RoleBinding", "namespaceAdmin"),
        ("ResourceQuota", "kf-resource-quota"),
        ("ClusterRole", "kubeflow-profile-profile-user01"),
        ("ClusterRoleBinding", "kubeflow-profile-profile-user01"),
    ]


def test_the_namespace_carries_stocks_labels_and_the_owner() -> None:
    namespace = desired(profile(), NAMESPACE)[0]
    assert namespace["metadata"]["labels"] == {
        "istio-injection": "enabled",
        "app.kubernetes.io/part-of": "kubeflow-profile",
        "katib.kubeflow.org/metrics-collector-injection": "enabled",
        "pipelines.kubeflow.org/enabled": "true",
        "serving.kubeflow.org/inferenceservice": "enabled",
        "pod-security.kubernetes.io/enforce": "baseline",
    }
    assert namespace["metadata"]["annotations"] == {"owner": "user01@mlops.local"}


def test_every_child_is_controlled_by_the_profile() -> None:
    for child in desired(profile(resourceQuotaSpec=QUOTA), NAMESPACE):
        assert child["metadata"]["ownerReferences"] == [
            {
                "apiVersion": "kubeflow.org/v1",
                "kind": "Profile",
                "name": "profile-user01",
                "uid": "uid-of-profile-user01",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]


def test_the_accounts_are_bound_to_edit_and_view() -> None:
    objects = desired(profile(), NAMESPACE)
    for account, role in (("default-editor", "kubeflow-edit"), ("default-viewer", "kubeflow-view")):
        binding = named(objects, "RoleBinding", account)
        assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}]


def test_the_owner_is_bound_to_admin() -> None:
    binding = named(desired(profile(), NAMESPACE), "RoleBinding", "namespaceAdmin")
    assert binding["roleRef"]["name"] == "kubeflow-admin"
    assert binding["subjects"] == [
        {"kind": "User", "name": "user01@mlops.local", "apiGroup": "rbac.authorization.k8s.io"}
    ]
    assert binding["metadata"]["annotations"] == {"user": "user01@mlops.local", "role": "admin"}


def test_no_quota_without_hard() -> None:
    without: list[Object] = [{}, {"resourceQuotaSpec": {}}, {"resourceQuotaSpec": {"hard": {}}}]
    for spec in without:
        assert not [one for one in desired(profile(**spec), NAMESPACE) if one["kind"] == "ResourceQuota"]


def test_the_quota_is_the_profiles_whole() -> None:
    spec = {**QUOTA, "scopes": ["NotTerminating"]}
    assert (
        named(desired(profile(resourceQuotaSpec=spec), NAMESPACE), "ResourceQuota", "kf-resource-quota")["spec"] == spec
    )


def test_the_owner_may_read_this_profile_and_no_other() -> None:
    role = named(desired(profile(), NAMESPACE), "ClusterRole", "kubeflow-profile-profile-user01")
    assert role["rules"] == [
        {
            "apiGroups": ["kubeflow.org"],
            "resources": ["profiles"],
            "resourceNames": ["profile-user01"],
            "verbs": ["get"],
        }
    ]


def test_the_aws_plugin_annotates_default_editor() -> None:
    arn = "arn:aws:iam::123456789012:role/user01"
    with_plugin = profile(
        plugins=[{"kind": "AwsIamForServiceAccount", "spec": {"awsIamRole": arn, "annotateOnly": True}}]
    )
    objects = desired(with_plugin, NAMESPACE)
    assert named(objects, "ServiceAccount", "default-editor")["metadata"]["annotations"] == {
        "eks.amazonaws.com/role-arn": arn
    }
    assert "annotations" not in named(objects, "ServiceAccount", "default-viewer")["metadata"]
    assert role_arn(profile(plugins=[{"kind": "WorkloadIdentity", "spec": {"gcpServiceAccount": "x"}}])) == ""


def test_service_account_owners_keep_their_namespace() -> None:
    subject = {"kind": "ServiceAccount", "name": "robot", "namespace": "ci"}
    assert owner({"spec": {"owner": subject}}) == subject
