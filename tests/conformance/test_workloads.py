"""What controllers and the node make of objects, seen through the real kubectl: one behaviour a test, in the words a cluster uses.

Everything is applied at once, from workloads.yaml, and each test waits for what it is about: the waiting is done together.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.session import Kubectl

pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.kubectl,
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs the real kubectl on PATH"),
    pytest.mark.timeout(600),
]

WORLD = Path(__file__).with_name("workloads.yaml")
LONG = 240.0


@pytest.fixture(scope="module")
def kubectl(kubeconfig: Path) -> Iterator[Kubectl]:
    with tempfile.TemporaryDirectory(prefix="kubectl-") as folder:
        own = Path(folder) / "kubeconfig"
        shutil.copy(kubeconfig, own)
        session = Kubectl(own, Path(folder), seconds=LONG, transcript="workloads-transcript.txt")
        session("config set-context --current --namespace works")
        session(f"apply -f {WORLD}")
        yield session
        session("delete namespace works limited --wait=false")
        session("delete priorityclass,storageclass -l made-by=workloads")


def read(kubectl: Kubectl, what: str) -> Any:
    return json.loads(kubectl(f"get {what} -o json"))


def conditions(obj: Any) -> dict[str, str]:
    """Reasons of the conditions that hold."""
    return {
        one["type"]: one.get("reason", "") for one in obj["status"].get("conditions", []) if one["status"] == "True"
    }


def wait(kubectl: Kubectl, what: str, condition: str) -> Any:
    kubectl(f"wait {what} --for {condition} --timeout {LONG:.0f}s")
    return read(kubectl, what)


def events(kubectl: Kubectl, what: str) -> str:
    """TYPE REASON MESSAGE of an object's events, blanks made single."""
    shown = kubectl(f"events --for {what} --no-headers")
    return re.sub(r" +", " ", shown)


# Jobs and CronJobs


def test_parallel_completions(kubectl: Kubectl) -> None:
    job = wait(kubectl, "job/four", "condition=Complete")
    assert (job["status"]["succeeded"], job["status"].get("failed", 0)) == (4, 0)
    assert conditions(job) == {"SuccessCriteriaMet": "CompletionsReached", "Complete": "CompletionsReached"}
    assert "Normal Completed Job/four Job completed" in events(kubectl, "job/four")


def test_indexed_jobs(kubectl: Kubectl) -> None:
    job = wait(kubectl, "job/indexed", "condition=Complete")
    assert job["status"]["completedIndexes"] == "0-2"
    said = kubectl("logs -l job-name=indexed --prefix=false")
    assert sorted(said.splitlines()) == [f"I am {at} on indexed-{at}" for at in range(3)]


def test_one_failed_index_does_not_stop_the_others(kubectl: Kubectl) -> None:
    job = wait(kubectl, "job/perindex", "condition=Failed")
    assert (job["status"]["completedIndexes"], job["status"]["failedIndexes"]) == ("0,2", "1")
    assert conditions(job)["Failed"] == "FailedIndexes"


def test_a_job_is_given_up_at_its_limit(kubectl: Kubectl) -> None:
    job = wait(kubectl, "job/failing", "condition=Failed")
    assert (job["status"]["failed"], conditions(job)["Failed"]) == (2, "BackoffLimitExceeded")
    assert "Warning BackoffLimitExceeded Job/failing Job has reached the specified backoff limit" in events(
        kubectl, "job/failing"
    )


def test_a_deadline_ends_a_job(kubectl: Kubectl) -> None:
    job = wait(kubectl, "job/slow", "condition=Failed")
    assert conditions(job)["Failed"] == "DeadlineExceeded"
    assert "Job was active longer than specified deadline" in events(kubectl, "job/slow")
    assert kubectl("get pods -l job-name=slow -o name") == ""


def test_a_finished_job_goes_after_its_time(kubectl: Kubectl) -> None:
    kubectl(f"wait job/shortlived --for delete --timeout {LONG:.0f}s")
    kubectl(f"wait pod -l job-name=shortlived --for delete --timeout {LONG:.0f}s")


