"""k8s/kubeflow: what the course's checks look for is there, and every program runs with as little as it needs."""

from __future__ import annotations

import re

import pytest
import yaml

from kubeflow_lite.__main__ import ROLES
from kubeflow_lite.objects import Object, labels, name
from kubeflow_lite.poddefaults import registration, webhook
from kubeflow_lite.profiles import naming
from tests.kubeflow_lite.conftest import MANIFESTS, ROOT, read_manifests

FILES = yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())["resources"]
OBJECTS = read_manifests(*FILES)
DEPLOYMENTS = [one for one in OBJECTS if one["kind"] == "Deployment"]


def named(kind: str, wanted: str) -> Object:
    (found,) = (one for one in OBJECTS if (one["kind"], name(one)) == (kind, wanted))
    return found


def container(deployment: Object) -> Object:
    (only,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(only)


def test_the_kustomization_has_every_file() -> None:
    assert sorted(FILES) == sorted(path.name for path in MANIFESTS.glob("*.yaml") if path.name != "kustomization.yaml")


def test_what_the_course_looks_for() -> None:
    for deployment in ("centraldashboard", "notebook-controller-deployment"):
        assert named("Deployment", deployment)["metadata"]["namespace"] == "kubeflow"
    assert named("Service", "ml-pipeline-ui")["spec"]["ports"] == [
        {"name": "http", "port": 80, "targetPort": "http", "nodePort": 30083}
    ]
    assert named("Service", "centraldashboard")["spec"]["ports"][0]["nodePort"] == 30082


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=name)
def test_every_program_is_restricted_probed_and_limited(deployment: Object) -> None:
    pod, only = deployment["spec"]["template"]["spec"], container(deployment)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(only)
    assert set(only["resources"]) == {"requests", "limits"}
    assert only["image"] == "mlops-lab/kubeflow-lite:1"
    assert only["imagePullPolicy"] == "IfNotPresent"


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=name)
def test_every_program_exists_and_listens_where_the_manifest_says(deployment: Object) -> None:
    (role,) = container(deployment)["args"]
    ports = {one["containerPort"] for one in container(deployment)["ports"]}
    assert ROLES[role][1] in ports


def test_every_role_has_its_deployment() -> None:
    assert sorted(container(one)["args"][0] for one in DEPLOYMENTS) == sorted(ROLES)


def test_services_select_their_pods() -> None:
    pods = [one["spec"]["template"]["metadata"]["labels"] for one in DEPLOYMENTS]
    for service in (one for one in OBJECTS if one["kind"] == "Service"):
        assert service["spec"]["selector"] in pods


def test_the_webhooks_names_agree_with_the_program() -> None:
    configuration = named("MutatingWebhookConfiguration", registration.CONFIGURATION)
    (hook,) = configuration["webhooks"]
    assert hook["clientConfig"] == {
        "service": {"name": registration.SERVICE, "namespace": "kubeflow", "path": webhook.PATH, "port": 443}
    }
    assert (hook["failurePolicy"], hook["sideEffects"]) == ("Fail", "None")
    assert hook["namespaceSelector"] == {"matchLabels": {"app.kubernetes.io/part-of": "kubeflow-profile"}}
    assert hook["rules"][0] | {"scope": ""} == {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["pods"],
        "scope": "",
    }
    assert named("Role", "admission-webhook")["rules"][1]["resourceNames"] == [registration.SECRET]


def test_the_course_names_are_a_rule() -> None:
    rule = naming.from_environment(named("ConfigMap", "kubeflow-lite")["data"])
    assert rule.namespace_of("profile-user07") == "kubeflow-user07"


def test_the_aggregation_folds_view_into_edit_into_admin() -> None:
    prefix = "rbac.authorization.kubeflow.org/aggregate-to-kubeflow-"
    for role in ("admin", "edit", "view"):
        selector = named("ClusterRole", f"kubeflow-{role}")["aggregationRule"]["clusterRoleSelectors"]
        assert selector == [{"matchLabels": {prefix + role: "true"}}]
    assert labels(named("ClusterRole", "kubeflow-view")) == {prefix + "edit": "true"}
    assert labels(named("ClusterRole", "kubeflow-edit")) == {prefix + "admin": "true"}


def rules_for(suffix: str) -> list[Object]:
    label = f"rbac.authorization.kubeflow.org/aggregate-to-kubeflow-{suffix}"
    return [
        rule
        for one in OBJECTS
        if one["kind"] == "ClusterRole" and label in labels(one)
        for rule in one.get("rules") or []
    ]


def test_view_reads_no_secret_and_writes_nothing() -> None:
    assert all(
        set(rule["verbs"]) <= {"get", "list", "watch"} and "secrets" not in rule["resources"]
        for rule in rules_for("view")
    )


def test_edit_touches_neither_roles_nor_quota_nor_poddefaults() -> None:
    written = {resource for rule in rules_for("edit") for resource in rule["resources"]}
    assert not written & {"roles", "rolebindings", "resourcequotas", "limitranges", "poddefaults", "profiles", "*"}


def test_nobody_is_given_a_wildcard() -> None:
    for one in OBJECTS:
        for rule in one.get("rules") or []:
            if one["kind"] in ("Role", "ClusterRole"):
                assert "*" not in [*rule["verbs"], *rule["resources"], *rule["apiGroups"]], name(one)


def test_only_the_webhook_and_nobody_else_here_reads_a_secret() -> None:
    readers = [
        name(one)
        for one in OBJECTS
        for rule in (one.get("rules") or [] if one["kind"] in ("Role", "ClusterRole") else [])
        if "secrets" in rule["resources"] and "get" in rule["verbs"]
    ]
    assert readers == ["kubeflow-kubernetes-edit", "admission-webhook"]


def test_the_images_packages_are_the_labs() -> None:
    pinned = re.compile(r"^([a-z0-9_.-]+)==([^ \\\n]+)", re.MULTILINE)
    locked = dict(pinned.findall((ROOT / "requirements.lock").read_text()))
    wanted = dict(pinned.findall((ROOT / "images/kubeflow-lite/requirements.lock").read_text()))
    assert {"aiohttp", "jinja2", "kopf"} <= set(wanted)
    assert {package: locked.get(package, version) for package, version in wanted.items()} == wanted
