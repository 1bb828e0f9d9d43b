"""Names, addresses, environments and paths: what the node computes without touching anything."""

from __future__ import annotations

import base64

import pytest

from kubesim.node import environment, network
from kubesim.node.environment import ConfigError
from kubesim.node.network import Addresses
from kubesim.node.rewrite import Rewriter
from kubesim.resources import Object

NODE: Object = {"status": {"allocatable": {"cpu": "64", "memory": "128Gi"}}}


def service(name: str = "web", **spec: object) -> Object:
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    return {
        "metadata": {"name": name, "namespace": "team"},
        "spec": {"clusterIP": "127.11.0.9", "clusterIPs": ["127.11.0.9"], "ports": ports} | spec,
    }


def piece(*endpoints: Object, name: str = "web") -> Object:
    labels = {"kubernetes.io/service-name": name}
    return {
        "metadata": {"namespace": "team", "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8000}],
        "endpoints": list(endpoints),
    }


def endpoint(address: str, hostname: str = "", **conditions: bool) -> Object:
    return {"addresses": [address], "conditions": {"ready": True} | conditions} | (
        {"hostname": hostname} if hostname else {}
    )


def test_addresses_are_not_handed_out_again_at_once() -> None:
    addresses = Addresses()
    addresses.adopt("old", "127.10.0.7")
    first = addresses.take("a")
    addresses.give_back("a")
    assert (first, addresses.take("b")) == ("127.10.0.8", "127.10.0.9")
    assert network.loopback_of(first) == "127.12.0.8"


def test_names_of_services_and_of_pods_behind_headless_ones() -> None:
    headless = service("db", clusterIP="None", clusterIPs=["None"])
    slices = [piece(endpoint("127.10.0.3", "db-0"), endpoint("127.10.0.4", "db-1", ready=False), name="db")]
    found = network.names([service(), headless], slices)
    assert found == {
        "web.team.svc.cluster.local": ["127.11.0.9"],
        "db.team.svc.cluster.local": ["127.10.0.3"],
        "db-0.db.team.svc.cluster.local": ["127.10.0.3"],
    }
    everyone = network.names([headless | {"spec": headless["spec"] | {"publishNotReadyAddresses": True}}], slices)
    assert everyone["db.team.svc.cluster.local"] == ["127.10.0.3", "127.10.0.4"]
    hosts = network.pod_hosts(found, namespace="team", own="127.10.0.9\tme")
    assert "127.11.0.9\tweb.team.svc.cluster.local web.team.svc web.team web\n" in hosts


def test_frontends_use_ready_endpoints_and_else_those_that_still_serve() -> None:
    node_port = service(
        type="NodePort", ports=[{"name": "http", "port": 80, "nodePort": 30080}], sessionAffinity="ClientIP"
    )
    leaving = endpoint("127.10.0.5", ready=False, serving=True, terminating=True)
    ready, gone = (
        network.frontends([node_port], [piece(endpoint("127.10.0.3"), leaving)]),
        network.frontends([node_port], [piece(leaving)]),
    )
    assert [(one.address, one.port, one.backends, one.affinity) for one in ready] == [
        ("127.11.0.9", 80, (("127.10.0.3", 8000),), 10800),
        ("127.0.0.1", 30080, (("127.10.0.3", 8000),), 10800),
    ]
    assert gone[0].backends == (("127.10.0.5", 8000),)
    assert network.frontends([node_port], [], offset=20000)[0].port == 20080


def pod() -> Object:
    container = {"name": "main", "resources": {"limits": {"memory": "1Gi"}, "requests": {"cpu": "250m"}}}
    return {
        "metadata": {"name": "p", "namespace": "team", "uid": "u", "labels": {"app": 'we"b'}},
        "spec": {"containers": [container], "nodeName": "n"},
        "status": {"podIP": "127.10.0.3"},
    }


def build(env: list[Object], env_from: list[Object] | None = None, **found: Object) -> dict[str, str]:
    container = pod()["spec"]["containers"][0] | {"env": env, "envFrom": env_from or []}
    return environment.build(
        pod(),
        container,
        lookup=lambda kind, name: found.get(name),
        services={"S": "1"},
        node=NODE,
        base={"B": "base", "PATH": "/bin"},
    )


def test_environment_from_everywhere() -> None:
    secret = {"data": {"password": base64.b64encode(b"hush").decode()}}
    env = build(
        [
            {"name": "A", "value": "x"},
            {"name": "C", "value": "$(A)-$(S)-$(NO)-$$(A)-$(B)"},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
            {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "requests.cpu"}}},
            {"name": "ALL", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
            {"name": "PW", "valueFrom": {"secretKeyRef": {"name": "s", "key": "password"}}},
            {"name": "NONE", "valueFrom": {"secretKeyRef": {"name": "t", "key": "x", "optional": True}}},
        ],
        [{"prefix": "P_", "configMapRef": {"name": "c"}}],
        s=secret,
        c={"data": {"K": "v"}},
    )
    assert env == {
        "B": "base", "PATH": "/bin", "S": "1", "P_K": "v", "A": "x", "C": "x-1-$(NO)-$(A)-$(B)", "IP": "127.10.0.3",
        "LABEL": 'we"b', "MEM": "1024", "CPU": "1", "ALL": "64", "PW": "hush",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("env", "env_from", "message"),
    [
        ([{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "x"}}}], [], 'configmap "c" not found'),
        (
            [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "x"}}}],
            [],
            "couldn't find key x in Secret team/s",
        ),
        ([], [{"secretRef": {"name": "t"}}], 'secret "t" not found'),
    ],
)
def test_what_is_missing_is_said_as_kubernetes_says_it(env: list[Object], env_from: list[Object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(env, env_from, s={"data": {}})
    assert str(caught.value) == message


def test_service_variables_of_the_namespace_and_of_the_api() -> None:
    api = {
        "metadata": {"name": "kubernetes", "namespace": "default"},
        "spec": {"clusterIP": "127.11.0.1", "ports": [{"name": "https", "port": 443}]},
    }
    found = environment.service_variables([service("my-web"), api], "team", links=True)
    assert found["MY_WEB_SERVICE_HOST"] == "127.11.0.9"
    assert found["MY_WEB_PORT_80_TCP"] == "tcp://127.11.0.9:80"
    assert found["KUBERNETES_SERVICE_PORT_HTTPS"] == "443"
    assert "MY_WEB_SERVICE_HOST" not in environment.service_variables([service("my-web"), api], "team", links=False)


def test_paths_are_rewritten_only_where_they_begin_and_end() -> None:
    rewriter = Rewriter({"/models": "/state/m", "/models/cache": "/state/c"})
    assert rewriter.words(["/models", "--dir=/models/x", "/models/cache/a:/models/b", "/modelstore", "a/models"]) == [
        "/state/m",
        "--dir=/state/m/x",
        "/state/c/a:/state/m/b",
        "/modelstore",
        "a/models",
    ]
    assert Rewriter({}).text("/x") == "/x"