def test_a_failure_policy_ends_a_job_at_once(kubectl: Kubectl) -> None:
    job = wait(kubectl, "job/policed", "condition=Failed")
    (failed,) = [one for one in job["status"]["conditions"] if one["type"] == "Failed"]
    assert (failed["reason"], job["status"]["failed"]) == ("PodFailurePolicy", 1)
    said = r"Container main for pod works/policed-\w+ failed with exit code 42 matching FailJob rule at index 0"
    assert re.fullmatch(said, failed["message"])


def test_suspend_and_resume(kubectl: Kubectl) -> None:
    job = wait(kubectl, "job/asleep", "condition=Suspended")
    assert "startTime" not in job["status"]
    kubectl("""patch job asleep --type merge -p '{"spec": {"suspend": false}}'""")
    wait(kubectl, "job/asleep", "condition=Complete")
    said = events(kubectl, "job/asleep")
    assert "Normal Suspended Job/asleep Job suspended" in said
    assert "Normal Resumed Job/asleep Job resumed" in said


def test_a_sidecar_does_not_hold_up_its_job(kubectl: Kubectl) -> None:
    wait(kubectl, "job/withsidecar", "condition=Complete")
    (pod,) = read(kubectl, "pods -l job-name=withsidecar")["items"]
    first, side = pod["status"]["initContainerStatuses"]
    assert first["state"]["terminated"]["reason"] == "Completed"
    assert side["state"]["terminated"]["exitCode"] in (0, 143)  # what a program without a handler ends with


def test_cron_jobs(kubectl: Kubectl) -> None:
    wait(kubectl, "cronjob/ticking", "jsonpath={.status.lastSuccessfulTime}")
    said = events(kubectl, "cronjob/ticking")
    found = re.search(r"Normal SuccessfulCreate CronJob/ticking Created job (ticking-\d+)", said)
    assert found is not None, said
    assert f"Normal SawCompletedJob CronJob/ticking Saw completed job: {found[1]}, condition: Complete" in said
    kubectl("""patch cronjob ticking -p '{"spec": {"suspend": true}}'""")
    assert re.search(r"ticking +\* \* \* \* \* +Etc/UTC +True ", kubectl("get cronjob ticking"))


# Deployments, budgets, autoscaling


def test_a_rollout_misses_its_deadline(kubectl: Kubectl) -> None:
    said = kubectl(f"rollout status deployment/stuck --timeout {LONG:.0f}s", code=1)
    assert 'error: deployment "stuck" exceeded its progress deadline' in said
    stuck = read(kubectl, "deployment stuck")
    (progress,) = [one for one in stuck["status"]["conditions"] if one["type"] == "Progressing"]
    assert (progress["status"], progress["reason"]) == ("False", "ProgressDeadlineExceeded")
    assert re.search(r"(ErrImagePull|ImagePullBackOff)", kubectl("get pods -l app=stuck"))


def test_recreate_ends_the_old_before_the_new(kubectl: Kubectl) -> None:
    kubectl(f"rollout status deployment/replaced --timeout {LONG:.0f}s")
    (old,) = read(kubectl, "pods -l app=replaced")["items"]
    kubectl("set env deployment/replaced STEP=2")
    kubectl(f"rollout status deployment/replaced --timeout {LONG:.0f}s")
    (new,) = read(kubectl, "pods -l app=replaced")["items"]
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    said = events(kubectl, "deployment/replaced")
    assert said.index("to 0") < said.rindex("to 1")


def test_surge_and_unavailability_are_bounded(kubectl: Kubectl) -> None:
    """maxSurge 1, maxUnavailable 0 of two: never more than three pods, never fewer than two ready, at any change that is seen."""
    kubectl(f"rollout status deployment/rolled --timeout {LONG:.0f}s")
    columns = "custom-columns=R:.status.replicas,A:.status.availableReplicas,U:.status.updatedReplicas,G:.status.observedGeneration"
    watch = kubectl.start(f"get deployment rolled --watch --no-headers -o {columns}")
    try:
        kubectl("set env deployment/rolled STEP=2")
        kubectl(f"rollout status deployment/rolled --timeout {LONG:.0f}s")
    finally:
        watch.kill()
        shown = watch.communicate()[0]
    rows = [line.split() for line in shown.splitlines()]
    assert len(rows) > 2, shown
    assert all(int(total) <= 3 for total, *_ in rows), shown
    assert all(int(available) >= 2 for _, available, *_ in rows), shown


