"""NetworkPolicies as tables of who reaches whom: pure, in the words of networking.k8s.io/v1."""

from __future__ import annotations

from typing import Any

import pytest

from kubesim.node.network import Frontend
from kubesim.node.policies import Peer, compile_rules, merged, peer
from kubesim.node.rules import Rules
from kubesim.resources import Object

NAMESPACES = {
    "red": {"kubernetes.io/metadata.name": "red", "team": "red"},
    "blue": {"kubernetes.io/metadata.name": "blue", "team": "blue"},
    "tools": {"kubernetes.io/metadata.name": "tools"},
}
WEB, JOB, THIEF, PANEL = "127.10.0.2", "127.10.0.3", "127.10.0.4", "127.10.0.5"
PODS = [
    Peer("red", WEB, {"app": "web"}, {"http": 5000, "low": 80}),
    Peer("red", JOB, {"app": "job"}),
    Peer("blue", THIEF, {"app": "web"}, {"http": 6000}),
    Peer("tools", PANEL, {"app": "panel"}),
]
NODE = "127.0.0.1"


def policy(namespace: str = "red", **spec: Any) -> Object:
    return {"metadata": {"name": "p", "namespace": namespace}, "spec": {"podSelector": {}} | spec}


def rules(*policies: Object, offset: int = 0) -> Rules:
    made = compile_rules(policies, PODS, NAMESPACES, offset=offset)
    assert Rules.from_json(made.to_json()) == made
    return made


def callers(found: Rules, target: str, port: int) -> set[str]:
    return {source for source in (WEB, JOB, THIEF, PANEL, NODE) if found.allow(source, target, port)}


