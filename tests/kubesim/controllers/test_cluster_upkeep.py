"""The small controllers: quotas, aggregated roles, certificates, disruption budgets, daemon sets, nodes."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kubesim.controllers import nodes, signing
from kubesim.controllers.clock import stamp
from kubesim.controllers.kinds import (
    BUDGETS,
    CLUSTER_ROLES,
    CONFIG_MAPS,
    DAEMON_SETS,
    DEPLOYMENTS,
    LEASES,
    NODES,
    PODS,
    QUOTAS,
    SIGNING_REQUESTS,
)
from kubesim.controllers.meta import condition, is_true
from kubesim.controllers.pods import doomed
from kubesim.resources import Object
from tests.kubesim.controllers.world import Kubelet, World, deployment

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)


def pod(name: str, cpu: str = "500m", **spec: Any) -> Object:
    container = {"name": "main", "image": "i", "resources": {"requests": {"cpu": cpu, "memory": "64Mi"}}}
    body = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    return {"metadata": {"name": name, "namespace": "default", "labels": {"app": "web"}}, "spec": body | spec}


# quotas


async def test_a_quota_shows_what_is_used_and_released(world: World) -> None:
    hard = {"cpu": "2", "pods": "3", "count/configmaps": "5"}
    await world.client.create(QUOTAS, {"metadata": {"name": "q", "namespace": "default"}, "spec": {"hard": hard}})
    await world.until(QUOTAS, lambda q: (q.get("status") or {}).get("used", {}).get("cpu") == "0")
    await world.client.create(PODS, pod("a"))
    await world.client.create(PODS, pod("b", "250m"))
    used = await world.until(QUOTAS, lambda q: q["status"]["used"]["cpu"] == "750m")
    assert used["status"] == {"hard": hard, "used": {"cpu": "750m", "pods": "2", "count/configmaps": "1"}}
    await world.client.create(CONFIG_MAPS, {"metadata": {"name": "c", "namespace": "default"}})
    await world.until(QUOTAS, lambda q: q["status"]["used"]["count/configmaps"] == "2")
    await world.until(PODS, lambda p: p["status"].get("phase") == "Running", name="a")
    await world.kubelet.finish(await world.client.get(PODS, "a", "default"), 0)
    await world.until(QUOTAS, lambda q: q["status"]["used"]["cpu"] == "250m")
    await world.client.delete(PODS, "b", "default")
    await world.until(QUOTAS, lambda q: q["status"]["used"]["cpu"] == "0")


# roles


async def test_an_aggregated_role_follows_its_parts(world: World) -> None:
    label = "rbac.lab.example/aggregate-to-edit"
    whole = {
        "metadata": {"name": "edit-all"},
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {label: "true"}}]},
    }
    rule = {"apiGroups": ["lab.example"], "resources": ["things"], "verbs": ["get"]}
    await world.client.create(CLUSTER_ROLES, whole)
    await world.client.create(CLUSTER_ROLES, {"metadata": {"name": "part", "labels": {label: "true"}}, "rules": [rule]})
    await world.until(CLUSTER_ROLES, lambda r: r.get("rules") == [rule], "", "edit-all")
    await world.client.delete(CLUSTER_ROLES, "part")
    await world.until(CLUSTER_ROLES, lambda r: not r.get("rules"), "", "edit-all")


# certificates


def request_pem(name: str, *groups: str) -> str:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else []
    attributes += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
    csr = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return csr.public_bytes(serialization.Encoding.PEM).decode()


def signing_request(pem: str, signer: str = signing.CLIENT, **spec: Any) -> Object:
    body = {"request": base64.b64encode(pem.encode()).decode(), "signerName": signer, "usages": ["client auth"]}
    return {"metadata": {"name": "user"}, "spec": body | spec}


async def approve(world: World) -> None:
    found = await world.client.get(SIGNING_REQUESTS, "user")
    approved = {"type": "Approved", "status": "True", "reason": "Ok", "message": "", "lastUpdateTime": stamp(NOW)}
    await world.client.update(SIGNING_REQUESTS, found | {"status": {"conditions": [approved]}}, subresource="approval")


async def test_an_approved_request_is_signed(world: World) -> None:
    await world.client.create(SIGNING_REQUESTS, signing_request(request_pem("user01", "students")))
    await world.settled()
    assert not (await world.client.get(SIGNING_REQUESTS, "user")).get("status", {}).get("certificate")
    await approve(world)
    done = await world.until(SIGNING_REQUESTS, lambda r: r["status"].get("certificate"), "")
    certificate = x509.load_pem_x509_certificate(base64.b64decode(done["status"]["certificate"]))
    assert certificate.subject.rfc4514_string() in ("O=students,CN=user01", "CN=user01,O=students")
    certificate.verify_directly_issued_by(world.cluster.authority.certificate)


async def test_what_the_signer_does_not_allow_fails(world: World) -> None:
    body = signing_request(request_pem("user01"), usages=["client auth", "server auth"])
    await world.client.create(SIGNING_REQUESTS, body)
    await approve(world)
    failed = await world.until(SIGNING_REQUESTS, lambda r: is_true(r, "Failed"), "")
    assert (condition(failed, "Failed") or {})["reason"] == "SignerValidationFailure"
    await world.settled()
    assert "certificate" not in (await world.client.get(SIGNING_REQUESTS, "user"))["status"]


@pytest.mark.parametrize(
    ("signer", "pem", "usages", "problem"),
    [
        (signing.CLIENT, request_pem("a"), ["client auth"], ""),
        (signing.CLIENT, request_pem("a"), ["digital signature"], "usages did not match"),
        (signing.CLIENT, "nonsense", ["client auth"], "unable to parse csr"),
        (signing.KUBELET_CLIENT, request_pem("system:node:n", "system:nodes"), ["client auth"], ""),
        (
            signing.KUBELET_CLIENT,
            request_pem("system:node:n", "system:masters"),
            ["client auth"],
            "subject organization",
        ),
        (signing.KUBELET_CLIENT, request_pem("admin", "system:nodes"), ["client auth"], "subject common name"),
        (
            signing.KUBELET_SERVING,
            request_pem("system:node:n", "system:nodes"),
            ["server auth"],
            "DNS or IP subjectAltName is required",
        ),
    ],
)
def test_what_a_signer_allows(signer: str, pem: str, usages: list[str], problem: str) -> None:
    found = signing.refusal({"signerName": signer, "usages": usages}, pem)
    assert found.startswith(problem)
    assert bool(found) is bool(problem)


# budgets


async def test_a_budget_counts_what_may_go(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment(replicas=3))
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    await world.client.create(BUDGETS, {"metadata": {"name": "web", "namespace": "default"}, "spec": spec})
    found = await world.until(BUDGETS, lambda b: (b.get("status") or {}).get("disruptionsAllowed") == 1)
    assert {k: v for k, v in found["status"].items() if k != "conditions"} == {
        "observedGeneration": 1,
        "disruptionsAllowed": 1,
        "currentHealthy": 3,
        "desiredHealthy": 2,
        "expectedPods": 3,
    }
    assert (condition(found, "DisruptionAllowed") or {})["reason"] == "SufficientPods"
    await world.client.patch(BUDGETS, "web", {"spec": {"maxUnavailable": 0}}, "default")
    blocked = await world.until(BUDGETS, lambda b: b["status"]["disruptionsAllowed"] == 0)
    assert (condition(blocked, "DisruptionAllowed") or {})["reason"] == "InsufficientPods"


# daemon sets


async def test_a_daemon_set_is_on_every_node_that_will_have_it(world: World) -> None:
    template = {
        "metadata": {"labels": {"app": "agent"}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "main", "image": "lab/busybox:1"}]},
    }
    spec = {"selector": {"matchLabels": {"app": "agent"}}, "template": template}
    await world.client.create(DAEMON_SETS, {"metadata": {"name": "agent", "namespace": "default"}, "spec": spec})
    await world.until(DAEMON_SETS, lambda d: (d.get("status") or {}).get("numberAvailable") == 1)
    second = Kubelet(world.client, world.kubelet.now, "node-2")
    await second.register()
    bound = await world.until(PODS, lambda p: p["spec"].get("nodeName") == "node-2")
    await second.start(bound)
    full = await world.until(DAEMON_SETS, lambda d: d["status"].get("numberAvailable") == 2)
    assert full["status"]["desiredNumberScheduled"] == 2
    await world.client.patch(
        DAEMON_SETS,
        "agent",
        {"spec": {"template": {"spec": {"nodeSelector": {"kubernetes.io/hostname": "node-1"}}}}},
        "default",
    )
    await world.until(DAEMON_SETS, lambda d: d["status"]["desiredNumberScheduled"] == 1)


# nodes


def node_with(*conditions: tuple[str, str], **spec: Any) -> Object:
    found = [{"type": kind, "status": status} for kind, status in conditions]
    return {"metadata": {"name": "n"}, "spec": spec, "status": {"conditions": found}}


def test_taints_follow_conditions_and_leave_others_alone() -> None:
    mine = {"key": "gpu", "effect": "NoSchedule"}
    stale = {"key": nodes.NOT_READY, "effect": "NoExecute", "timeAdded": "x"}
    assert nodes.taints(node_with(("Ready", "True"), taints=[mine, stale]), "now") == [mine]
    lost = nodes.taints(node_with(("Ready", "Unknown")), "now")
    assert [(t["key"], t["effect"]) for t in lost] == [
        (nodes.UNREACHABLE, "NoSchedule"),
        (nodes.UNREACHABLE, "NoExecute"),
    ]
    pressed = nodes.taints(node_with(("Ready", "True"), ("MemoryPressure", "True"), unschedulable=True), "now")
    assert {t["key"] for t in pressed} == {nodes.UNSCHEDULABLE, "node.kubernetes.io/memory-pressure"}


def test_eviction_waits_as_long_as_the_pod_tolerates() -> None:
    taint = {"key": nodes.UNREACHABLE, "effect": "NoExecute", "timeAdded": stamp(NOW - timedelta(seconds=100))}
    some = {"key": nodes.UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}

    def wait(*tolerations: Object) -> float | None:
        return nodes.seconds_to_eviction({"spec": {"tolerations": list(tolerations)}}, [taint], NOW)

    assert wait() == 0
    assert wait(some) == 200
    assert wait({"operator": "Exists"}) is None
    assert wait(some, {"operator": "Exists"}) is None


async def test_a_silent_node_is_unknown_and_its_pods_go_after_five_minutes(still: World) -> None:
    lease = {
        "metadata": {"name": "node-1", "namespace": "kube-node-lease"},
        "spec": {"renewTime": "2026-11-22T04:00:00.000000Z"},
    }
    await still.client.create(LEASES, lease)
    await still.client.create(PODS, pod("p"))
    await still.until(PODS, lambda p: p["status"].get("phase") == "Running")
    await still.settled()
    for second in range(6):
        renewed = {"spec": {"renewTime": f"2026-11-22T04:01:0{second}.000000Z"}}
        await still.client.patch(LEASES, "node-1", renewed, "kube-node-lease")
        await still.advance(10)
    assert is_true(await still.client.get(NODES, "node-1"), "Ready")
    await still.advance(60)
    lost = await still.until(NODES, lambda n: (condition(n, "Ready") or {}).get("status") == "Unknown", "")
    assert (condition(lost, "Ready") or {})["message"] == "Kubelet stopped posting node status."
    await still.until(PODS, lambda p: (condition(p, "Ready") or {}).get("status") == "False")
    assert not (await still.client.get(PODS, "p", "default"))["metadata"].get("deletionTimestamp")
    await still.advance(310)
    await still.gone(PODS, "p")


def test_pods_of_a_node_that_is_gone_go_on_the_second_look() -> None:
    def named(name: str, node: str = "", *, phase: str = "Running", **metadata: Any) -> Object:
        found = {"name": name, "uid": name, "creationTimestamp": f"2026-11-22T04:00:0{name}Z"} | metadata
        return {"metadata": found, "spec": {"nodeName": node}, "status": {"phase": phase}}

    strays: set[str] = set()
    pods = [named("1", "here"), named("2", "gone"), named("3", deletionTimestamp="x")]
    assert [p["metadata"]["name"] for p in doomed(pods, {"here"}, strays)] == ["3"]
    assert [p["metadata"]["name"] for p in doomed(pods, {"here"}, strays)] == ["2", "3"]
    ended = [named(str(n), "here", phase="Succeeded") for n in range(5)]
    assert [p["metadata"]["name"] for p in doomed(ended, {"here"}, strays, threshold=3)] == ["0", "1"]