def test_a_paused_deployment_waits(kubectl: Kubectl) -> None:
    kubectl(f"rollout status deployment/paused --timeout {LONG:.0f}s")
    kubectl("rollout pause deployment/paused")
    kubectl("set env deployment/paused STEP=2")
    paused = wait(kubectl, "deployment/paused", "jsonpath={.status.observedGeneration}=3")
    assert len(read(kubectl, "rs -l app=paused")["items"]) == 1
    (progress,) = [one for one in paused["status"]["conditions"] if one["type"] == "Progressing"]
    assert (progress["status"], progress["reason"]) == ("Unknown", "DeploymentPaused")
    kubectl("rollout resume deployment/paused")
    kubectl(f"rollout status deployment/paused --timeout {LONG:.0f}s")
    assert len(read(kubectl, "rs -l app=paused")["items"]) == 2


def test_cpu_use_scales_up_a_step_at_a_time_and_down_again(kubectl: Kubectl) -> None:
    wait(kubectl, "hpa/burner", "jsonpath={.status.currentReplicas}=3")
    said = events(kubectl, "hpa/burner")
    up = "reason: cpu resource utilization (percentage of request) above target"
    assert f"New size: 2; {up}" in said
    assert f"New size: 3; {up}" in said
    kubectl("set env deployment/burner IDLE=yes")
    wait(kubectl, "hpa/burner", "jsonpath={.status.currentReplicas}=1")
    assert "reason: All metrics below target" in events(kubectl, "hpa/burner")


def test_a_budget_stops_a_drain(kubectl: Kubectl) -> None:
    kubectl(f"rollout status deployment/guarded --timeout {LONG:.0f}s")
    node = kubectl("get nodes -o jsonpath={.items[0].metadata.name}")
    drain = f"drain {node} --ignore-daemonsets --force --delete-emptydir-data --pod-selector app=guarded"
    try:
        refused = kubectl(f"{drain} --timeout 4s", code=1)
        assert "Cannot evict pod as it would violate the pod's disruption budget." in refused
        assert "SchedulingDisabled" in kubectl("get nodes")
        kubectl("""patch pdb guarded --type merge -p '{"spec": {"maxUnavailable": "100%"}}'""")
        kubectl.until("get pdb guarded", r"guarded +N/A +100% +2 ")
        assert re.search(r"pod/guarded-\S+ evicted", kubectl(f"{drain} --timeout {LONG:.0f}s"))
    finally:
        kubectl(f"uncordon {node}")
    kubectl(f"rollout status deployment/guarded --timeout {LONG:.0f}s")


def test_important_pods_push_others_out(kubectl: Kubectl) -> None:
    """Both ask for most of the node's memory; the second has a higher priority."""
    node = read(kubectl, "nodes")["items"][0]
    memory = int(node["status"]["allocatable"]["memory"].removesuffix("Gi").removesuffix("Ki"))
    unit = node["status"]["allocatable"]["memory"].removeprefix(str(memory))
    resources = {"requests": {"memory": f"{memory * 6 // 10}{unit}"}}
    for name, priority in (("humble", "works-low"), ("mighty", "works-high")):
        spec = {
            "priorityClassName": priority,
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "main", "image": "lab/pause:1", "resources": resources}],
        }
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        kubectl("apply -f -", stdin=json.dumps(body))
        kubectl(f"wait pod/{name} --for condition=Ready --timeout {LONG:.0f}s")
    kubectl(f"wait pod/humble --for delete --timeout {LONG:.0f}s")
    assert re.search(
        rf"Normal Preempted Pod/humble Preempted by pod \S+ on node {node['metadata']['name']}",
        events(kubectl, "pod/humble"),
    )
    kubectl("delete pod mighty --now")


# Storage and limits


