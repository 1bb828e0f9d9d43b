"""Who may do what, and in which words it is refused."""

from __future__ import annotations

import pytest

from kubesim.auth.attributes import Attributes
from kubesim.auth.rbac import Authorizer
from kubesim.auth.user import ANONYMOUS, SYSTEM, User, service_account_user
from kubesim.errors import Forbidden
from kubesim.resources import Resource
from tests.kubesim.auth.memory import Memory, account_subject, group_subject, rule_on, user_subject

PODS = Resource("", "v1", "pods", "Pod")
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
STUDENT = User("user01@mlops.local", groups=("system:authenticated",))


@pytest.fixture
def memory() -> Memory:
    memory = Memory()
    memory.role("own", "reader", rule_on("pods pods/log", "get list watch"))
    memory.bind("own", "namespaceAdmin", "Role/reader", user_subject(STUDENT.name))
    return memory


def refusal(memory: Memory, attributes: Attributes) -> Forbidden:
    with pytest.raises(Forbidden) as caught:
        Authorizer(memory).check(attributes)
    return caught.value


def allowed(memory: Memory, attributes: Attributes) -> bool:
    return Authorizer(memory).authorize(attributes).allowed


def test_a_binding_allows_and_says_so(memory: Memory) -> None:
    decision = Authorizer(memory).authorize(Attributes.on(STUDENT, "list", PODS, namespace="own"))
    assert decision.allowed
    assert decision.reason == (
        'RBAC: allowed by RoleBinding "namespaceAdmin/own" of Role "reader" to User "user01@mlops.local"'
    )


def test_refusals_are_worded_as_kubernetes_words_them(memory: Memory) -> None:
    who = 'User "user01@mlops.local"'
    create = refusal(memory, Attributes.on(STUDENT, "create", PODS, namespace="own"))
    assert (
        create.message
        == f'pods is forbidden: {who} cannot create resource "pods" in API group "" in the namespace "own"'
    )
    assert create.details == {"kind": "pods"}

    everywhere = refusal(memory, Attributes.on(STUDENT, "list", PODS))
    assert (
        everywhere.message
        == f'pods is forbidden: {who} cannot list resource "pods" in API group "" at the cluster scope'
    )

    named = refusal(memory, Attributes.on(STUDENT, "get", NAMESPACES, name="own"))
    assert named.message == (
        f'namespaces "own" is forbidden: {who} cannot get resource "namespaces" in API group "" in the namespace "own"'
    )
    assert named.details == {"name": "own", "kind": "namespaces"}

    grouped = refusal(memory, Attributes.on(STUDENT, "create", ROLES, namespace="own"))
    assert grouped.message == (
        f'roles.rbac.authorization.k8s.io is forbidden: {who} cannot create resource "roles" in API group '
        '"rbac.authorization.k8s.io" in the namespace "own"'
    )
    assert grouped.details == {"group": "rbac.authorization.k8s.io", "kind": "roles"}

    exec_ = refusal(memory, Attributes.on(STUDENT, "create", PODS, namespace="own", name="p", subresource="exec"))
    assert (
        exec_.message
        == f'pods "p" is forbidden: {who} cannot create resource "pods/exec" in API group "" in the namespace "own"'
    )

    path = refusal(memory, Attributes.on_path(STUDENT, "GET", "/metrics"))
    assert path.status() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f'forbidden: {who} cannot get path "/metrics"',
        "reason": "Forbidden",
        "details": {},
        "code": 403,
    }


def test_a_subresource_is_not_its_resource(memory: Memory) -> None:
    memory.role("own", "r", rule_on("deployments */scale pods/*", "get", group="*"))
    memory.bind("own", "b", "Role/r", user_subject("u"))
    user = User("u")

    def may(resource: str, subresource: str = "") -> bool:
        asked = Attributes(
            user, "get", group="apps", resource=resource, subresource=subresource, namespace="own", name="x"
        )
        return allowed(memory, asked)

    assert may("deployments")
    assert may("deployments", "scale")
    assert may("replicasets", "scale")
    assert not may("deployments", "status")
    assert not may("replicasets")
    assert not may("pods", "log"), "pods/* grants nothing, as in Kubernetes"


