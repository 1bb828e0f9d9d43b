"""Server-side printing: durations, the status of pods, and rows as a real cluster printed them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kubesim import tables
from kubesim.builtin import resources
from kubesim.resources import Object, Registry, Resource
from kubesim.schema import Model, Schemas
from kubesim.tables import jsonpath
from kubesim.tables.column import duration

SCHEMAS, REGISTRY = Schemas(), Registry(resources())
NOW = datetime(2026, 11, 22, 2, 30, tzinfo=UTC)
BORN = "2026-11-22T02:29:30Z"


def model(key: str) -> Model:
    return SCHEMAS.of(REGISTRY[key])


def cells(key: str, obj: Object) -> list[Any]:
    metadata = {"name": "x", "namespace": "n", "creationTimestamp": BORN} | obj.get("metadata", {})
    row = tables.cells(model(key), obj | {"metadata": metadata}, NOW)
    assert len(row) == len(tables.columns(model(key)))
    return row


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0.9, "0s"),
        (119, "119s"),
        (120, "2m"),
        (121, "2m1s"),
        (599, "9m59s"),
        (600, "10m"),
        (10799, "179m"),
        (10800, "3h"),
        (28799, "7h59m"),
        (28800, "8h"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (49 * 3600, "2d1h"),
        (8 * 86400, "8d"),
        (729 * 86400, "729d"),
        (731 * 86400, "2y1d"),
        (9 * 365 * 86400, "9y"),
    ],
)
def test_durations_print_as_kubectl_prints_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def pod(*statuses: Object, spec: Object | None = None, metadata: Object | None = None, **status: Any) -> Object:
    containers = [{"name": f"c{at}"} for at in range(len(statuses) or 1)]
    named = [{"name": f"c{at}", **each} for at, each in enumerate(statuses)]
    return {
        "metadata": metadata or {},
        "spec": {"containers": containers, **(spec or {})},
        "status": {"containerStatuses": named, **status},
    }


RUNNING = {"ready": True, "state": {"running": {}}}
INIT = {"initContainers": [{"name": "a"}, {"name": "b"}]}
SIDECAR = {"initContainers": [{"name": "s", "restartPolicy": "Always"}]}


@pytest.mark.parametrize(
    ("obj", "shown"),
    [
        (pod(phase="Pending"), ["0/1", "Pending", "0"]),
        (pod(RUNNING, phase="Running"), ["1/1", "Running", "0"]),
        (
            pod({"state": {"waiting": {"reason": "ContainerCreating"}}}, phase="Pending"),
            ["0/1", "ContainerCreating", "0"],
        ),
        (
            pod(
                {
                    "restartCount": 3,
                    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                    "lastState": {"terminated": {"finishedAt": "2026-11-22T02:29:00Z"}},
                },
                phase="Running",
            ),
            ["0/1", "CrashLoopBackOff", "3 (60s ago)"],
        ),
        (
            pod({"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}, phase="Succeeded"),
            ["0/1", "Completed", "0"],
        ),
        (pod({"state": {"terminated": {"exitCode": 3}}}, phase="Failed"), ["0/1", "ExitCode:3", "0"]),
        (pod({"state": {"terminated": {"exitCode": 137, "signal": 9}}}, phase="Failed"), ["0/1", "Signal:9", "0"]),
        (
            pod({"state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}, phase="Failed"),
            ["0/1", "OOMKilled", "0"],
        ),
        (pod(RUNNING, phase="Running", metadata={"deletionTimestamp": BORN}), ["1/1", "Terminating", "0"]),
        (pod(phase="Failed", reason="Evicted"), ["0/1", "Evicted", "0"]),
        (
            pod(phase="Pending", conditions=[{"type": "PodScheduled", "reason": "SchedulingGated"}]),
            ["0/1", "SchedulingGated", "0"],
        ),
        (
            pod({}, spec=INIT, phase="Pending", initContainerStatuses=[{"name": "a", "state": {"running": {}}}]),
            ["0/1", "Init:0/2", "0"],
        ),
        (
            pod(
                {},
                spec=INIT,
                phase="Pending",
                initContainerStatuses=[{"name": "a", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}],
            ),
            ["0/1", "Init:Error", "0"],
        ),
        (
            pod(
                {},
                spec=INIT,
                phase="Pending",
                initContainerStatuses=[{"name": "a", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}],
            ),
            ["0/1", "Init:CrashLoopBackOff", "0"],
        ),
        (
            pod(
                RUNNING,
                spec=SIDECAR,
                phase="Running",
                initContainerStatuses=[{"name": "s", "started": True, **RUNNING}],
            ),
            ["2/2", "Running", "0"],
        ),
        (
            pod({"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}, RUNNING, phase="Running"),
            ["1/2", "NotReady", "0"],
        ),
    ],
)
def test_the_status_of_a_pod(obj: Object, shown: list[str]) -> None:
    assert cells("v1/pods", obj)[1:4] == shown


TEMPLATE = {"template": {"spec": {"containers": [{"name": "main", "image": "lab/busybox:2"}]}}}
NODE_PORT = {"port": 80, "nodePort": 30080, "protocol": "TCP"}
SUBJECTS = [{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s", "namespace": "n"}]
SELECTOR = {"selector": {"matchLabels": {"app": "web"}}}


@pytest.mark.parametrize(
    ("key", "obj", "row"),
    [
        (
            "apps/v1/deployments",
            {
                "spec": {"replicas": 2, **SELECTOR, **TEMPLATE},
                "status": {"readyReplicas": 2, "updatedReplicas": 2, "availableReplicas": 2},
            },
            ["x", "2/2", 2, 2, "30s", "main", "lab/busybox:2", "app=web"],
        ),
        (
            "batch/v1/jobs",
            {
                "spec": {"completions": 1, **TEMPLATE},
                "status": {
                    "succeeded": 1,
                    "startTime": "2026-11-22T02:00:00Z",
                    "completionTime": "2026-11-22T02:00:03Z",
                    "conditions": [{"type": "Complete", "status": "True"}],
                },
            },
            ["x", "Complete", "1/1", "3s", "30s", "main", "lab/busybox:2", "<none>"],
        ),
        (
            "v1/services",
            {
                "spec": {
                    "type": "NodePort",
                    "clusterIP": "10.0.0.1",
                    "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}],
                    "selector": {"app": "web"},
                }
            },
            ["x", "NodePort", "10.0.0.1", "<none>", "80:30080/TCP", "30s", "app=web"],
        ),
        (
            "v1/services",
            {"spec": {"type": "LoadBalancer"}},
            ["x", "LoadBalancer", "<none>", "<pending>", "<none>", "30s", "<none>"],
        ),
        (
            "autoscaling/v2/horizontalpodautoscalers",
            {
                "spec": {
                    "scaleTargetRef": {"kind": "Deployment", "name": "web"},
                    "minReplicas": 2,
                    "maxReplicas": 4,
                    "metrics": [
                        {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 70}}}
                    ],
                }
            },
            ["x", "Deployment/web", "cpu: <unknown>/70%", "2", 4, 0, "30s"],
        ),
        (
            "v1/persistentvolumeclaims",
            {
                "spec": {"volumeName": "g-pv", "storageClassName": "manual", "volumeMode": "Filesystem"},
                "status": {"phase": "Bound", "capacity": {"storage": "5Gi"}, "accessModes": ["ReadWriteMany"]},
            },
            ["x", "Bound", "g-pv", "5Gi", "RWX", "manual", "<unset>", "30s", "Filesystem"],
        ),
        (
            "v1/endpoints",
            {"subsets": [{"addresses": [{"ip": f"10.0.0.{n}"} for n in range(4)], "ports": [{"port": 80}]}]},
            ["x", "10.0.0.0:80,10.0.0.1:80,10.0.0.2:80 + 1 more...", "30s"],
        ),
        (
            "v1/resourcequotas",
            {"status": {"hard": {"cpu": "2", "limits.cpu": "4"}, "used": {"cpu": "500m"}}},
            ["x", "cpu: 500m/2", "limits.cpu: 0/4", "30s"],
        ),
        ("v1/limitranges", {}, ["x", BORN]),
        ("rbac.authorization.k8s.io/v1/roles", {}, ["x", BORN]),
        (
            "rbac.authorization.k8s.io/v1/rolebindings",
            {
                "roleRef": {"kind": "Role", "name": "r"},
                "subjects": SUBJECTS,
            },
            ["x", "Role/r", "30s", "u", "", "n/s"],
        ),
        (
            "v1/events",
            {
                "involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "spec.containers{main}"},
                "type": "Normal",
                "reason": "Pulled",
                "message": "pulled ",
                "source": {"component": "kubelet", "host": "lab-node"},
                "firstTimestamp": BORN,
                "lastTimestamp": BORN,
                "count": 2,
            },
            ["30s", "Normal", "Pulled", "pod/p", "spec.containers{main}", "kubelet, lab-node", "pulled", "30s", 2, "x"],
        ),
        (
            "v1/nodes",
            {
                "metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}},
                "spec": {"unschedulable": True},
                "status": {
                    "conditions": [{"type": "Ready", "status": "True"}],
                    "nodeInfo": {
                        "kubeletVersion": "v1.36.2",
                        "osImage": "Linux",
                        "kernelVersion": "6",
                        "containerRuntimeVersion": "k://1",
                    },
                    "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                },
            },
            [
                "x",
                "Ready,SchedulingDisabled",
                "control-plane",
                "30s",
                "v1.36.2",
                "127.0.0.1",
                "<none>",
                "Linux",
                "6",
                "k://1",
            ],
        ),
    ],
)
def test_rows_read_as_on_a_real_cluster(key: str, obj: Object, row: list[Any]) -> None:
    assert cells(key, obj) == row


@pytest.mark.parametrize("resource", resources(), ids=lambda each: each.key)
def test_every_kind_prints_the_least_object(resource: Resource) -> None:
    kind = SCHEMAS.of(resource)
    columns = tables.columns(kind)
    obj = {"metadata": {"name": "x", "creationTimestamp": BORN}, "spec": {}, "status": {}}
    row = tables.cells(kind, obj, NOW)
    assert len(row) == len(columns)
    assert "x" in row
    assert all(set(column) == {"name", "type", "format", "description", "priority"} for column in columns)
    assert all(column["description"] for column in columns if column["name"] not in ("Secrets",)), columns


def test_pods_have_kubernetes_columns() -> None:
    columns = tables.columns(model("v1/pods"))
    assert [(each["name"], each["priority"]) for each in columns] == [
        ("Name", 0),
        ("Ready", 0),
        ("Status", 0),
        ("Restarts", 0),
        ("Age", 0),
        ("IP", 1),
        ("Node", 1),
        ("Nominated Node", 1),
        ("Readiness Gates", 1),
    ]
    assert columns[0]["format"] == "name"
    assert columns[0]["description"].startswith("Name must be unique within a namespace.")


def custom(*columns: Object) -> Model:
    resource = Resource("kubeflow.org", "v1", "profiles", "Profile", custom=True)
    schema = {"openAPIV3Schema": {"type": "object"}}
    version = {"name": "v1", "schema": schema} | ({"additionalPrinterColumns": list(columns)} if columns else {})
    schemas = Schemas()
    schemas.add(resource, {"spec": {"versions": [version]}})
    return schemas.of(resource)


def test_custom_kinds_print_the_columns_they_ask_for() -> None:
    kind = custom(
        {"name": "Owner", "type": "string", "jsonPath": ".spec.owner.name"},
        {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status', "priority": 1},
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
        {"name": "Since", "type": "date", "jsonPath": ".status.since"},
        {"name": "None", "type": "string", "jsonPath": ".spec.none"},
    )
    obj = {
        "metadata": {"name": "p"},
        "spec": {"owner": {"name": "me"}, "size": 3},
        "status": {
            "conditions": [{"type": "Other", "status": "False"}, {"type": "Ready", "status": "True"}],
            "since": BORN,
        },
    }
    assert tables.cells(kind, obj, NOW) == ["p", "me", "True", 3, "30s", None]
    described = tables.columns(kind)[1]
    assert described == {
        "name": "Owner",
        "type": "string",
        "format": "",
        "description": "Custom resource definition column (in JSONPath format): .spec.owner.name",
        "priority": 0,
    }
    assert tables.columns(kind)[2]["priority"] == 1


def test_a_custom_kind_without_columns_prints_its_age() -> None:
    kind = custom()
    assert [each["name"] for each in tables.columns(kind)] == ["Name", "Age"]
    assert tables.cells(kind, {"metadata": {"name": "p", "creationTimestamp": BORN}}, NOW) == ["p", "30s"]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".a.b", [1]),
        (".list[0]", ["x"]),
        (".list[-1]", ["z"]),
        (".list[0:2]", ["x", "y"]),
        (".list[*]", ["x", "y", "z"]),
        (".items[?(@.n>1)].v", ["two"]),
        (".items[?(@.v)].n", [1, 2]),
        (r".labels.app\.io/name", ["dotted"]),
        (".labels['app.io/name']", ["dotted"]),
        (".nope.deep", []),
    ],
)
def test_paths(path: str, found: list[Any]) -> None:
    obj = {
        "a": {"b": 1},
        "list": ["x", "y", "z"],
        "items": [{"n": 1, "v": "one"}, {"n": 2, "v": "two"}],
        "labels": {"app.io/name": "dotted"},
    }
    assert jsonpath.find(path, obj) == found


def test_a_path_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(jsonpath.PathError):
        jsonpath.find("{.a}", {})


def test_a_scale_has_a_table_of_its_own() -> None:
    obj = {"metadata": {"name": "web", "creationTimestamp": BORN}, "spec": {"replicas": 3}, "status": {"replicas": 2}}
    names = [column["name"] for column in tables.scale_columns()]
    assert dict(zip(names, tables.scale_cells(obj, NOW), strict=True)) == {
        "Name": "web",
        "Desired": 3,
        "Available": 2,
        "Age": "30s",
    }