def test_limit_ranges(kubectl: Kubectl) -> None:
    kubectl("run fits -n limited --image lab/pause:1")
    (main,) = read(kubectl, "pod fits -n limited")["spec"]["containers"]
    assert main["resources"] == {"limits": {"memory": "64Mi"}, "requests": {"cpu": "5m", "memory": "64Mi"}}
    resources = {"limits": {"memory": "256Mi"}, "requests": {"memory": "1Mi"}}
    spec = {"containers": [{"name": "main", "image": "lab/pause:1", "resources": resources}]}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "large", "namespace": "limited"}, "spec": spec}
    said = kubectl("apply -f -", stdin=json.dumps(body), code=1)
    assert "minimum memory usage per Container is 8Mi, but request is 1Mi" in said
    assert "maximum memory usage per Container is 128Mi, but limit is 256Mi" in said
    assert "memory max limit to request ratio per Container is 4, but provided ratio is 256.000000" in said
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}}}
    body = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "large", "namespace": "limited"}}
    said = kubectl("apply -f -", stdin=json.dumps(body | {"spec": claim}), code=1)
    assert "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 5Gi" in said


def test_a_claim_waits_for_its_first_pod(kubectl: Kubectl) -> None:
    kubectl(f"wait pvc/late --for jsonpath={{.status.phase}}=Pending --timeout {LONG:.0f}s")
    kubectl.until(
        "events --for pvc/late", r"WaitForFirstConsumer .*waiting for first consumer to be created before binding"
    )
    spec = {
        "containers": [{"name": "main", "image": "lab/busybox:1", "command": ["sh", "-c", "echo kept > /data/file; sleep 600"],
                        "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "late"}}],
        "terminationGracePeriodSeconds": 1,
    }  # fmt: skip
    kubectl(
        "apply -f -",
        stdin=json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "holder"}, "spec": spec}),
    )
    kubectl(f"wait pod/holder --for condition=Ready --timeout {LONG:.0f}s")
    assert "ProvisioningSucceeded" in events(kubectl, "pvc/late")
    kubectl("delete pvc late --wait=false")
    assert re.search(r"late +Terminating ", kubectl("get pvc late"))  # pvc-protection, while a pod uses it
    kubectl("delete pod holder --now")
    kubectl(f"wait pvc/late --for delete --timeout {LONG:.0f}s")


@pytest.mark.skipif("config.getoption('kubeconfig')", reason="its classes name the simulator's provisioner")
def test_claims_grow_where_their_class_lets_them(kubectl: Kubectl) -> None:
    larger = """-p '{"spec": {"resources": {"requests": {"storage": "2Gi"}}}}'"""
    for name in ("kept", "grows"):
        kubectl(f"wait pvc/{name} --for jsonpath={{.status.phase}}=Bound --timeout {LONG:.0f}s")
    refused = kubectl(f"patch pvc kept {larger}", code=1)
    assert (
        "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support"
        in refused
    )
    kubectl(f"patch pvc grows {larger}")
    kubectl(f"wait pvc/grows --for jsonpath={{.status.capacity.storage}}=2Gi --timeout {LONG:.0f}s")
    volume = read(kubectl, "pvc kept")["spec"]["volumeName"]
    kubectl("delete pvc kept")
    kubectl(
        f"wait pv/{volume} --for jsonpath={{.status.phase}}=Released --timeout {LONG:.0f}s"
    )  # reclaim policy Retain
    kubectl(f"delete pv {volume}")


def test_a_full_empty_dir_and_a_full_container_are_evicted(kubectl: Kubectl) -> None:
    for name, message in (
        ("full", 'Usage of EmptyDir volume "cache" exceeds the limit "1Mi". '),
        ("fat", "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. "),
    ):
        pod = wait(kubectl, f"pod/{name}", "jsonpath={.status.phase}=Failed")
        assert (pod["status"]["reason"], pod["status"]["message"]) == ("Evicted", message)
        assert re.search(r"Status: +Failed\nReason: +Evicted\n", kubectl(f"describe pod {name}"))
        assert f"Warning Evicted Pod/{name} {message.strip()}" in events(kubectl, f"pod/{name}")


