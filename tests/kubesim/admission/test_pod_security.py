"""Pod Security Standards by a namespace's labels."""

from __future__ import annotations

import pytest

from kubesim.admission.podsecurity import violations
from kubesim.errors import Forbidden
from kubesim.resources import Object
from tests.kubesim.admission.world import World, pod

SAFE: Object = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
WHY = (
    'allowPrivilegeEscalation != false (container "main" must set securityContext.allowPrivilegeEscalation=false), '
    'unrestricted capabilities (container "main" must set securityContext.capabilities.drop=["ALL"]), '
    'runAsNonRoot != true (pod or container "main" must set securityContext.runAsNonRoot=true), '
    'seccompProfile (pod or container "main" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'
)


def labelled(**levels: str) -> World:
    world = World()
    labels = {f"pod-security.kubernetes.io/{mode}": level for mode, level in levels.items()}
    world.memory.put("v1/namespaces", {"metadata": {"name": "n", "labels": labels}, "status": {"phase": "Active"}})
    return world


def safe(name: str) -> Object:
    made = pod(name)
    made["spec"]["containers"][0]["securityContext"] = SAFE
    return made


async def test_an_enforced_level_refuses_pods() -> None:
    world = labelled(enforce="restricted")
    with pytest.raises(Forbidden) as caught:
        await world.create("pods", pod("p"))
    assert caught.value.message == f'pods "p" is forbidden: violates PodSecurity "restricted:latest": {WHY}'
    await world.create("pods", safe("q"))


async def test_a_workload_is_only_warned_about() -> None:
    world = labelled(enforce="restricted", warn="restricted")
    await world.create("deployments", {"metadata": {"name": "d"}, "spec": {"template": {"spec": pod("x")["spec"]}}})
    assert world.warnings == [f'would violate PodSecurity "restricted:latest": {WHY}']
    await world.create("pods", safe("q"))
    assert world.warnings == []


async def test_without_a_label_everything_goes() -> None:
    made = pod("p")
    made["spec"]["hostNetwork"] = True
    await World().create("pods", made)
    await labelled(enforce="privileged").create("pods", made)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"hostNetwork": True, "hostPID": True}, "host namespaces (hostNetwork=true, hostPID=true)"),
        ({"volumes": [{"name": "a", "hostPath": {}}, {"name": "b", "emptyDir": {}}]}, 'hostPath volumes (volume "a")'),
        ({"containers": [{"name": "a", "ports": [{"hostPort": 80}]}]}, 'hostPort (container "a" uses hostPort 80)'),
        (
            {"containers": [{"name": one, "securityContext": {"privileged": True}} for one in "ab"]},
            'privileged (containers "a", "b" must not set securityContext.privileged=true)',
        ),
        (
            {"initContainers": [{"name": "i", "securityContext": {"capabilities": {"add": ["NET_ADMIN", "CHOWN"]}}}]},
            'non-default capabilities (container "i" must not include "NET_ADMIN" in securityContext.capabilities.add)',
        ),
        (
            {"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
            'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
        ),
        ({"securityContext": {"sysctls": [{"name": "kernel.msgmax"}]}}, "forbidden sysctls (kernel.msgmax)"),
        ({"containers": [{"name": "a"}]}, ""),
    ],
)
def test_what_baseline_forbids(change: Object, says: str) -> None:
    assert violations("baseline", change) == says


def test_what_restricted_forbids_beyond() -> None:
    spec = {
        "containers": [{"name": "a", "securityContext": {**SAFE, "runAsUser": 0}}],
        "volumes": [{"name": "v", "nfs": {}}],
    }
    assert violations("restricted", spec) == (
        'restricted volume types (volume "v" uses restricted volume type "nfs"), runAsUser=0 (container "a" must not set runAsUser=0)'
    )
