"""From API objects to the dashboard's rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from kubeflow_lite.dashboard.view import Cluster, View, view
from kubeflow_lite.objects import Object
from kubeflow_lite.web import pages
from tests.kubeflow_lite.making import profile

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


def obj(
    name: str, namespace: str = "", *, spec: Object | None = None, status: Object | None = None, **more: Any
) -> Object:
    meta = {"name": name, "namespace": namespace, "creationTimestamp": "2026-11-22T11:00:00Z"}
    return {"metadata": meta, "spec": spec or {}, "status": status or {}, **more}


def ready_profile(num: str) -> Object:
    status = {"namespace": f"kubeflow-user{num}", "conditions": [{"type": "Ready", "status": "True"}]}
    return {**profile(f"profile-user{num}", f"user{num}@mlops.local"), "status": status}


def seen(**lists: list[Object]) -> View:
    return view(Cluster(**lists), at=NOW)


def tiles(shown: View) -> dict[str, tuple[str, bool]]:
    return {tile.label: (tile.value, tile.good) for tile in shown.tiles}


def test_a_tenant_with_everything() -> None:
    quota = {"hard": {"cpu": "8", "memory": "16Gi"}, "used": {"cpu": "2", "memory": "4Gi"}}
    shown = seen(
        profiles=[ready_profile("02"), ready_profile("01")],
        pods=[
            obj("a", "kubeflow-user01", status={"phase": "Running"}),
            obj("b", "kubeflow-user01", status={"phase": "Succeeded"}),
            obj("c", "kubeflow-user02", status={"phase": "Pending"}),
        ],
        quotas=[obj("kf-resource-quota", "kubeflow-user01", status=quota)],
        deployments=[obj("mlflow-server", "kubeflow-user01", spec={"replicas": 1}, status={"readyReplicas": 1})],
        notebooks=[obj("lab", "kubeflow-user01")],
    )
    first, second = shown.tenants
    assert (first.profile, first.namespace, first.owner) == ("profile-user01", "kubeflow-user01", "user01@mlops.local")
    assert (first.ready, first.state, first.mlflow_ready, first.mlflow) == (True, "ready", True, "1/1")
    assert first.pods == "1 running, 1 succeeded"
    assert first.cpu is not None
    assert (first.cpu.share, first.cpu.text) == (0.25, "2 of 8")
    assert first.memory is not None
    assert first.memory.text == "4 Gi of 16 Gi"
    assert first.notebooks == 1
    assert (second.cpu, second.mlflow, second.mlflow_ready) == (None, "absent", False)
    assert tiles(shown)["Tenants ready"] == ("2 / 2", True)
    assert tiles(shown)["MLflow ready"] == ("1 / 2", False)
    assert tiles(shown)["Pods running"] == ("1 / 2", False)


def test_the_tightest_quota_is_shown() -> None:
    quotas = [
        obj("kf-resource-quota", "kubeflow-user01", status={"hard": {"cpu": "8"}, "used": {"cpu": "1"}}),
        obj("tight", "kubeflow-user01", status={"hard": {"requests.cpu": "2"}, "used": {"requests.cpu": "1500m"}}),
    ]
    (tenant,) = seen(profiles=[ready_profile("01")], quotas=quotas).tenants
    assert tenant.cpu is not None
    assert tenant.cpu.text == "1.5 of 2"


def test_a_profile_that_failed_says_why() -> None:
    broken = {**profile(), "status": {"conditions": [{"type": "Ready", "status": "False", "message": "not yours"}]}}
    assert seen(profiles=[broken]).tenants[0].state == "not yours"
    assert seen(profiles=[profile()]).tenants[0].state == "not looked at yet"


def test_nodes() -> None:
    node = obj(
        "sim",
        status={
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {"kubeletVersion": "v1.36.2"},
            "allocatable": {"cpu": "2", "memory": "8388608Ki"},
        },
    )
    (row,) = seen(nodes=[node], pods=[obj("a", "x", spec={"nodeName": "sim"}), obj("b", "x")]).nodes
    assert (row.name, row.state, row.version, row.cpu, row.memory, row.pods, row.age) == (
        "sim",
        "ready",
        "v1.36.2",
        "2",
        "8 Gi",
        1,
        "1h",
    )


def test_events_newest_first_whichever_field_has_the_time() -> None:
    old = obj("a", "x", type="Warning", reason="Failed", message="m", count=3, lastTimestamp="2026-11-22T11:59:00Z")
    new = obj("b", "x", reason="Pulled", eventTime="2026-11-22T11:59:55.123456Z", lastTimestamp=None)
    first, second = seen(events=[old, new]).events
    assert (first.reason, first.age, first.normal) == ("Pulled", "4s", True)
    assert (second.age, second.count, second.normal, second.type) == ("1m", 3, False, "Warning")


def test_the_page_escapes_what_tenants_write() -> None:
    evil = obj("a", "x", reason="<script>alert(1)</script>", message='"><img src=x onerror=alert(1)>')
    text = pages.render("dashboard.html", {"title": "t", "subtitle": "s", "view": seen(events=[evil])})
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<img" not in text


def test_the_fragment_is_the_pages_main_part() -> None:
    variables: dict[str, object] = {"title": "t", "subtitle": "s", "view": seen(profiles=[ready_profile("01")])}
    page, fragment = pages.render("dashboard.html", variables), pages.render("dashboard.html", variables, fragment=True)
    assert fragment.strip() in page
    assert "<html" not in fragment
    assert "profile-user01" in fragment


def test_an_empty_cluster_is_a_page_too() -> None:
    text = pages.render("dashboard.html", {"title": "t", "subtitle": "s", "view": seen()})
    assert "No Profile yet" in text
    assert "Nothing happened lately" in text
