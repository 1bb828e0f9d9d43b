"""What the plug-ins that change objects do to them, and what they refuse."""

from __future__ import annotations

import asyncio
import base64
import re
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from kubesim.admission.request import AdmissionRequest
from kubesim.auth.user import User
from kubesim.errors import ApiError, Forbidden, NotFound
from kubesim.resources import Object
from tests.kubesim.admission.world import RESOURCES, World, both, config_map, pod
from tests.kubesim.auth.memory import group_subject, rule_on, user_subject


@pytest.fixture
def world() -> World:
    return World()


async def refused(world: World, plural: str, obj: Object, **more: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await world.create(plural, obj, **more)
    return caught.value


async def test_nothing_is_made_where_there_is_no_namespace(world: World) -> None:
    error = await refused(world, "configmaps", config_map("x"), namespace="g-none")
    assert isinstance(error, NotFound)
    assert (error.message, error.details) == ('namespaces "g-none" not found', {"name": "g-none", "kind": "namespaces"})


async def test_nothing_is_made_in_a_namespace_that_goes_away(world: World) -> None:
    existing = await world.create("configmaps", config_map("early"))
    world.memory.put("v1/namespaces", {"metadata": {"name": "n"}, "status": {"phase": "Terminating"}})
    error = await refused(world, "configmaps", config_map("late"))
    assert isinstance(error, Forbidden)
    assert (
        error.message
        == 'configmaps "late" is forbidden: unable to create new content in namespace n because it is being terminated'
    )
    assert error.details == {
        "name": "late",
        "kind": "configmaps",
        "causes": [
            {
                "reason": "NamespaceTerminating",
                "message": "namespace n is being terminated",
                "field": "metadata.namespace",
            }
        ],
    }
    await world.update("configmaps", existing)


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
async def test_some_namespaces_stay(world: World, name: str) -> None:
    world.memory.put("v1/namespaces", {"metadata": {"name": name}})
    with pytest.raises(Forbidden, match=f'namespaces "{name}" is forbidden: this namespace may not be deleted'):
        await world.delete("namespaces", name)


async def test_a_pod_gets_all_that_a_real_cluster_gives_it(world: World) -> None:
    made = await world.create("pods", pod("p"))
    spec = made["spec"]
    (volume,) = spec.pop("volumes")
    assert re.fullmatch(r"kube-api-access-[bcdfghjklmnpqrstvwxz2456789]{5}", volume["name"])
    assert volume["projected"] == {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {
                "downwardAPI": {
                    "items": [
                        {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
                    ]
                }
            },
        ],
        "defaultMode": 420,
    }
    mount = {"name": volume["name"], "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    assert spec["containers"][0].pop("volumeMounts") == [mount]
    stays = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    assert spec == pod("p")["spec"] | {
        "serviceAccountName": "default",
        "serviceAccount": "default",
        "priority": 0,
        "preemptionPolicy": "PreemptLowerPriority",
        "tolerations": [
            {"key": "node.kubernetes.io/not-ready", **stays},
            {"key": "node.kubernetes.io/unreachable", **stays},
        ],
    }


async def test_a_token_is_mounted_once_and_only_where_it_is_wanted(world: World) -> None:
    world.memory.put(
        "v1/serviceaccounts", {"metadata": {"name": "quiet", "namespace": "n"}, "automountServiceAccountToken": False}
    )
    silent = pod("a")
    silent["spec"]["serviceAccountName"] = "quiet"
    assert "volumes" not in (await world.create("pods", silent))["spec"]
    silent["spec"]["automountServiceAccountToken"] = True
    silent["spec"]["initContainers"] = [{"name": "first"}]
    loud = (await world.create("pods", silent))["spec"]
    assert len(loud["volumes"]) == 1
    assert [len(one["volumeMounts"]) for one in (*loud["initContainers"], *loud["containers"])] == [1, 1]
    own = pod("b")
    own["spec"]["containers"][0]["volumeMounts"] = [
        {"name": "mine", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    ]
    assert "volumes" not in (await world.create("pods", own))["spec"]


async def test_pull_secrets_come_from_the_account_unless_the_pod_has_its_own(world: World) -> None:
    world.memory.put(
        "v1/serviceaccounts", {"metadata": {"name": "default", "namespace": "n"}, "imagePullSecrets": [{"name": "ecr"}]}
    )
    assert (await world.create("pods", pod("a")))["spec"]["imagePullSecrets"] == [{"name": "ecr"}]
    own = pod("b")
    own["spec"]["imagePullSecrets"] = [{"name": "mine"}]
    assert (await world.create("pods", own))["spec"]["imagePullSecrets"] == [{"name": "mine"}]


async def test_a_pod_of_an_unknown_account_is_refused(world: World) -> None:
    lost = pod("p")
    lost["spec"]["serviceAccountName"] = "gone"
    assert (await refused(world, "pods", lost)).message == (
        'pods "p" is forbidden: error looking up service account n/gone: serviceaccount "gone" not found'
    )


async def test_a_pod_waits_a_moment_for_a_new_namespaces_account(world: World) -> None:
    account = world.memory.get("v1/serviceaccounts", "n", "default")
    assert account is not None
    world.memory.drop("v1/serviceaccounts", "n", "default")
    making = asyncio.create_task(world.create("pods", pod("p")))
    await asyncio.sleep(0)
    assert not making.done()
    world.memory.put("v1/serviceaccounts", account)
    assert (await making)["spec"]["serviceAccountName"] == "default"


async def test_own_tolerations_are_left_alone(world: World) -> None:
    stubborn = pod("p")
    stubborn["spec"]["tolerations"] = [{"operator": "Exists"}]
    assert (await world.create("pods", stubborn))["spec"]["tolerations"] == [{"operator": "Exists"}]


async def test_priority_classes(world: World) -> None:
    world.memory.put(
        "scheduling.k8s.io/v1/priorityclasses",
        {"metadata": {"name": "high"}, "value": 1000, "preemptionPolicy": "Never"},
    )
    urgent = pod("a")
    urgent["spec"]["priorityClassName"] = "high"
    spec = (await world.create("pods", urgent))["spec"]
    assert (spec["priority"], spec["preemptionPolicy"]) == (1000, "Never")
    urgent["spec"]["priorityClassName"] = "nope"
    assert (
        await refused(world, "pods", urgent)
    ).message == 'pods "a" is forbidden: no PriorityClass with name nope was found'
    forged = pod("b")
    forged["spec"]["priority"] = 7
    assert (
        "the integer value of priority (7) must not be provided in pod spec"
        in (await refused(world, "pods", forged)).message
    )
    normal: Object = {"metadata": {"name": "normal"}, "value": 10, "globalDefault": True}
    await world.create("priorityclasses", normal)
    spec = (await world.create("pods", pod("c")))["spec"]
    assert (spec["priority"], spec["priorityClassName"]) == (10, "normal")
    second = await refused(world, "priorityclasses", normal | {"metadata": {"name": "second"}})
    assert "PriorityClass normal is already marked as default. Only one default can exist" in second.message


LIMITS: Object = {
    "metadata": {"name": "defaults", "namespace": "n"},
    "spec": {
        "limits": [
            {
                "type": "Container",
                "max": {"cpu": "1"},
                "default": {"cpu": "200m", "memory": "128Mi"},
                "defaultRequest": {"cpu": "100m", "memory": "64Mi"},
            }
        ]
    },
}


async def test_a_limit_range_gives_defaults_and_says_so(world: World) -> None:
    world.memory.put("v1/limitranges", LIMITS)
    made = await world.create("pods", pod("defaulted"))
    assert made["spec"]["containers"][0]["resources"] == {
        "limits": {"cpu": "200m", "memory": "128Mi"},
        "requests": {"cpu": "100m", "memory": "64Mi"},
    }
    assert made["metadata"]["annotations"] == {
        "kubernetes.io/limit-ranger": "LimitRanger plugin set: cpu, memory request for container main; cpu, memory limit for container main"
    }
    partly = await world.create("pods", pod("partly", requests={"cpu": "10m"}, limits={"cpu": "20m"}))
    assert partly["spec"]["containers"][0]["resources"] == {
        "limits": {"cpu": "20m", "memory": "128Mi"},
        "requests": {"cpu": "10m", "memory": "64Mi"},
    }


async def test_a_limit_range_holds_pods_within_bounds(world: World) -> None:
    world.memory.put("v1/limitranges", LIMITS)
    assert (await refused(world, "pods", pod("overmax", **both("1500m", "64Mi")))).message == (
        'pods "overmax" is forbidden: maximum cpu usage per Container is 1, but limit is 1500m'
    )
    bounds: list[Object] = [
        {"type": "Container", "min": {"memory": "32Mi"}, "maxLimitRequestRatio": {"cpu": "2"}},
        {"type": "Pod", "max": {"memory": "1Gi"}},
        {"type": "PersistentVolumeClaim", "max": {"storage": "5Gi"}, "min": {"storage": "1Gi"}},
    ]
    world.memory.put("v1/limitranges", {"metadata": {"name": "defaults", "namespace": "n"}, "spec": {"limits": bounds}})
    broken = pod("b", requests={"cpu": "100m", "memory": "16Mi"}, limits={"cpu": "300m", "memory": "2Gi"})
    assert (await refused(world, "pods", broken)).message == (
        'pods "b" is forbidden: [minimum memory usage per Container is 32Mi, but request is 16Mi, '
        "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000, "
        "maximum memory usage per Pod is 1Gi, but limit is 2Gi]"
    )
    assert (
        "minimum memory usage per Container is 32Mi.  No request is specified"
        in (await refused(world, "pods", pod("c"))).message
    )
    claim: Object = {"metadata": {"name": "c"}, "spec": {"resources": {"requests": {"storage": "6Gi"}}}}
    assert (await refused(world, "persistentvolumeclaims", claim)).message == (
        'persistentvolumeclaims "c" is forbidden: maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 6Gi'
    )


async def test_storage_gets_its_class_and_its_protection(world: World) -> None:
    def storage_class(name: str, default: str, made: str) -> Object:
        annotations = {"storageclass.kubernetes.io/is-default-class": default}
        return {"metadata": {"name": name, "annotations": annotations, "creationTimestamp": made}}

    for one in (
        storage_class("older", "true", "2026-01-01T00:00:00Z"),
        storage_class("newer", "true", "2026-02-01T00:00:00Z"),
        storage_class("newest", "false", "2026-03-01T00:00:00Z"),
    ):
        world.memory.put("storage.k8s.io/v1/storageclasses", one)
    made = await world.create("persistentvolumeclaims", {"metadata": {"name": "a"}, "spec": {}})
    assert made["spec"]["storageClassName"] == "newer"
    assert made["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    none = await world.create("persistentvolumeclaims", {"metadata": {"name": "b"}, "spec": {"storageClassName": ""}})
    assert none["spec"]["storageClassName"] == ""
    volume = await world.create("persistentvolumes", {"metadata": {"name": "v"}, "spec": {}})
    assert volume["metadata"]["finalizers"] == ["kubernetes.io/pv-protection"]


async def test_an_ingress_gets_the_default_class(world: World) -> None:
    assert (await world.create("ingresses", {"metadata": {"name": "a"}, "spec": {}}))["spec"] == {}
    annotations = {"ingressclass.kubernetes.io/is-default-class": "true"}
    world.memory.put("networking.k8s.io/v1/ingressclasses", {"metadata": {"name": "web", "annotations": annotations}})
    assert (await world.create("ingresses", {"metadata": {"name": "b"}, "spec": {}}))["spec"] == {
        "ingressClassName": "web"
    }


def signing_request(organization: str) -> Object:
    names = [x509.NameAttribute(NameOID.COMMON_NAME, "u"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)]
    signed = x509.CertificateSigningRequestBuilder(x509.Name(names)).sign(
        ec.generate_private_key(ec.SECP256R1()), SHA256()
    )
    return {
        "metadata": {"name": "csr"},
        "spec": {
            "signerName": "kubernetes.io/kube-apiserver-client",
            "request": base64.b64encode(signed.public_bytes(Encoding.PEM)).decode(),
            "username": "system:admin",
            "groups": ["system:masters"],
        },
    }


async def test_a_certificate_request_carries_the_identity_of_who_made_it(world: World) -> None:
    someone = User("someone", uid="7", groups=("g", "system:authenticated"))
    world.memory.cluster_role("ask", rule_on("certificatesigningrequests", "create", group="certificates.k8s.io"))
    world.memory.bind("", "ask", "ClusterRole/ask", group_subject("g"))
    made = await world.create("certificatesigningrequests", signing_request("tenants"), user=someone)
    assert made["spec"]["username"] == "someone"
    assert made["spec"]["groups"] == ["g", "system:authenticated"]
    assert made["spec"]["uid"] == "7"


async def test_nobody_asks_their_way_into_masters(world: World) -> None:
    error = await refused(world, "certificatesigningrequests", signing_request("system:masters"))
    assert "signer with system:masters group is not allowed" in error.message


async def test_approval_takes_a_permission_on_the_signer(world: World) -> None:
    approver = User("approver", groups=("system:authenticated",))
    made = await world.create("certificatesigningrequests", signing_request("tenants"))
    approved = {**made, "status": {"conditions": [{"type": "Approved", "status": "True"}]}}
    with pytest.raises(
        Forbidden, match=r'user not permitted to approve requests with signerName "kubernetes.io/kube-apiserver-client"'
    ):
        await world.update("certificatesigningrequests", approved, user=approver, subresource="approval")
    world.memory.cluster_role(
        "approve", rule_on("signers", "approve", group="certificates.k8s.io", names=["kubernetes.io/*"])
    )
    world.memory.bind("", "approve", "ClusterRole/approve", user_subject("approver"))
    await world.update("certificatesigningrequests", approved, user=approver, subresource="approval")
    signed = {**approved, "status": approved["status"] | {"certificate": "Zm9v"}}
    with pytest.raises(Forbidden, match="user not permitted to sign requests"):
        await world.update("certificatesigningrequests", signed, user=approver, subresource="status")


async def test_making_an_object_takes_create_however_it_is_asked_for(world: World) -> None:
    """As a server-side apply of what is not there arrives here: authorized as a patch, and a CREATE all the same."""
    patcher = User("patcher", groups=("system:authenticated",))
    world.memory.role("n", "patch", rule_on("configmaps", "get patch update"))
    world.memory.bind("n", "patch", "Role/patch", user_subject("patcher"))
    error = await refused(world, "configmaps", config_map("new"), user=patcher)
    assert error.message == (
        'configmaps "new" is forbidden: User "patcher" cannot create resource "configmaps" in API group "" in the namespace "n"'
    )
    made = await world.create("configmaps", config_map("new"))
    await world.update("configmaps", made, user=patcher)


async def test_a_connection_into_a_pod_takes_create(world: World) -> None:
    reader = User("reader", groups=("system:authenticated",))
    world.memory.role("n", "look", rule_on("pods pods/exec pods/log pods/proxy", "get"))
    world.memory.bind("n", "look", "Role/look", user_subject("reader"))
    for subresource, may in (("exec", False), ("attach", False), ("portforward", False), ("proxy", True)):
        request = AdmissionRequest(RESOURCES["pods"], "CONNECT", reader, "n", "p", subresource)
        if may:
            world.chain.validate_final(request, world.memory)
        else:
            with pytest.raises(Forbidden, match=f'cannot create resource "pods/{subresource}"'):
                world.chain.validate_final(request, world.memory)
