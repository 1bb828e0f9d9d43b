"""The Profile controller against a real API server, as a process of its own with its own service account's rights."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from kubeflow_lite.errors import KubeflowError
from kubeflow_lite.kube.client import Client
from kubeflow_lite.objects import Object, annotation, deleting, labels, metadata, name
from kubeflow_lite.profiles.controller import PROFILES
from tests.kubeflow_lite.conftest import COURSE_NAMES, Cluster, account_kubeconfig, until
from tests.kubeflow_lite.profiling import assert_as_desired, body, condition, ready

QUOTA = {"hard": {"cpu": "8", "memory": "16Gi"}}
BINDINGS = "rbac.authorization.k8s.io/v1/rolebindings"


@pytest.fixture(scope="module")
def operator(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("operator")
    kubeconfig = asyncio.run(account_kubeconfig(cluster, "profiles-controller", folder / "kubeconfig"))
    with cluster.program("profiles", folder / "log", kubeconfig, **COURSE_NAMES):
        yield
    print((folder / "log").read_text())


async def test_a_profile_gets_everything_and_is_ready(operator: None, client: Client) -> None:
    await client.create(PROFILES, body("profile-user01", resourceQuotaSpec=QUOTA))
    profile = await ready(client, "profile-user01")
    assert profile["status"]["namespace"] == "kubeflow-user01"
    assert metadata(profile)["finalizers"] == ["profile-finalizer"]
    assert not metadata(profile).get("annotations"), "kopf keeps no books in the object"
    await assert_as_desired(client, profile)


async def test_a_profile_outside_the_course_follows_stocks_rule(operator: None, client: Client) -> None:
    await client.create(PROFILES, body("team-blue"))
    assert (await ready(client, "team-blue"))["status"]["namespace"] == "team-blue"


@pytest.fixture
async def tenant(operator: None, client: Client, request: pytest.FixtureRequest) -> Object:
    """A Profile of the test's own that is ready."""
    own = f"p{abs(hash(request.node.name)) % 10**8}"
    await client.create(PROFILES, body(own, resourceQuotaSpec=QUOTA))
    return await ready(client, own)


@pytest.mark.parametrize("account", ["default-editor", "default-viewer"])
async def test_a_deleted_service_account_comes_back(client: Client, tenant: Object, account: str) -> None:
    where = tenant["status"]["namespace"]
    old = metadata(await client.get("v1/serviceaccounts", account, where))["uid"]
    await client.delete("v1/serviceaccounts", account, where)
    await until(
        client,
        "v1/serviceaccounts",
        account,
        where,
        holds=lambda found: found is not None and metadata(found)["uid"] != old,
    )


async def test_drifted_subjects_come_back(client: Client, tenant: Object) -> None:
    where = tenant["status"]["namespace"]
    mallory = {"kind": "User", "name": "mallory", "apiGroup": "rbac.authorization.k8s.io"}
    await client.patch(BINDINGS, "namespaceAdmin", {"subjects": [mallory]}, where)
    await until(
        client,
        BINDINGS,
        "namespaceAdmin",
        where,
        holds=lambda found: found is not None and found["subjects"] != [mallory],
    )
    await assert_as_desired(client, tenant)


async def test_a_drifted_role_reference_comes_back(client: Client, tenant: Object) -> None:
    """roleRef cannot be patched, so drift in it is a binding that somebody deleted and made anew, without our label too."""
    where = tenant["status"]["namespace"]
    binding = await client.get(BINDINGS, "default-viewer", where)
    await client.delete(BINDINGS, "default-viewer", where)
    wrong = {
        **binding,
        "metadata": {"name": "default-viewer", "namespace": where},
        "roleRef": {**binding["roleRef"], "name": "kubeflow-admin"},
    }
    with contextlib.suppress(KubeflowError):
        # The controller may have been quicker.
        await client.create(BINDINGS, wrong)
    await until(
        client,
        BINDINGS,
        "default-viewer",
        where,
        holds=lambda found: found is not None and found["roleRef"]["name"] == "kubeflow-view" and bool(labels(found)),
    )
    await assert_as_desired(client, tenant)


async def test_namespace_labels_come_back_but_other_values_stay(client: Client, tenant: Object) -> None:
    where = tenant["status"]["namespace"]
    changed = {"app.kubernetes.io/part-of": None, "istio-injection": "disabled", "team": "blue"}
    await client.patch("v1/namespaces", where, {"metadata": {"labels": changed}})
    found = await until(
        client,
        "v1/namespaces",
        where,
        holds=lambda found: found is not None and labels(found).get("app.kubernetes.io/part-of") == "kubeflow-profile",
    )
    assert found is not None
    assert (labels(found)["istio-injection"], labels(found)["team"]) == ("disabled", "blue")


async def test_the_quota_is_changed_removed_and_added(client: Client, tenant: Object) -> None:
    where, quota = tenant["status"]["namespace"], "kf-resource-quota"

    def hard(found: Object | None) -> Any:
        return found["spec"]["hard"] if found else None

    async def shows(wanted: Any) -> None:
        await until(client, "v1/resourcequotas", quota, where, holds=lambda found: hard(found) == wanted)

    await client.patch("v1/resourcequotas", quota, {"spec": {"hard": {"cpu": "80", "pods": "1"}}}, where)
    await shows({"cpu": "8", "memory": "16Gi"})
    await client.patch(PROFILES, name(tenant), {"spec": {"resourceQuotaSpec": {"hard": {"cpu": "4", "memory": None}}}})
    await shows({"cpu": "4"})
    await client.patch(PROFILES, name(tenant), {"spec": {"resourceQuotaSpec": {"hard": None}}})
    await shows(None)
    await client.patch(PROFILES, name(tenant), {"spec": {"resourceQuotaSpec": {"hard": {"cpu": "1"}}}})
    await shows({"cpu": "1"})