def test_resource_names_allow_only_those_names(memory: Memory) -> None:
    memory.cluster_role("one", rule_on("configmaps", "get list create", names=["a"]))
    memory.bind("", "one", "ClusterRole/one", group_subject("g"))
    member = User("m", groups=("g",))
    maps = Resource("", "v1", "configmaps", "ConfigMap")
    assert allowed(memory, Attributes.on(member, "get", maps, namespace="n", name="a"))
    assert not allowed(memory, Attributes.on(member, "get", maps, namespace="n", name="b"))
    assert not allowed(memory, Attributes.on(member, "list", maps, namespace="n"))


def test_paths_match_exactly_or_by_prefix(memory: Memory) -> None:
    memory.cluster_role("paths", {"nonResourceURLs": ["/healthz", "/openapi/*"], "verbs": ["get"]})
    memory.bind("", "paths", "ClusterRole/paths", group_subject("system:unauthenticated"))
    assert allowed(memory, Attributes.on_path(ANONYMOUS, "GET", "/healthz"))
    assert allowed(memory, Attributes.on_path(ANONYMOUS, "GET", "/openapi/v2"))
    assert not allowed(memory, Attributes.on_path(ANONYMOUS, "GET", "/healthz/etcd"))
    assert not allowed(memory, Attributes.on_path(ANONYMOUS, "POST", "/healthz"))
    assert not allowed(memory, Attributes.on(ANONYMOUS, "get", PODS, namespace="own"))


def test_a_cluster_role_bound_in_a_namespace_counts_there_only(memory: Memory) -> None:
    memory.cluster_role("edit", rule_on("secrets", "*"))
    memory.bind("theirs", "default-editor", "ClusterRole/edit", account_subject("theirs", "default-editor"))
    account = service_account_user("theirs", "default-editor")
    secrets = Resource("", "v1", "secrets", "Secret")
    assert allowed(memory, Attributes.on(account, "list", secrets, namespace="theirs"))
    assert not allowed(memory, Attributes.on(account, "list", secrets, namespace="own"))
    assert not allowed(memory, Attributes.on(account, "list", secrets))
    assert not allowed(
        memory, Attributes.on(service_account_user("own", "default-editor"), "list", secrets, namespace="theirs")
    )


def test_a_change_counts_at_once(memory: Memory) -> None:
    authorizer = Authorizer(memory)
    asked = Attributes.on(STUDENT, "delete", PODS, namespace="own", name="p")
    assert not authorizer.authorize(asked).allowed
    memory.role("own", "reader", rule_on("pods", "delete"))
    assert authorizer.authorize(asked).allowed
    memory.drop("rbac.authorization.k8s.io/v1/rolebindings", "own", "namespaceAdmin")
    assert not authorizer.authorize(asked).allowed


def test_a_binding_to_a_missing_role_is_named_in_the_refusal(memory: Memory) -> None:
    memory.bind("own", "broken", "Role/gone", user_subject(STUDENT.name))
    error = refusal(memory, Attributes.on(STUDENT, "delete", PODS, namespace="own", name="p"))
    assert error.message.endswith(
        'cannot delete resource "pods" in API group "" in the namespace "own": '
        'RBAC: role.rbac.authorization.k8s.io "gone" not found'
    )
    assert allowed(memory, Attributes.on(STUDENT, "list", PODS, namespace="own")), "the other binding still counts"


def test_masters_may_do_anything_even_with_no_roles_at_all() -> None:
    assert allowed(Memory(), Attributes.on(SYSTEM, "delete", NAMESPACES, name="x"))
    assert allowed(Memory(), Attributes.on_path(SYSTEM, "GET", "/metrics"))


def test_names_that_only_look_like_a_service_account_are_none(memory: Memory) -> None:
    memory.bind("own", "sa", "Role/reader", account_subject("own", "a"))
    for name in ("system:serviceaccount:own", "system:serviceaccount:own:", "system:serviceaccount:own:a:b", "own:a"):
        assert not allowed(memory, Attributes.on(User(name), "list", PODS, namespace="own")), name
