"""The roles a cluster starts with, aggregation, and their repair."""

from __future__ import annotations

from kubesim.auth import bootstrap
from kubesim.auth.aggregate import aggregated_rules, contributes
from kubesim.auth.attributes import Attributes
from kubesim.auth.rbac import CLUSTER_ROLES, Authorizer
from kubesim.auth.user import ANONYMOUS, User
from kubesim.resources import Object
from tests.kubesim.auth.memory import Memory, account_subject, rule_on


def started() -> Memory:
    memory = Memory()
    for key, obj in bootstrap.pending(memory):
        memory.put(key, obj)
    return memory


def test_a_stock_clusters_roles_are_there_and_a_second_start_writes_nothing() -> None:
    memory = started()
    names = {role["metadata"]["name"] for role in memory.list(CLUSTER_ROLES)}
    assert {"admin", "edit", "view", "cluster-admin", "system:node", "system:discovery", "system:basic-user"} <= names
    assert list(bootstrap.pending(memory)) == []


def test_everyone_may_ask_who_they_are_and_nobody_in_particular_may_see_the_version() -> None:
    authorizer = Authorizer(started())
    someone = User("someone", groups=("system:authenticated",))
    review = Attributes(someone, "create", group="authentication.k8s.io", resource="selfsubjectreviews")
    assert authorizer.authorize(review).allowed
    assert authorizer.authorize(Attributes.on_path(someone, "GET", "/apis/apps/v1")).allowed
    assert authorizer.authorize(Attributes.on_path(ANONYMOUS, "GET", "/version")).allowed
    assert not authorizer.authorize(Attributes.on_path(ANONYMOUS, "GET", "/apis")).allowed
    assert not authorizer.authorize(Attributes(someone, "list", resource="namespaces")).allowed


def test_view_folds_into_edit_and_edit_into_admin() -> None:
    memory = started()
    memory.bind("n", "b", "ClusterRole/edit", account_subject("n", "default-editor"))
    authorizer = Authorizer(memory)
    account = User("system:serviceaccount:n:default-editor")

    def may(verb: str, resource: str, group: str = "", sub: str = "") -> bool:
        return authorizer.authorize(Attributes(account, verb, group, "v1", resource, sub, "n")).allowed

    assert may("list", "resourcequotas"), "from view"
    assert may("list", "secrets")
    assert may("create", "pods", sub="exec")
    assert not may("create", "roles", "rbac.authorization.k8s.io"), "only admin"
    assert not may("update", "resourcequotas")


def test_lost_rules_are_restored_unless_autoupdate_is_off() -> None:
    memory = started()
    role = memory.get(CLUSTER_ROLES, "", "system:basic-user")
    assert role is not None
    memory.put(CLUSTER_ROLES, {**role, "rules": [rule_on("x", "get")]})
    ((key, repaired),) = bootstrap.pending(memory)
    assert key == CLUSTER_ROLES
    assert [rule["resources"] for rule in repaired["rules"]] == [
        ["x"],
        ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
        ["selfsubjectreviews"],
    ]
    metadata = role["metadata"] | {"annotations": {bootstrap.AUTOUPDATE: "false"}}
    memory.put(CLUSTER_ROLES, {**role, "metadata": metadata, "rules": []})
    assert list(bootstrap.pending(memory)) == []


def labelled(name: str, label: str, *rules: Object) -> Object:
    return {"metadata": {"name": name, "labels": {label: "true"}}, "rules": list(rules)}


def test_aggregation_takes_each_rule_once_in_the_order_of_names() -> None:
    label = "rbac.authorization.kubeflow.org/aggregate-to-kubeflow-edit"
    role: Object = {
        "metadata": {"name": "kubeflow-edit", "labels": {label: "true"}},
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {label: "true"}}]},
        "rules": [rule_on("stale", "get")],
    }
    get, create = rule_on("pods", "get"), rule_on("pods", "create")
    others = [
        labelled("b", label, get, create),
        labelled("a", label, create),
        labelled("c", "other", rule_on("x", "*")),
    ]
    assert aggregated_rules(role, [role, *others]) == [create, get]
    assert contributes(others[0], role)
    assert not contributes(others[2], role)
    assert not contributes(role, role), "it never selects itself"
    assert aggregated_rules(others[0], others) is None


def test_aggregation_by_expressions() -> None:
    role: Object = {
        "metadata": {"name": "r"},
        "aggregationRule": {
            "clusterRoleSelectors": [{"matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "b"]}]}]
        },
    }
    chosen = {"metadata": {"name": "x", "labels": {"tier": "b"}}, "rules": [rule_on("pods", "get")]}
    ignored = {"metadata": {"name": "y", "labels": {"tier": "c"}}, "rules": [rule_on("pods", "list")]}
    assert aggregated_rules(role, [chosen, ignored]) == [rule_on("pods", "get")]
