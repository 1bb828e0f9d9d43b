"""Pods through the API: what starts, what fails and how it is said, what is cleaned up."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from kubesim.errors import Invalid
from kubesim.node import mounts, pressure
from kubesim.resources import Object
from tests.kubesim.node.lab import NAMESPACE, Lab


def state_of(pod: Object, container: int = 0) -> Object:
    found: Object = pod["status"]["containerStatuses"][container]["state"]
    return found


def conditions(pod: Object) -> dict[str, tuple[str, str]]:
    return {one["type"]: (one["status"], one.get("reason", "")) for one in pod["status"]["conditions"]}


async def test_a_pod_that_ends_says_how(lab: Lab) -> None:
    await lab.pod("ok", "sh", "-c", "echo trained; exit 0", restartPolicy="Never")
    await lab.pod("bad", "sh", "-c", "exit 3", restartPolicy="Never")
    ok, bad = await lab.phase("ok", "Succeeded"), await lab.phase("bad", "Failed")
    assert state_of(ok)["terminated"]["reason"] == "Completed"
    assert (state_of(bad)["terminated"]["exitCode"], state_of(bad)["terminated"]["reason"]) == (3, "Error")
    assert conditions(ok) == {
        "PodReadyToStartContainers": ("False", ""),
        "Initialized": ("True", "PodCompleted"),
        "Ready": ("False", "PodCompleted"),
        "ContainersReady": ("False", "PodCompleted"),
    }
    assert lab.log("ok") == "trained\n"
    assert await lab.events("ok") == [
        (
            "Normal",
            "Pulled",
            'Container image "lab/busybox:1" already present on machine and can be accessed by the pod',
        ),
        ("Normal", "Created", "Container created"),
        ("Normal", "Started", "Container started"),
    ]
    status = ok["status"]["containerStatuses"][0]
    assert status["image"] == "docker.io/lab/busybox:1"
    assert status["imageID"].startswith("sha256:")
    assert status["containerID"].startswith("containerd://")


async def test_images_that_are_not_there(lab: Lab) -> None:
    await lab.pod("never", container={"image": "lab/none:1", "imagePullPolicy": "Never"})
    await lab.pod("wrong", container={"image": "NOT AN IMAGE"})
    await lab.pod("pull", container={"image": "lab/none:1", "imagePullPolicy": "IfNotPresent"})
    never = await lab.until("never", lambda pod: pod["status"].get("containerStatuses"))
    assert state_of(never) == {
        "waiting": {
            "reason": "ErrImageNeverPull",
            "message": 'Container image "lab/none:1" is not present with pull policy of Never',
        }
    }
    assert [reason for _, reason, _ in await lab.events("never")] == ["ErrImageNeverPull", "Failed"]
    wrong = await lab.until("wrong", lambda pod: pod["status"].get("containerStatuses"))
    assert state_of(wrong)["waiting"]["reason"] == "InvalidImageName"
    pull = await lab.until("pull", lambda pod: pod["status"].get("containerStatuses"))
    assert state_of(pull)["waiting"]["reason"] in ("ErrImagePull", "ImagePullBackOff")
    await lab.until("pull", lambda pod: state_of(pod).get("waiting", {}).get("reason") == "ImagePullBackOff")


async def test_a_crashing_container_backs_off_and_a_missing_program_is_a_start_error(lab: Lab) -> None:
    await lab.pod("crash", "sh", "-c", "echo gone; exit 1")
    await lab.pod("missing", "nosuch", restartPolicy="Never")
    crash = await lab.until(
        "crash", lambda pod: state_of_safe(pod).get("waiting", {}).get("reason") == "CrashLoopBackOff"
    )
    status = crash["status"]["containerStatuses"][0]
    assert status["restartCount"] == 1
    assert status["lastState"]["terminated"]["exitCode"] == 1
    uid = crash["metadata"]["uid"]
    assert (
        state_of(crash)["waiting"]["message"]
        == f"back-off 10s restarting failed container=main pod=crash_default({uid})"
    )
    assert (
        "Warning",
        "BackOff",
        f"Back-off restarting failed container main in pod crash_default({uid})",
    ) in await lab.events("crash")
    missing = await lab.phase("missing", "Failed")
    terminated = state_of(missing)["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (128, "StartError")
    assert terminated["message"].endswith('exec: "nosuch": executable file not found in $PATH')


def state_of_safe(pod: Object) -> Object:
    statuses = pod["status"].get("containerStatuses")
    return statuses[0]["state"] if statuses else {}


async def test_environment_and_volumes_come_from_the_api(lab: Lab) -> None:
    await lab.config_map("settings", **{"app.conf": "x=1\n", "MODE": "fast"})
    await lab.secret("keys", password="hush")
    await lab.pod(
        "reads",
        "sh",
        "-c",
        "echo $MODE $PW $IP $FROM_IMAGE $KUBERNETES_SERVICE_PORT; cat $CONF/app.conf $KEYS/password $META/labels; cat $EMPTY/x; echo done",
        container={
            "envFrom": [{"configMapRef": {"name": "settings"}}],
            "env": [
                {"name": "PW", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "password"}}},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                *(
                    {"name": name, "value": path}
                    for name, path in (("CONF", "/etc/conf"), ("KEYS", "/keys"), ("META", "/meta"), ("EMPTY", "/empty"))
                ),
            ],
            "volumeMounts": [
                {"name": "conf", "mountPath": "/etc/conf"},
                {"name": "keys", "mountPath": "/keys", "readOnly": True},
                {"name": "meta", "mountPath": "/meta"},
                {"name": "empty", "mountPath": "/empty"},
            ],
        },
        initContainers=[
            {
                "name": "first",
                "image": "lab/busybox:1",
                "command": ["sh", "-c", "echo from-init > $EMPTY/x"],
                "env": [{"name": "EMPTY", "value": "/shared"}],
                "volumeMounts": [{"name": "empty", "mountPath": "/shared"}],
            }
        ],
        volumes=[
            {"name": "conf", "configMap": {"name": "settings"}},
            {"name": "keys", "secret": {"secretName": "keys", "defaultMode": 0o400}},
            {
                "name": "meta",
                "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]},
            },
            {"name": "empty", "emptyDir": {}},
        ],
        restartPolicy="Never",
    )
    pod = await lab.phase("reads", "Succeeded")
    assert lab.log("reads") == f'fast hush {pod["status"]["podIP"]} yes 443\nx=1\nhushapp="reads"from-init\ndone\n'
    assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 0


async def test_what_is_missing_is_waited_for(lab: Lab) -> None:
    await lab.pod(
        "waits",
        "sh",
        "-c",
        "echo $K",
        container={"env": [{"name": "K", "valueFrom": {"configMapKeyRef": {"name": "late", "key": "k"}}}]},
        restartPolicy="Never",
    )
    waiting = await lab.until(
        "waits", lambda pod: state_of_safe(pod).get("waiting", {}).get("reason") == "CreateContainerConfigError"
    )
    assert state_of(waiting)["waiting"]["message"] == 'configmap "late" not found'
    assert ("Warning", "Failed", 'Error: configmap "late" not found') in await lab.events("waits")
    await lab.config_map("late", k="now")
    await lab.phase("waits", "Succeeded")
    assert lab.log("waits") == "now\n"


async def test_config_map_volumes_follow_changes(lab: Lab) -> None:
    await lab.config_map("live", v="1")
    await lab.pod(
        "follows",
        "sh",
        "-c",
        'while [ "$(cat $D/v)" = 1 ]; do sleep 0.1; done; cat $D/v',
        container={"env": [{"name": "D", "value": "/live"}], "volumeMounts": [{"name": "c", "mountPath": "/live"}]},
        volumes=[{"name": "c", "configMap": {"name": "live"}}],
        restartPolicy="Never",
    )
    await lab.phase("follows", "Running")
    await lab.client.patch("v1/configmaps", "live", {"data": {"v": "2"}}, NAMESPACE)
    await lab.phase("follows", "Succeeded")
    assert lab.log("follows") == "2"


async def test_readiness_startup_and_liveness(lab: Lab) -> None:
    script = "sleep 0.3; touch $D/started; sleep 0.3; touch $D/ready; while true; do sleep 0.1; done"
    probe = {"periodSeconds": 1, "failureThreshold": 30}
    await lab.pod(
        "probed",
        "sh",
        "-c",
        script,
        container={
            "env": [{"name": "D", "value": "/d"}],
            "volumeMounts": [{"name": "d", "mountPath": "/d"}],
            "startupProbe": {"exec": {"command": ["sh", "-c", "test -e $D/started"]}} | probe,
            "readinessProbe": {"exec": {"command": ["sh", "-c", "test -e $D/ready"]}} | probe,
            "livenessProbe": {
                "exec": {"command": ["sh", "-c", "test ! -e $D/sick"]},
                "periodSeconds": 1,
                "timeoutSeconds": 30,  # a slow machine is not a sick container
                "failureThreshold": 1,
            },
        },
        volumes=[{"name": "d", "emptyDir": {}}],
    )
    first = await lab.until("probed", lambda pod: pod["status"].get("containerStatuses"))
    assert first["status"]["containerStatuses"][0]["started"] is False
    await lab.ready("probed")
    code, said = await lab.node.host.prober.run(container_id(lab, "probed"), ["sh", "-c", "touch $D/sick"])
    assert code == 0, said
    again = await lab.until("probed", lambda pod: pod["status"]["containerStatuses"][0]["restartCount"] == 1)
    assert again["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] in (137, 143)
    events = await lab.events("probed")
    assert ("Normal", "Killing", "Container main failed liveness probe, will be restarted") in events
    assert any(reason == "Unhealthy" and message.startswith("Liveness probe failed") for _, reason, message in events)


async def test_a_probe_that_cannot_be_carried_out_says_nothing_of_the_container(lab: Lab) -> None:
    """A command that is not there, a port that has no name: events, and no restart."""
    missing = {"exec": {"command": ["nosuchprogram"]}, "periodSeconds": 1, "failureThreshold": 1}
    unnamed = {"httpGet": {"port": "nosuchport"}, "periodSeconds": 1, "failureThreshold": 1}
    await lab.pod("asked", container={"livenessProbe": missing, "readinessProbe": unnamed})
    heard: set[str] = set()
    deadline = time.monotonic() + 60
    while len(heard) < 2:
        assert time.monotonic() < deadline, heard
        heard = {
            message.partition(": ")[0] for _, reason, message in await lab.events("asked") if reason == "Unhealthy"
        }
        await asyncio.sleep(0.1)
    assert heard == {
        "Liveness probe errored and resulted in unknown state",
        "Readiness probe errored and resulted in unknown state",
    }
    (main,) = (await lab.client.get("v1/pods", "asked", NAMESPACE))["status"]["containerStatuses"]
    assert (main["restartCount"], main["ready"]) == (0, False)


async def test_a_startup_probe_ends_with_its_success(lab: Lab, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    asked.touch()
    asked.chmod(0o666)
    command = {"exec": {"command": ["sh", "-c", "echo startup >> $N"]}, "periodSeconds": 1, "timeoutSeconds": 30}
    await lab.pod(
        "begins",
        "sleep",
        "100",
        container={
            "env": [{"name": "N", "value": "/asked"}],
            "volumeMounts": [{"name": "n", "mountPath": "/asked"}],
            "startupProbe": command,
            "readinessProbe": command | {"exec": {"command": ["sh", "-c", "echo readiness >> $N"]}},
        },
        volumes=[{"name": "n", "hostPath": {"path": str(asked)}}],
    )
    await lab.ready("begins")
    for _ in range(500):
        if asked.read_text().count("readiness") > 2:
            break
        await asyncio.sleep(0.02)
    assert asked.read_text().split() == ["startup", "readiness", "readiness", "readiness"]


def container_id(lab: Lab, name: str) -> str:
    worker = lab.node.worker(NAMESPACE, name)
    assert worker is not None
    run = worker.containers[0].run
    assert run is not None
    return run.id


async def test_deletion_runs_pre_stop_gives_grace_and_leaves_nothing(lab: Lab, tmp_path: Path) -> None:
    note = tmp_path / "note"
    note.touch()
    note.chmod(0o666)
    await lab.pod(
        "stubborn",
        "sh",
        "-c",
        "trap '' TERM; echo deaf >> $N; while true; do sleep 0.1; done",
        container={
            "lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", "echo stopping >> $N"]}}},
            "env": [{"name": "N", "value": "/note"}],
            "volumeMounts": [{"name": "n", "mountPath": "/note"}],
        },
        volumes=[{"name": "n", "hostPath": {"path": str(note)}}],
    )
    pod = await lab.phase("stubborn", "Running")
    for _ in range(500):  # Running says that the shell was started, not that it has set its trap
        if note.read_text():
            break
        await asyncio.sleep(0.02)
    begun = time.monotonic()
    await lab.client.delete("v1/pods", "stubborn", NAMESPACE)
    await lab.gone("stubborn")
    assert 0.9 < time.monotonic() - begun < 5
    assert note.read_text() == "deaf\nstopping\n"
    assert ("Normal", "Killing", "Stopping container main") in await lab.events("stubborn")
    node = lab.node.host.folder
    assert not (node / "pods" / pod["metadata"]["uid"]).exists()
    assert list((node / "containers").iterdir()) == []
    assert list((node / "logs").iterdir()) == []


async def test_sidecars_start_before_and_end_after(lab: Lab) -> None:
    sidecar = {"name": "side", "image": "lab/busybox:1", "command": ["sleep", "1000"], "restartPolicy": "Always"}
    await lab.pod("with-side", "sh", "-c", "exit 0", restartPolicy="Never", initContainers=[sidecar])
    pod = await lab.phase("with-side", "Succeeded")
    assert pod["status"]["initContainerStatuses"][0]["name"] == "side"
    ended = await lab.until("with-side", lambda pod: "terminated" in pod["status"]["initContainerStatuses"][0]["state"])
    assert ended["status"]["phase"] == "Succeeded"


async def test_the_deadline_of_a_pod(lab: Lab) -> None:
    await lab.pod("slow", "sleep", "100", activeDeadlineSeconds=1, restartPolicy="Never")
    pod = await lab.phase("slow", "Failed")
    assert (pod["status"]["reason"], pod["status"]["message"]) == (
        "DeadlineExceeded",
        "Pod was active on the node longer than the specified deadline",
    )


async def test_memory_over_the_limit_is_an_oom_kill(lab: Lab) -> None:
    code = "import time; x = bytearray(200 << 20); time.sleep(100)"
    await lab.pod(
        "greedy", "python", "-c", code, container={"resources": {"limits": {"memory": "64Mi"}}}, restartPolicy="Never"
    )
    pod = await lab.phase("greedy", "Failed")
    assert state_of(pod)["terminated"]["reason"] == "OOMKilled"
    assert state_of(pod)["terminated"]["exitCode"] == 137


@pytest.mark.parametrize(
    ("path", "limits", "volume", "message"),
    [
        ("/cache", {}, {"sizeLimit": "1Mi"}, 'Usage of EmptyDir volume "cache" exceeds the limit "1Mi". '),
        (
            "/tmp",
            {"ephemeral-storage": "1Mi"},
            {},
            "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ",
        ),
    ],
)
async def test_what_holds_too_much_on_disk_is_evicted(
    lab: Lab, path: str, limits: dict[str, str], volume: Object, message: str
) -> None:
    container = {"resources": {"limits": limits}, "volumeMounts": [{"name": "cache", "mountPath": "/cache"}]}
    volumes = [{"name": "cache", "emptyDir": volume}]
    write = f"head -c 3000000 /dev/zero > {path}/big; echo written; sleep 100"
    await lab.pod("modest", "sh", "-c", f"echo > {path}/small; sleep 100", container=container, volumes=volumes)
    await lab.pod("writer", "sh", "-c", write, container=container, volumes=volumes)
    await lab.phase("modest", "Running")
    await lab.until("writer", lambda pod: pod["status"]["phase"] == "Running" and "written" in lab.log("writer"))
    await lab.node.pressure.look()
    pod = await lab.phase("writer", "Failed")
    assert (pod["status"]["reason"], pod["status"]["message"]) == ("Evicted", message)
    assert ("Warning", "Evicted", message) in await lab.events("writer")
    assert (await lab.client.get("v1/pods", "modest", NAMESPACE))["status"]["phase"] == "Running"


async def test_a_resized_limit_holds_at_once(lab: Lab) -> None:
    await lab.pod("grown", container={"resources": {"limits": {"memory": "64Mi"}}})
    await lab.ready("grown")
    main = {"name": "main", "resources": {"limits": {"memory": "96Mi"}}, "command": ["not", "by", "this", "door"]}
    larger = {"spec": {"containers": [main], "serviceAccountName": "other", "hostNetwork": True}}
    await lab.client.patch("v1/pods", "grown", larger, NAMESPACE, kind="strategic", subresource="resize")
    limits = {"memory": "96Mi"}
    pod = await lab.until(
        "grown", lambda pod: pod["status"]["containerStatuses"][0]["resources"].get("limits") == limits
    )
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
    worker = lab.node.worker(NAMESPACE, "grown")
    assert worker is not None
    assert pressure.memory_limit(worker.containers[0].spec) == 96 << 20
    assert (pod["spec"]["serviceAccountName"], "hostNetwork" in pod["spec"]) == ("default", False)
    assert "command" not in pod["spec"]["containers"][0]
    nothing = {"spec": {"containers": [{"name": "main", "resources": None}]}}
    with pytest.raises(Invalid, match="Pod QOS Class may not change as a result of resizing"):
        await lab.client.patch("v1/pods", "grown", nothing, NAMESPACE, kind="strategic", subresource="resize")


async def test_termination_messages(lab: Lab) -> None:
    await lab.pod(
        "writes",
        "sh",
        "-c",
        "echo why > $TERM_LOG",
        container={"env": [{"name": "TERM_LOG", "value": "/dev/termination-log"}]},
        restartPolicy="Never",
    )
    await lab.pod(
        "prints",
        "sh",
        "-c",
        "echo last words; exit 1",
        container={"terminationMessagePolicy": "FallbackToLogsOnError"},
        restartPolicy="Never",
    )
    assert state_of(await lab.phase("writes", "Succeeded"))["terminated"]["message"] == "why\n"
    assert state_of(await lab.phase("prints", "Failed"))["terminated"]["message"] == "last words\n"


async def test_hooks_that_fail_end_the_container(lab: Lab) -> None:
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "echo no; exit 9"]}}}
    await lab.pod("hooked", "sleep", "100", container={"lifecycle": hook}, restartPolicy="Never")
    await lab.phase("hooked", "Failed")
    events = await lab.events("hooked")
    assert ("Warning", "FailedPostStartHook", "PostStartHook failed") in events


async def test_token_projection_is_a_token_of_the_pods_account(lab: Lab) -> None:
    path = "/var/run/secrets/kubernetes.io/serviceaccount"
    script = f"import os; p='{path}' if os.path.isdir('{path}') else os.path.dirname(os.environ['KUBECONFIG'])+'/volumes'; print(p)"
    assert (await lab.run("token", "python", "-c", script)).strip() != ""
    if mounts.available().mounts:
        text = await lab.run("reads-token", "cat", f"{path}/namespace", f"{path}/token")
        assert text.startswith(f"{NAMESPACE}ey")


async def test_a_projected_token_is_replaced_at_four_fifths_of_its_life(lab: Lab) -> None:
    source = {"serviceAccountToken": {"path": "here", "audience": "vault", "expirationSeconds": 600}}
    volumes = [{"name": "token", "projected": {"sources": [source]}}]
    await lab.pod("holder", container={"volumeMounts": [{"name": "token", "mountPath": "/token"}]}, volumes=volumes)
    await lab.ready("holder")
    worker = lab.node.worker(NAMESPACE, "holder")
    assert worker is not None
    file = worker.folder / "volumes" / "token" / "here"
    ((key, first),) = [item for item in worker.volumes.tokens.items() if item[0][0] == "vault"]
    assert 400 < first.renew_at - time.time() <= 480
    assert file.read_text() == first.text
    worker.volumes.tokens[key] = replace(first, renew_at=0.0)
    deadline = time.monotonic() + 60
    while file.read_text() == first.text:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    assert file.read_text() == worker.volumes.tokens[key].text


async def test_a_pod_s_start_is_when_the_node_took_it(lab: Lab) -> None:
    hook = {"postStart": {"exec": {"command": ["sleep", "2"]}}}
    await lab.pod("slow", container={"lifecycle": hook})
    waiting = await lab.until("slow", lambda pod: pod["status"].get("containerStatuses"))
    assert waiting["status"]["phase"] == "Pending"
    pod = await lab.ready("slow")
    running = datetime.fromisoformat(state_of(pod)["running"]["startedAt"])
    assert datetime.fromisoformat(pod["status"]["startTime"]) <= running


async def test_the_node_object_and_its_lease(lab: Lab) -> None:
    node = await lab.client.get("v1/nodes", "kubesim-node")
    ready = {one["type"]: one["status"] for one in node["status"]["conditions"]}
    assert ready == {"MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False", "Ready": "True"}
    assert node["status"]["allocatable"]["cpu"] == "64"
    for _ in range(100):
        leases = (await lab.client.list("coordination.k8s.io/v1/leases", "kube-node-lease")).items
        if leases:
            break
        await asyncio.sleep(0.02)
    assert leases[0]["spec"]["holderIdentity"] == "kubesim-node"


@pytest.mark.skipif(
    os.getuid() != 0 or not mounts.available().mounts, reason="only root can become someone else, in a private root"
)
async def test_the_images_user_where_the_lab_runs_as_root(lab: Lab) -> None:
    text = await lab.run(
        "user",
        "sh",
        "-c",
        "id -u; id -g; python -c 'print(6*7)'; touch /tmp/x && echo ok",
        securityContext={"runAsUser": 10001},
    )
    assert text == "10001\n10001\n42\nok\n"