# Pods


def test_the_downward_api(kubectl: Kubectl) -> None:
    pod = wait(kubectl, "pod/downward", "condition=Ready")
    said = kubectl("logs downward").splitlines()
    status, metadata = pod["status"], pod["metadata"]
    assert [line for line in said if line.startswith("D_")] == [
        "D_CPU=500",
        "D_CPUS=1",
        f"D_IP={status['podIP']}",
        "D_LABEL=b",
        "D_MEM=64",
        "D_NAME=downward",
        f"D_NODE={pod['spec']['nodeName']}",
        "D_SA=default",
        f"D_UID={metadata['uid']}",
    ]
    kubectl("label pod downward a=changed --overwrite")
    kubectl.until("exec downward -- cat /down/labels", r'a="changed"')


def test_a_projected_token_is_the_pods_own(kubectl: Kubectl) -> None:
    pod = wait(kubectl, "pod/downward", "condition=Ready")
    token = kubectl("exec downward -- cat /token/here").strip()
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": ["vault"]},
    }
    status = json.loads(kubectl("create -o json -f -", stdin=json.dumps(review)))["status"]
    assert (status["authenticated"], status["audiences"]) == (True, ["vault"])
    assert status["user"]["username"] == "system:serviceaccount:works:default"
    assert status["user"]["extra"]["authentication.kubernetes.io/pod-uid"] == [pod["metadata"]["uid"]]


def test_failing_init_containers_hold_a_pod_up(kubectl: Kubectl) -> None:
    kubectl.until("get pod initbad", r"initbad +0/1 +(Init:Error|Init:CrashLoopBackOff) +\d")
    pod = read(kubectl, "pod initbad")
    assert pod["status"]["phase"] == "Pending"
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"


def test_hooks(kubectl: Kubectl) -> None:
    kubectl.until("events --for pod/badhook", r"Warning +FailedPostStartHook .*PostStartHook failed")
    kubectl.until("get pod badhook", r"badhook +0/1 +(PostStartHookError|CrashLoopBackOff|Error|Completed|Running) ")
    kubectl(f"wait pod/goodhook --for condition=Ready --timeout {LONG:.0f}s")
    assert kubectl("exec goodhook -- cat /tmp/started").strip() == "started"
    kubectl("delete pod goodhook")
    kubectl(f"wait pod/goodhook --for delete --timeout {LONG:.0f}s")


def test_probes(kubectl: Kubectl) -> None:
    for expected in (
        r"Unhealthy .*Readiness probe failed: HTTP probe failed with statuscode: 404",
        r"Unhealthy .*Liveness probe failed: sick",
        r"Unhealthy .*Startup probe failed: dial tcp \S+:9999: connect: connection refused",
        r"Killing .*Container exec failed liveness probe, will be restarted",
        r"Killing .*Container tcp failed startup probe, will be restarted",
    ):
        kubectl.until("events --for pod/probed", expected, seconds=LONG)
    by_name = {one["name"]: one for one in read(kubectl, "pod probed")["status"]["containerStatuses"]}
    assert by_name["http"]["restartCount"] == 0
    assert not by_name["http"]["ready"]


def test_sigterm_then_sigkill(kubectl: Kubectl) -> None:
    """One that ignores SIGTERM is killed after its three seconds; one that obeys ends by itself, at once."""
    for name in ("stubborn", "obedient"):
        kubectl.until(f"logs {name}", "up")
    before = read(kubectl, "pod stubborn")["metadata"]
    kubectl("delete pod stubborn --wait=false")
    doomed = read(kubectl, "pod stubborn")
    assert doomed["metadata"]["deletionGracePeriodSeconds"] == 3
    assert re.search(r"stubborn +1/1 +Terminating ", kubectl("get pod stubborn"))
    kubectl(f"wait pod/stubborn --for delete --timeout {LONG:.0f}s")
    with_log = kubectl.start("logs -f obedient")
    kubectl("delete pod obedient")
    assert "bye" in with_log.communicate(timeout=LONG)[0]
    assert "Normal Killing Pod/stubborn Stopping container main" in events(kubectl, "pod/stubborn")
    assert before["uid"] == doomed["metadata"]["uid"]


