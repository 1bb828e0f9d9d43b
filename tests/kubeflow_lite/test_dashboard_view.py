"""From API objects to the dashboard's rows."""

from __future__ import annotations

from typing import Any

from kubeflow_lite.dashboard import view
from kubeflow_lite.objects import Object
from tests.kubeflow_lite.making import profile


def obj(
    name: str, namespace: str = "", *, spec: Object | None = None, status: Object | None = None, **more: Any
) -> Object:
    meta = {"name": name, "namespace": namespace, "creationTimestamp": "2026-11-22T11:00:00Z"}
    return {"metadata": meta, "spec": spec or {}, "status": status or {}, **more}


def ready_profile(num: str) -> Object:
    made = profile(f"profile-user{num}", f"user{num}@mlops.local")
    made["metadata"]["labels"] = {"mlops-lab/user": num}
    status = {"namespace": f"kubeflow-user{num}", "conditions": [{"type": "Ready", "status": "True"}]}
    return {**made, "status": status}


def use(**found: list[Object]) -> view.Use:
    (person,) = view.people([ready_profile("01")])
    empty: dict[str, list[Object]] = {"pods": [], "quotas": [], "deployments": [], "notebooks": []}
    return view.use(person, **{**empty, **found})


def test_people_are_told_in_the_order_of_their_numbers() -> None:
    stranger = profile("somebody")
    first, second, third = view.people([stranger, ready_profile("02"), ready_profile("01")])
    assert (first.num, first.namespace, first.owner, first.ready) == (
        "01",
        "kubeflow-user01",
        "user01@mlops.local",
        True,
    )
    assert second.num == "02"
    assert (third.num, third.namespace, third.ready) == ("", "somebody", False)


def test_a_profile_that_failed_says_why() -> None:
    status = {"conditions": [{"type": "Ready", "status": "False", "message": "not yours"}]}
    (person,) = view.people([{**profile(), "status": status}])
    assert (person.ready, person.message) == (False, "not yours")


def test_what_a_tenant_uses() -> None:
    quota = {"hard": {"cpu": "8", "memory": "16Gi"}, "used": {"cpu": "2", "memory": "4Gi"}}
    seen = use(
        pods=[obj(str(at), status={"phase": phase}) for at, phase in enumerate(("Running", "Pending", "Succeeded"))],
        quotas=[obj("kf-resource-quota", status=quota)],
        deployments=[obj("mlflow-server", spec={"replicas": 1}, status={"readyReplicas": 1})],
        notebooks=[obj("lab")],
    )
    assert seen.pods == view.Pods(running=1, waiting=1, failed=0)
    assert (seen.mlflow_ready, seen.mlflow, seen.notebooks) == (True, "ready", 1)
    assert seen.cpu == view.Quota("cpu", 0.25, "2", "8")
    assert seen.memory == view.Quota("memory", 0.25, "4 Gi", "16 Gi")


def test_nothing_there_is_told_too() -> None:
    seen = use()
    assert (seen.mlflow_ready, seen.mlflow, seen.cpu, seen.notebooks) == (False, "absent", None, 0)
    stopped = use(deployments=[obj("mlflow-server", spec={"replicas": 0})])
    assert (stopped.mlflow_ready, stopped.mlflow) == (False, "0/0")


def test_the_tightest_quota_is_shown() -> None:
    quotas = [
        obj("kf-resource-quota", status={"hard": {"cpu": "8"}, "used": {"cpu": "1"}}),
        obj("tight", status={"hard": {"requests.cpu": "2"}, "used": {"requests.cpu": "1500m"}}),
    ]
    assert use(quotas=quotas).cpu == view.Quota("cpu", 0.75, "1.5", "2")


def pod(phase: str, *, ready: str = "True", waiting: str = "", **meta: str) -> view.Pod:
    state = {"waiting": {"reason": waiting}} if waiting else {}
    status = {
        "phase": phase,
        "conditions": [{"type": "Ready", "status": ready}],
        "containerStatuses": [{"restartCount": 2, "state": state}],
    }
    found = obj("p", "x", status=status)
    found["metadata"].update(meta)
    return view.pods([found])[0]


def test_a_pod_says_what_keeps_it() -> None:
    assert (pod("Running").good, pod("Running").state, pod("Running").restarts) == (True, "Running", 2)
    broken = pod("Pending", ready="False", waiting="ImagePullBackOff")
    assert (broken.good, broken.state) == (False, "ImagePullBackOff")
    assert pod("Running", ready="False").state == "running_not_ready"
    assert pod("Running", ready="False", deletionTimestamp="2026-11-22T12:00:00Z").state == "Terminating"


def test_a_pod_that_fits_nowhere_says_why() -> None:
    scheduled = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}
    (row,) = view.pods([obj("p", "x", status={"phase": "Pending", "conditions": [scheduled]})])
    assert (row.good, row.state) == (False, "Pending: 0/1 nodes are available")


def test_notebooks() -> None:
    stopped = obj("off", "x", status={"readyReplicas": 0})
    stopped["metadata"]["annotations"] = {"kubeflow-resource-stopped": "now"}
    waiting = obj("wait", "x", status={"containerState": {"waiting": {"reason": "ErrImagePull"}}})
    ready = obj("lab", "x", status={"readyReplicas": 1})
    rows = {one.name: one for one in view.notebooks([stopped, waiting, ready])}
    assert (rows["lab"].ready, rows["lab"].path) == (True, "/notebook/x/lab/lab")
    assert (rows["off"].state, rows["wait"].state) == ("stopped", "ErrImagePull")


def test_nodes_with_and_without_measurements() -> None:
    node = obj(
        "sim",
        status={
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {"kubeletVersion": "v1.36.2"},
            "allocatable": {"cpu": "2", "memory": "8388608Ki"},
        },
    )
    pods = [obj("a", "x", spec={"nodeName": "sim"}), obj("b", "x")]
    (row,) = view.nodes([node], pods, {})
    assert (row.name, row.ready, row.version, row.capacity, row.pods) == ("sim", True, "v1.36.2", "2 CPU, 8 Gi", 1)
    (measured,) = view.nodes([node], pods, {"sim": {"cpu": "500m", "memory": "2Gi"}})
    assert measured.cpu == view.Quota("cpu", 0.25, "0.5", "2")


def test_events_newest_first_whichever_field_has_the_time() -> None:
    old = obj("a", "x", type="Warning", reason="Failed", message="m", count=3, lastTimestamp="2026-11-22T11:59:00Z")
    new = obj("b", "x", reason="Pulled", eventTime="2026-11-22T11:59:55.123456Z", lastTimestamp=None)
    first, second = view.events([old, new])
    assert (first.reason, first.normal) == ("Pulled", True)
    assert (second.count, second.normal, second.type) == (3, False, "Warning")
