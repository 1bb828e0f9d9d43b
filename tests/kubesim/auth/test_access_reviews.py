"""Reviews: what kubectl auth can-i and whoami are told."""

from __future__ import annotations

import pytest

from kubesim.auth import bootstrap, keys
from kubesim.auth.authenticate import Authenticator
from kubesim.auth.rbac import Authorizer
from kubesim.auth.reviews import KINDS, Reviews
from kubesim.auth.tokens import ISSUER, Tokens
from kubesim.auth.user import SYSTEM, User
from kubesim.errors import BadRequest, Invalid
from kubesim.resources import Object
from tests.kubesim.auth.memory import Memory, namespaced, rule_on, user_subject

STUDENT = User("user01@mlops.local", groups=("system:authenticated",))
KEY = keys.new()


class World:
    def __init__(self) -> None:
        self.memory = Memory()
        for key, obj in bootstrap.pending(self.memory):
            self.memory.put(key, obj)
        self.memory.role("own", "reader", rule_on("pods pods/log", "get list watch"))
        self.memory.bind("own", "namespaceAdmin", "Role/reader", user_subject(STUDENT.name))
        self.tokens = Tokens(KEY, self.memory)
        self.reviews = Reviews(Authenticator(self.tokens), Authorizer(self.memory), clock=lambda: 1_800_000_000.0)

    async def ask(self, kind: str, spec: object, *, user: User = STUDENT, namespace: str = "") -> Object:
        body = {"apiVersion": f"{KINDS[kind]}/v1", "kind": kind, "spec": spec}
        return await self.reviews.create(kind, body, user, namespace)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


REASON = 'RBAC: allowed by RoleBinding "namespaceAdmin/own" of Role "reader" to User "user01@mlops.local"'


def pods(verb: str, namespace: str, **more: str) -> Object:
    return {"resourceAttributes": {"namespace": namespace, "verb": verb, "resource": "pods", **more}}


async def test_may_i(world: World) -> None:
    yes = await world.ask("SelfSubjectAccessReview", pods("list", "own"))
    assert yes == {
        "kind": "SelfSubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": {},
        "spec": pods("list", "own"),
        "status": {"allowed": True, "reason": REASON},
    }
    no = await world.ask("SelfSubjectAccessReview", pods("list", "other"))
    assert no["status"] == {"allowed": False}
    path = {"nonResourceAttributes": {"verb": "get", "path": "/version"}}
    assert (await world.ask("SelfSubjectAccessReview", path))["status"]["allowed"]
    everything = {"resourceAttributes": {"verb": "*", "resource": "*", "group": "*"}}
    assert not (await world.ask("SelfSubjectAccessReview", everything))["status"]["allowed"]
    assert (await world.ask("SelfSubjectAccessReview", everything, user=SYSTEM))["status"] == {"allowed": True}


async def test_may_they(world: World) -> None:
    spec = pods("get", "own", subresource="log") | {"user": STUDENT.name}
    answer = await world.ask("SubjectAccessReview", spec, user=SYSTEM)
    assert answer["spec"] == spec
    assert answer["status"] == {"allowed": True, "reason": REASON}
    masters = pods("delete", "own") | {"groups": ["system:masters"]}
    assert (await world.ask("SubjectAccessReview", masters, user=SYSTEM))["status"]["allowed"]
    with pytest.raises(Invalid, match="at least one of user or group must be specified"):
        await world.ask("SubjectAccessReview", pods("get", "own"), user=SYSTEM)


async def test_may_they_here(world: World) -> None:
    spec = pods("get", "own") | {"user": STUDENT.name}
    assert (await world.ask("LocalSubjectAccessReview", spec, namespace="own"))["status"]["allowed"]
    with pytest.raises(BadRequest, match="must match namespace"):
        await world.ask("LocalSubjectAccessReview", spec, namespace="other")


@pytest.mark.parametrize("spec", [{}, None, pods("get", "n") | {"nonResourceAttributes": {"path": "/", "verb": "get"}}])
async def test_a_question_must_be_one_question(world: World, spec: object) -> None:
    with pytest.raises(Invalid, match="exactly one of nonResourceAttributes or resourceAttributes must be specified"):
        await world.ask("SelfSubjectAccessReview", spec)


@pytest.mark.parametrize("spec", ["text", {"resourceAttributes": "pods"}, {"nonResourceAttributes": [1]}])
async def test_a_malformed_question_is_told_apart(world: World, spec: object) -> None:
    with pytest.raises(BadRequest):
        await world.ask("SelfSubjectAccessReview", spec)


async def test_what_may_i(world: World) -> None:
    answer = await world.ask("SelfSubjectRulesReview", {"namespace": "own"})
    status = answer["status"]
    assert (answer["spec"], status["incomplete"], "evaluationError" in status) == ({}, False, False)
    assert status["resourceRules"] == [
        {
            "verbs": ["create"],
            "apiGroups": ["authorization.k8s.io"],
            "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
        },
        {"verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"]},
        {"verbs": ["get", "list", "watch"], "apiGroups": [""], "resources": ["pods", "pods/log"]},
    ]
    assert {"verbs": ["get"], "nonResourceURLs": ["/healthz", "/livez", "/readyz", "/version", "/version/"]} in status[
        "nonResourceRules"
    ]
    with pytest.raises(BadRequest, match="no namespace on request"):
        await world.ask("SelfSubjectRulesReview", {})


async def test_who_am_i(world: World) -> None:
    assert await world.ask("SelfSubjectReview", None) == {
        "kind": "SelfSubjectReview",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"creationTimestamp": "2027-01-15T08:00:00Z"},
        "status": {"userInfo": {"username": "user01@mlops.local", "groups": ["system:authenticated"]}},
    }


async def test_whose_token_is_this(world: World) -> None:
    account = world.memory.put("v1/serviceaccounts", namespaced("sa", "own"))
    token = world.tokens.issue(account)
    good = (await world.ask("TokenReview", {"token": token}, user=SYSTEM))["status"]
    assert good["authenticated"] is True
    assert good["user"]["username"] == "system:serviceaccount:own:sa"
    assert good["audiences"] == [ISSUER]
    bad = (await world.ask("TokenReview", {"token": "garbage"}, user=SYSTEM))["status"]
    assert (bad["user"], "authenticated" in bad) == ({}, False)
    assert bad["error"].startswith("[invalid bearer token, ")
    elsewhere = (await world.ask("TokenReview", {"token": token, "audiences": ["vault"]}, user=SYSTEM))["status"]
    assert "authenticated" not in elsewhere
