"""Acting as someone else."""

from __future__ import annotations

import pytest

from kubesim.auth.attributes import Attributes
from kubesim.auth.impersonate import impersonate, requested
from kubesim.auth.rbac import Authorizer
from kubesim.auth.user import SYSTEM, User
from kubesim.errors import BadRequest, Forbidden
from kubesim.resources import Object
from tests.kubesim.auth.memory import Memory, rule_on, user_subject

HELPER = User("helper", groups=("system:authenticated",))


def become(user: User, *headers: tuple[str, str], rules: tuple[Object, ...] = ()) -> User:
    memory = Memory()
    memory.cluster_role("may", *rules)
    memory.bind("", "may", "ClusterRole/may", user_subject(HELPER.name))
    asked = Attributes(user, "list", version="v1", resource="pods", namespace="n")
    return impersonate(asked, headers, Authorizer(memory))


def test_without_headers_one_stays_who_one_is() -> None:
    assert become(HELPER, ("Accept", "application/json")) == HELPER
    assert not requested(["Accept"])
    assert requested(["Accept", "IMPERSONATE-USER"])


def test_masters_become_anyone() -> None:
    user = become(
        SYSTEM,
        ("Impersonate-User", "user01@mlops.local"),
        ("impersonate-group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Extra-Scopes%2fall", "x"),
        ("Impersonate-Extra-scopes%2Fall", "y"),
    )
    assert user == User(
        "user01@mlops.local", uid="7", groups=("a", "b", "system:authenticated"), extra=(("scopes/all", ("x", "y")),)
    )


def test_a_user_named_alone_has_the_groups_of_a_signed_in_user() -> None:
    assert become(SYSTEM, ("Impersonate-User", "u")).groups == ("system:authenticated",)
    assert become(SYSTEM, ("Impersonate-User", "system:anonymous")).groups == ("system:unauthenticated",)
    assert become(SYSTEM, ("Impersonate-User", "system:serviceaccount:n:sa")).groups == (
        "system:serviceaccounts",
        "system:serviceaccounts:n",
        "system:authenticated",
    )


def test_a_group_without_a_user_makes_no_sense() -> None:
    for headers in (
        (("Impersonate-Group", "system:masters"),),
        (("Impersonate-User", ""),),
        (("Impersonate-Uid", "1"),),
    ):
        with pytest.raises(BadRequest, match="without impersonating a user"):
            become(SYSTEM, *headers)


def test_who_may_not_is_refused_as_kubernetes_refuses() -> None:
    with pytest.raises(Forbidden) as caught:
        become(HELPER, ("Impersonate-User", "system:admin"))
    assert caught.value.message == (
        'pods is forbidden: User "helper" cannot impersonate-on:user-info:list resource "pods" in API group "" in the namespace "n"'
    )
    assert caught.value.details == {"kind": "pods"}


USERS = rule_on("users", "impersonate")


def test_each_part_takes_its_own_permission() -> None:
    me = ("Impersonate-User", "u")
    assert become(HELPER, me, rules=(USERS,)).name == "u"
    more = (("Impersonate-Group", "g"), ("Impersonate-Uid", "1"), ("Impersonate-Extra-Scopes", "s"))
    for header in more:
        with pytest.raises(Forbidden):
            become(HELPER, me, header, rules=(USERS,))
    narrow = (
        rule_on("users", "impersonate", names=["u"]),
        rule_on("groups", "impersonate", names=["g"]),
        rule_on("uids", "impersonate", group="authentication.k8s.io"),
        rule_on("userextras/scopes", "impersonate", group="authentication.k8s.io", names=["s"]),
    )
    assert become(HELPER, me, *more, rules=narrow).groups == ("g", "system:authenticated")
    for forbidden in (("Impersonate-User", "other"), ("Impersonate-User", "system:serviceaccount:n:sa")):
        with pytest.raises(Forbidden):
            become(HELPER, forbidden, rules=narrow)
    with pytest.raises(Forbidden):
        become(HELPER, me, ("Impersonate-Group", "system:masters"), rules=narrow)


def test_service_accounts_are_a_resource_of_their_own() -> None:
    account = ("Impersonate-User", "system:serviceaccount:n:sa")
    assert become(HELPER, account, rules=(rule_on("serviceaccounts", "impersonate", names=["sa"]),)).name == account[1]
    with pytest.raises(Forbidden):
        become(HELPER, account, rules=(USERS,))


def test_constrained_impersonation_takes_both_of_its_permissions() -> None:
    who = rule_on("users", "impersonate:user-info", group="authentication.k8s.io", names=["u"])
    what = rule_on("pods", "impersonate-on:user-info:list")
    me = ("Impersonate-User", "u")
    assert become(HELPER, me, rules=(who, what)).name == "u"
    with pytest.raises(
        Forbidden, match=r'cannot impersonate:user-info resource "users" in API group "authentication.k8s.io"'
    ):
        become(HELPER, me, rules=(what,))
    with pytest.raises(Forbidden, match="impersonate-on:user-info:list"):
        become(HELPER, me, rules=(who,))
    with pytest.raises(Forbidden):
        become(HELPER, me, ("Impersonate-Group", "system:masters"), rules=(who, what))
