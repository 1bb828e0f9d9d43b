"""What a Notebook stands for, and what its status says."""

from __future__ import annotations

from typing import Any

from kubeflow_lite.notebooks.desired import complaint, desired
from kubeflow_lite.notebooks.status import change, mirrored, refused
from kubeflow_lite.objects import Object


def notebook(
    name: str = "lab", container: Object | None = None, annotations: dict[str, str] | None = None, **spec: Any
) -> Object:
    containers = [{"name": name, "image": "jupyter:1", **(container or {})}]
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "Notebook",
        "metadata": {
            "name": name,
            "namespace": "kubeflow-user01",
            "uid": "u",
            "labels": {"access-mlflow": "true"},
            "annotations": annotations or {},
        },
        "spec": {"template": {"spec": {"containers": containers, **spec}}},
    }


def test_the_pod_is_labelled_so_that_poddefaults_reach_it() -> None:
    _, stateful_set = desired(notebook())
    template = stateful_set["spec"]["template"]
    assert template["metadata"]["labels"] == {"access-mlflow": "true", "statefulset": "lab", "notebook-name": "lab"}
    assert stateful_set["spec"]["selector"]["matchLabels"] == {"statefulset": "lab"}


def test_what_the_first_container_gets() -> None:
    (container,) = desired(notebook())[1]["spec"]["template"]["spec"]["containers"]
    assert container["workingDir"] == "/home/jovyan"
    assert container["ports"] == [{"name": "notebook-port", "containerPort": 8888, "protocol": "TCP"}]
    assert container["env"] == [{"name": "NB_PREFIX", "value": "/notebook/kubeflow-user01/lab"}]


def test_what_the_notebook_says_itself_stays() -> None:
    own = {"workingDir": "/work", "ports": [{"containerPort": 8080}], "env": [{"name": "A", "value": "1"}]}
    service, stateful_set = desired(
        notebook(container=own, serviceAccountName="mine", securityContext={"runAsUser": 10001})
    )
    spec = stateful_set["spec"]["template"]["spec"]
    assert (spec["serviceAccountName"], spec["securityContext"]) == ("mine", {"runAsUser": 10001})
    assert spec["containers"][0]["workingDir"] == "/work"
    assert spec["containers"][0]["env"][0] == {"name": "A", "value": "1"}
    assert service["spec"]["ports"] == [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]


def test_the_service_leads_to_the_pod() -> None:
    service, stateful_set = desired(notebook())
    assert service["spec"]["selector"] == {"statefulset": "lab"}
    assert service["spec"]["ports"][0]["targetPort"] == 8888
    assert stateful_set["spec"]["serviceName"] == "lab"
    assert service["metadata"]["ownerReferences"][0]["kind"] == "Notebook"


def test_a_stopped_notebook_has_no_pod() -> None:
    stopped = notebook(annotations={"kubeflow-resource-stopped": "2026-11-22T00:00:00Z"})
    assert desired(stopped)[1]["spec"]["replicas"] == 0
    assert desired(notebook())[1]["spec"]["replicas"] == 1


def test_a_name_too_long_for_labels_is_told() -> None:
    assert complaint(notebook("n" * 52)) == ""
    assert "longer than 52 characters" in complaint(notebook("n" * 53))


def test_status_mirrors_the_pod() -> None:
    pod = {
        "status": {
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True",
                    "lastTransitionTime": "2026-11-22T00:00:00Z",
                    "observedGeneration": 1,
                }
            ],
            "containerStatuses": [
                {"name": "sidecar", "state": {"waiting": {}}},
                {"name": "lab", "state": {"running": {"startedAt": "x"}}},
            ],
        }
    }
    status = mirrored(notebook(), {"status": {"readyReplicas": 1}}, pod)
    assert status["readyReplicas"] == 1
    assert status["containerState"] == {"running": {"startedAt": "x"}}
    assert status["conditions"] == [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-22T00:00:00Z"}]
    assert change({**notebook(), "status": status}, status) is None


def test_a_state_that_is_over_is_taken_away() -> None:
    old = {
        **notebook(),
        "status": {"readyReplicas": 0, "containerState": {"waiting": {"reason": "x"}}, "conditions": []},
    }
    patch = change(old, {"readyReplicas": 1, "containerState": {"running": {}}, "conditions": []})
    assert patch is not None
    assert patch["status"]["containerState"] == {"waiting": None, "running": {}}


def test_a_refusal_is_told_once() -> None:
    first = refused(notebook(), "Forbidden", "exceeded quota", at="t1")
    again = refused({**notebook(), "status": first}, "Forbidden", "exceeded quota", at="t2")
    assert again == first
    assert mirrored(notebook(), None, None) == {"readyReplicas": 0, "containerState": {}, "conditions": []}
