"""Who may do what, asked of a real authorizer: tenants, their service accounts, instructors."""

from __future__ import annotations

import asyncio

import pytest

from kubeflow_lite.kube.client import Client
from kubeflow_lite.objects import Object
from kubeflow_lite.profiles.controller import PROFILES, ProfileController
from kubeflow_lite.profiles.naming import Naming
from tests.kubeflow_lite.conftest import Cluster, until
from tests.kubeflow_lite.profiling import body

REVIEWS = "authorization.k8s.io/v1/subjectaccessreviews"
COURSE = Naming("profile-user{num}", "kubeflow-user{num}")
OWN, OTHER = "kubeflow-user31", "kubeflow-user32"
TENANT = ("user31@mlops.local", ["mlops:tenants"])
INSTRUCTOR = ("user32@mlops.local", ["mlops:tenants", "mlops:instructors"])


@pytest.fixture(scope="module")
def tenants(cluster: Cluster) -> None:
    """Two tenants, and the aggregated roles filled in."""

    async def make() -> None:
        async with Client(cluster.access) as client:
            controller = ProfileController(client, COURSE)
            for profile in ("profile-user31", "profile-user32"):
                await client.create(PROFILES, body(profile))
                await controller.reconcile(profile)
            for role in ("admin", "edit", "view"):
                await until(
                    client,
                    "rbac.authorization.k8s.io/v1/clusterroles",
                    f"kubeflow-{role}",
                    holds=lambda found: bool((found or {}).get("rules")),
                )

    asyncio.run(make())


async def allowed(
    client: Client, who: tuple[str, list[str]], verb: str, what: str, namespace: str = "", name: str = ""
) -> bool:
    """`what` as kubectl writes it: pods, deployments.apps, pods/log."""
    resource, _, subresource = what.partition("/")
    plural, _, group = resource.partition(".")
    attributes: Object = {
        "verb": verb,
        "resource": plural,
        "group": group,
        "subresource": subresource,
        "namespace": namespace,
        "name": name,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": who[0], "groups": [*who[1], "system:authenticated"], "resourceAttributes": attributes},
    }
    return bool((await client.create(REVIEWS, review))["status"]["allowed"])


def account(name: str) -> tuple[str, list[str]]:
    return f"system:serviceaccount:{OWN}:{name}", ["system:serviceaccounts", f"system:serviceaccounts:{OWN}"]


@pytest.mark.parametrize(
    ("verb", "what", "yes"),
    [
        ("get", "namespaces", True),
        ("list", "pods", True),
        ("create", "pods", True),
        ("get", "pods/log", True),
        ("create", "pods/exec", True),
        ("create", "pods/portforward", True),
        ("get", "secrets", True),
        ("create", "jobs.batch", True),
        ("patch", "deployments.apps", True),
        ("patch", "deployments.apps/scale", True),
        ("get", "resourcequotas", True),
        ("get", "horizontalpodautoscalers.autoscaling", True),
        ("list", "poddefaults.kubeflow.org", True),
        ("create", "notebooks.kubeflow.org", True),
        ("create", "rolebindings.rbac.authorization.k8s.io", True),
        ("create", "localsubjectaccessreviews.authorization.k8s.io", True),
        ("create", "poddefaults.kubeflow.org", False),
        ("patch", "poddefaults.kubeflow.org", False),
        ("create", "resourcequotas", False),
        ("delete", "resourcequotas", False),
        ("delete", "namespaces", False),
        ("patch", "namespaces", False),
        ("get", "pods/status", True),
        ("patch", "pods/status", False),
        ("create", "limitranges", False),
    ],
)
async def test_a_tenant_at_home_and_abroad(tenants: None, client: Client, verb: str, what: str, yes: bool) -> None:
    assert await allowed(client, TENANT, verb, what, OWN) is yes
    assert not await allowed(client, TENANT, verb, what, OTHER)


@pytest.mark.parametrize(
    ("account_name", "verb", "what", "yes"),
    [
        ("default-editor", "create", "pods", True),
        ("default-editor", "get", "secrets", True),
        ("default-editor", "create", "rolebindings.rbac.authorization.k8s.io", False),
        ("default-viewer", "list", "pods", True),
        ("default-viewer", "get", "pods/log", True),
        ("default-viewer", "get", "secrets", False),
        ("default-viewer", "create", "pods", False),
        ("default-viewer", "create", "pods/exec", False),
    ],
)
async def test_service_accounts(
    tenants: None, client: Client, account_name: str, verb: str, what: str, yes: bool
) -> None:
    assert await allowed(client, account(account_name), verb, what, OWN) is yes
    assert not await allowed(client, account(account_name), verb, what, OTHER)


@pytest.mark.parametrize(
    ("verb", "what", "namespace", "name", "yes"),
    [
        ("get", "profiles.kubeflow.org", "", "profile-user31", True),
        ("get", "profiles.kubeflow.org", "", "profile-user32", False),
        ("list", "profiles.kubeflow.org", "", "", False),
        ("patch", "profiles.kubeflow.org", "", "profile-user31", False),
        ("get", "deployments.apps", "kubeflow", "centraldashboard", True),
        ("list", "services", "kubeflow", "", True),
        ("list", "pods", "kubeflow", "", True),
        ("get", "secrets", "kubeflow", "", False),
        ("get", "pods/log", "kubeflow", "", False),
        ("create", "pods/portforward", "kubeflow", "", False),
        ("list", "pods", "mlflow-system", "", True),
        ("list", "services", "mlflow-system", "", True),
        ("get", "secrets", "mlflow-system", "", False),
        ("create", "pods/exec", "mlflow-system", "", False),
        ("list", "namespaces", "", "", False),
        ("list", "pods", "", "", False),
        ("list", "nodes", "", "", False),
    ],
)
async def test_what_a_tenant_sees_of_the_cluster(
    tenants: None, client: Client, verb: str, what: str, namespace: str, name: str, yes: bool
) -> None:
    assert await allowed(client, TENANT, verb, what, namespace, name) is yes


@pytest.mark.parametrize(
    ("verb", "what", "namespace", "yes"),
    [
        ("list", "profiles.kubeflow.org", "", True),
        ("patch", "profiles.kubeflow.org", "", True),
        ("create", "profiles.kubeflow.org", "", False),
        ("list", "namespaces", "", True),
        ("patch", "poddefaults.kubeflow.org", OWN, True),
        ("create", "poddefaults.kubeflow.org", OWN, True),
        ("list", "pods", OWN, False),
        ("get", "secrets", OWN, False),
        ("list", "pods", OTHER, True),
    ],
)
async def test_an_instructor(tenants: None, client: Client, verb: str, what: str, namespace: str, yes: bool) -> None:
    """Mends Profiles and PodDefaults of all, and sees no more of others' namespaces than a student (the course checks that)."""
    assert await allowed(client, INSTRUCTOR, verb, what, namespace) is yes