EVERYBODY = {WEB, JOB, THIEF, PANEL, NODE}
FROM_WEB = {"podSelector": {"matchLabels": {"app": "web"}}}
FROM_BLUE = {"namespaceSelector": {"matchLabels": {"team": "blue"}}}
EXPRESSION = {"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}}

INGRESS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "no rules let nobody in but the pod itself and the node": ({}, {WEB, NODE}),
    "an empty rule opens it": ({"ingress": [{}]}, EVERYBODY),
    "an empty list of peers is everybody": ({"ingress": [{"from": []}]}, EVERYBODY),
    "pods of the policy's own namespace": ({"ingress": [{"from": [{"podSelector": {}}]}]}, {WEB, JOB, NODE}),
    "labels do not reach into other namespaces": ({"ingress": [{"from": [FROM_WEB]}]}, {WEB, NODE}),
    "a whole namespace": ({"ingress": [{"from": [FROM_BLUE]}]}, {WEB, THIEF, NODE}),
    "an expression over namespaces": ({"ingress": [{"from": [EXPRESSION]}]}, {WEB, PANEL, NODE}),
    "both selectors in one peer must hold": (
        {"ingress": [{"from": [FROM_BLUE | {"podSelector": {"matchLabels": {"app": "job"}}}]}]},
        {WEB, NODE},
    ),
    "two peers are added up": ({"ingress": [{"from": [FROM_BLUE, EXPRESSION]}]}, {WEB, THIEF, PANEL, NODE}),
    "an address block": ({"ingress": [{"from": [{"ipBlock": {"cidr": "127.10.0.4/31"}}]}]}, {WEB, THIEF, PANEL, NODE}),
    "an address block with an exception": (
        {"ingress": [{"from": [{"ipBlock": {"cidr": "127.10.0.0/16", "except": ["127.10.0.4/32"]}}]}]},
        {WEB, JOB, PANEL, NODE},
    ),
    "a block of IPv6 is nobody here": ({"ingress": [{"from": [{"ipBlock": {"cidr": "::/0"}}]}]}, {WEB, NODE}),
    "only Egress leaves ingress alone": (
        {"policyTypes": ["Egress"], "podSelector": {"matchLabels": {"app": "web"}}},
        EVERYBODY,
    ),
    "another pod's policy": ({"podSelector": {"matchLabels": {"app": "job"}}}, EVERYBODY),
    "an expression selects": (
        {"podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}},
        {WEB, NODE},
    ),
}


@pytest.mark.parametrize("what", INGRESS)
def test_ingress(what: str) -> None:
    spec, expected = INGRESS[what]
    assert callers(rules(policy(**spec)), WEB, 5000) == expected


PORTS: dict[str, tuple[list[Object], set[int]]] = {
    "a number": ([{"port": 5000}], {5000}),
    "a name, the target's": ([{"port": "http"}], {5000}),
    "a name that it has not": ([{"port": "grpc"}], set()),
    "a range": ([{"port": 5000, "endPort": 6000}], {5000, 6000}),
    "two": ([{"port": 5000}, {"port": 6000}], {5000, 6000}),
    "all of TCP": ([{"protocol": "TCP"}], {80, 5000, 6000}),
    "UDP is not TCP": ([{"protocol": "UDP", "port": 5000}], set()),
    "none given": ([], {80, 5000, 6000}),
}


@pytest.mark.parametrize("what", PORTS)
def test_ports_of_ingress(what: str) -> None:
    ports, expected = PORTS[what]
    found = rules(policy(ingress=[{"from": [FROM_BLUE], "ports": ports}]))
    assert {port for port in (80, 5000, 6000) if found.allow(THIEF, WEB, port)} == expected
    assert not found.allow(PANEL, WEB, 5000)


def test_low_ports_are_where_this_user_may_have_them() -> None:
    found = rules(policy(ingress=[{"ports": [{"port": "low"}]}]), offset=20000)
    assert found.allow(THIEF, WEB, 20080)
    assert not found.allow(THIEF, WEB, 80)
    found = rules(policy(ingress=[{"ports": [{"port": 79, "endPort": 2000}]}]), offset=20000)
    assert all(found.allow(THIEF, WEB, port) for port in (20080, 1500))


def test_policies_of_one_pod_are_added_up() -> None:
    deny, one, two = policy(), policy(ingress=[{"from": [FROM_BLUE]}]), policy(ingress=[{"from": [EXPRESSION]}])
    assert callers(rules(deny, one, two), WEB, 1) == {WEB, THIEF, PANEL, NODE}


EGRESS: dict[str, tuple[dict[str, Any], set[tuple[str, int]]]] = {
    "none": ({"policyTypes": ["Egress"]}, set()),
    "a rule makes the type": ({"egress": [{"to": [FROM_BLUE]}], "ingress": [{}]}, {(THIEF, 6000), (THIEF, 80)}),
    "an empty rule": (
        {"policyTypes": ["Egress"], "egress": [{}]},
        {(THIEF, 6000), (THIEF, 80), (PANEL, 80), ("8.8.8.8", 80)},
    ),
    "a port by the target's name for it": (
        {"policyTypes": ["Egress"], "egress": [{"to": [FROM_BLUE, EXPRESSION], "ports": [{"port": "http"}]}]},
        {(THIEF, 6000)},
    ),
    "addresses outside": (
        {"policyTypes": ["Egress"], "egress": [{"to": [{"ipBlock": {"cidr": "8.0.0.0/8"}}]}]},
        {("8.8.8.8", 80)},
    ),
}


@pytest.mark.parametrize("what", EGRESS)
def test_egress(what: str) -> None:
    spec, expected = EGRESS[what]
    found = rules(policy(**spec))
    tried = {(THIEF, 6000), (THIEF, 80), (PANEL, 80), ("8.8.8.8", 80)}
    assert {(target, port) for target, port in tried if found.allow(JOB, target, port)} == expected
    assert found.allow(JOB, NODE, 4566)
    assert found.allow(THIEF, PANEL, 80)


def test_both_ends_must_agree() -> None:
    out = policy(policyTypes=["Egress"], egress=[{"to": [FROM_BLUE]}])
    closed = policy("blue")
    assert rules(out).allow(JOB, THIEF, 1)
    assert not rules(out, closed).allow(JOB, THIEF, 1)


def test_a_service_is_reached_where_a_backend_is() -> None:
    fronts = [
        Frontend("s", "127.11.0.9", 80, ((WEB, 5000), (THIEF, 6000))),
        Frontend("t", "127.11.0.8", 80, ((WEB, 5000),)),
    ]
    found = compile_rules([policy()], PODS, NAMESPACES, fronts)
    assert Rules.from_json(found.to_json()) == found
    assert found.reach(PANEL, "127.11.0.9", 80)
    assert not found.reach(PANEL, "127.11.0.8", 80)
    assert found.reach(PANEL, "127.11.0.7", 80)


def test_a_pods_loopback_is_nobody_elses() -> None:
    assert Rules().reach(WEB, "127.12.0.2", 5000)
    assert not Rules().reach(JOB, "127.12.0.2", 5000)


def test_nothing_is_kept_where_nothing_is_selected() -> None:
    assert not rules(policy("tools", podSelector={"matchLabels": {"app": "none"}}))
    assert rules().to_json() == {"ingress": {}, "egress": {}, "services": {}}


def test_a_pod_as_policies_see_it() -> None:
    pod = {
        "metadata": {"name": "a", "namespace": "red", "labels": {"app": "web"}},
        "spec": {
            "containers": [
                {
                    "name": "c",
                    "ports": [
                        {"name": "http", "containerPort": 5000},
                        {"name": "dns", "containerPort": 53, "protocol": "UDP"},
                    ],
                }
            ]
        },
    }
    assert peer(pod, WEB) == Peer("red", WEB, {"app": "web"}, {"http": 5000})


def test_spans_are_few() -> None:
    assert merged([(3, 4), (1, 2), (9, 9), (4, 6)]) == ((1, 6), (9, 9))