def test_too_much_memory(kubectl: Kubectl) -> None:
    pod = wait(kubectl, "pod/oom", "jsonpath={.status.phase}=Failed")
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)
    assert re.search(r"oom +0/1 +OOMKilled ", kubectl("get pod oom"))


def test_crash_loops_back_off(kubectl: Kubectl) -> None:
    kubectl.until("get pod crashing", r"crashing +0/1 +CrashLoopBackOff +\d", seconds=LONG)
    waiting = read(kubectl, "pod crashing")["status"]["containerStatuses"][0]["state"].get("waiting", {})
    if waiting:
        assert re.match(r"back-off \d+m?\d*s restarting failed container=main pod=crashing_works\(", waiting["message"])


def test_fifty_pods_go_at_once(kubectl: Kubectl) -> None:
    """Nothing stays Terminating, whatever the node is doing."""
    kubectl("create deployment many --image lab/pause:1 --replicas 50")
    kubectl("""patch deployment many -p '{"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 1}}}}'""")
    kubectl(f"rollout status deployment/many --timeout {2 * LONG:.0f}s")
    kubectl("delete deployment many --cascade=foreground --wait=false")
    kubectl(f"wait pod -l app=many --for delete --timeout {LONG:.0f}s")
    kubectl(f"wait deployment/many --for delete --timeout {LONG:.0f}s")


# Owners


@pytest.mark.parametrize("policy", ["background", "foreground", "orphan"])
def test_deletion_policies(kubectl: Kubectl, policy: str) -> None:
    kubectl(f"create deployment by-{policy} --image lab/pause:1")
    kubectl(f"rollout status deployment/by-{policy} --timeout {LONG:.0f}s")
    (owned,) = read(kubectl, f"rs -l app=by-{policy}")["items"]
    assert owned["metadata"]["ownerReferences"][0] | {"uid": ""} == {
        "apiVersion": "apps/v1", "kind": "Deployment", "name": f"by-{policy}", "uid": "", "controller": True, "blockOwnerDeletion": True,
    }  # fmt: skip
    name = owned["metadata"]["name"]
    hold, release = (
        f"patch rs {name} --type merge -p '{_finalizers(value)}'" for value in (["lab.example.com/held"], None)
    )
    kubectl(hold)
    kubectl(f"delete deployment by-{policy} --cascade={policy} --wait=false")
    if policy == "foreground":  # the owner stays until what it owns is gone
        held = read(kubectl, f"deployment by-{policy}")
        assert held["metadata"]["finalizers"] == ["foregroundDeletion"]
    else:
        kubectl(f"wait deployment/by-{policy} --for delete --timeout {LONG:.0f}s")
    if policy == "orphan":
        kubectl.until(f"get rs {name} -o jsonpath={{.metadata.ownerReferences}}", r"\A\Z")
        kubectl(release)
        kubectl(f"delete rs {name}")
    else:
        kubectl(release)
        kubectl(f"wait rs/{name} --for delete --timeout {LONG:.0f}s")
    kubectl(f"wait deployment,pod -l app=by-{policy} --for delete --timeout {LONG:.0f}s")


def _finalizers(value: list[str] | None) -> str:
    return json.dumps({"metadata": {"finalizers": value}})


# The node


def test_the_node_is_alive(kubectl: Kubectl) -> None:
    node = read(kubectl, "nodes")["items"][0]
    shown = {one["type"]: (one["status"], one["reason"]) for one in node["status"]["conditions"]}
    assert shown == {
        "MemoryPressure": ("False", "KubeletHasSufficientMemory"),
        "DiskPressure": ("False", "KubeletHasNoDiskPressure"),
        "PIDPressure": ("False", "KubeletHasSufficientPID"),
        "Ready": ("True", "KubeletReady"),
    }
    lease = f"lease {node['metadata']['name']} -n kube-node-lease -o jsonpath={{.spec.renewTime}}"
    before = kubectl(f"get {lease}")
    kubectl.until(f"get {lease}", rf"^(?!{re.escape(before)}).", seconds=LONG)