async def test_a_namespace_of_somebody_else_is_not_touched(operator: None, client: Client) -> None:
    foreign = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "taken", "annotations": {"owner": "user@example.com"}},
    }
    before = await client.create("v1/namespaces", foreign)
    await client.create(PROFILES, body("taken", "user07@mlops.local", resourceQuotaSpec=QUOTA))
    profile = await until(client, PROFILES, "taken", holds=lambda found: bool(condition(found, "Failed")))
    message = "namespace already exist, but not owned by profile creator user07@mlops.local"
    assert (condition(profile, "Failed")["status"], condition(profile, "Failed")["message"]) == ("True", message)
    assert (condition(profile, "Ready")["status"], condition(profile, "Ready")["message"]) == ("False", message)
    assert await client.get("v1/namespaces", "taken") == before
    assert (await client.list(BINDINGS, "taken")).items == []
    assert (await client.list("v1/resourcequotas", "taken")).items == []


async def test_the_guides_cure_of_a_wrong_owner(client: Client, tenant: Object) -> None:
    """`kubectl patch profile ... owner`: wrong it is Failed and nothing moves, right again it is Ready."""
    right = tenant["spec"]["owner"]["name"]
    await client.patch(PROFILES, name(tenant), {"spec": {"owner": {"name": "user@example.com"}}})
    await until(client, PROFILES, name(tenant), holds=lambda found: bool(condition(found, "Failed")))
    binding = await client.get(BINDINGS, "namespaceAdmin", tenant["status"]["namespace"])
    assert binding["subjects"][0]["name"] == right
    await client.patch(PROFILES, name(tenant), {"spec": {"owner": {"name": right}}})
    profile = await ready(client, name(tenant))
    assert not condition(profile, "Failed")
    await assert_as_desired(client, profile)


async def test_the_aws_plugin_comes_and_a_deleted_profile_is_let_go(client: Client, tenant: Object) -> None:
    where, arn = tenant["status"]["namespace"], "arn:aws:iam::123456789012:role/x"
    plugin = {"kind": "AwsIamForServiceAccount", "spec": {"awsIamRole": arn, "annotateOnly": True}}
    await client.patch(PROFILES, name(tenant), {"spec": {"plugins": [plugin]}})
    key = "eks.amazonaws.com/role-arn"
    await until(
        client,
        "v1/serviceaccounts",
        "default-editor",
        where,
        holds=lambda found: found is not None and annotation(found, key) == arn,
    )
    await client.delete(PROFILES, name(tenant))
    await until(client, PROFILES, name(tenant), holds=lambda found: found is None)
    # Garbage collection may have taken the account already, or the namespace may be on its way; it must not say the role any more.
    account = await client.find("v1/serviceaccounts", "default-editor", where)
    assert account is None or annotation(account, key) is None


async def test_a_deleted_namespace_comes_back(client: Client, tenant: Object) -> None:
    where = tenant["status"]["namespace"]
    old = metadata(await client.get("v1/namespaces", where))["uid"]
    await client.delete("v1/namespaces", where)
    await until(client, "v1/namespaces", where, holds=lambda found: found is not None and metadata(found)["uid"] != old)
    await assert_as_desired(client, await ready(client, name(tenant)))


async def test_a_deleted_profile_takes_everything_along(client: Client, tenant: Object) -> None:
    where = tenant["status"]["namespace"]
    await client.delete(PROFILES, name(tenant))
    await until(client, "v1/namespaces", where, holds=lambda found: found is None)
    role = f"kubeflow-profile-{name(tenant)}"
    await until(client, "rbac.authorization.k8s.io/v1/clusterroles", role, holds=lambda found: found is None)
    await until(client, "rbac.authorization.k8s.io/v1/clusterrolebindings", role, holds=lambda found: found is None)


async def test_a_profile_made_again_at_once_is_ready_in_a_new_namespace(client: Client, tenant: Object) -> None:
    where = tenant["status"]["namespace"]
    await client.delete(PROFILES, name(tenant))
    await until(client, PROFILES, name(tenant), holds=lambda found: found is None)
    await client.create(PROFILES, body(name(tenant), resourceQuotaSpec=QUOTA))
    again = await ready(client, name(tenant))
    assert metadata(again)["uid"] != metadata(tenant)["uid"]
    await until(client, "v1/namespaces", where, holds=lambda found: found is not None and not deleting(found))
    await assert_as_desired(client, await ready(client, name(tenant)))


async def test_what_the_api_server_refuses_is_told(operator: None, client: Client) -> None:
    """A Profile's name may hold dots, a namespace's may not."""
    await client.create(PROFILES, body("team.red"))
    profile = await until(client, PROFILES, "team.red", holds=lambda found: bool(condition(found, "Ready")))
    told = condition(profile, "Ready")
    assert (told["status"], told["reason"]) == ("False", "Invalid")
    assert told["message"].startswith("Namespace team.red: ")
