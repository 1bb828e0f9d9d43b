"""Two hundred tenants on one page: what one change costs the dashboard, in processor time (which a busy machine does not falsify)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from kubeflow_lite.dashboard import live, paint, reports
from kubeflow_lite.dashboard.board import Board
from kubeflow_lite.dashboard.languages import Translate
from kubeflow_lite.dashboard.mirror import Mirror
from kubeflow_lite.dashboard.panels import Panels
from kubeflow_lite.dashboard.program import sources
from kubeflow_lite.objects import Object
from kubeflow_lite.web import pages

TENANTS = tuple(f"{number:03}" for number in range(1, 201))
CODES = tuple(f"KF{number:02}" for number in range(1, 24))


def config_map(name: str, kind: str, data: dict[str, str]) -> Object:
    meta = {"name": name, "namespace": "kubeflow", "labels": {reports.KIND: kind}}
    return {"kind": "ConfigMap", "metadata": meta, "data": data}


def report(num: str, *, red: str = "") -> Object:
    checks = [
        {
            "code": code,
            "state": "fail" if code == red else "pass",
            "message": f"{code}: as it should be",
            "hint": "kubectl get pods",
        }
        for code in CODES
    ]
    commands = [
        {"what": "sign in", "what_ko": "로그인", "command": f"aws eks update-kubeconfig --name {num}"} for _ in range(6)
    ]
    told: dict[str, object] = {"user": f"user{num}", "num": num, "role": "student", "namespace": f"kubeflow-user{num}"}
    told |= {
        "at": "2026-11-22T12:00:00Z",
        "checks": checks,
        "commands": commands,
        "bucket": {"name": "b", "objects": 3, "bytes": 2048},
    }
    return config_map(f"check-report-user{num}", "report", {"report": json.dumps(told)})


def pod(num: str, name: str, phase: str = "Running") -> Object:
    meta = {"name": name, "namespace": f"kubeflow-user{num}", "creationTimestamp": "2026-11-22T12:00:00Z"}
    return {"metadata": meta, "status": {"phase": phase}, "spec": {"containers": [], "nodeName": "node"}}


def enrol(mirror: Mirror, num: str) -> None:
    where = f"kubeflow-user{num}"
    ready = {"conditions": [{"type": "Ready", "status": "True"}], "namespace": where}
    meta = {"name": f"profile-user{num}", "labels": {"mlops-lab/user": num}}
    mirror.put("profiles", {"metadata": meta, "spec": {"owner": {"name": f"user{num}@mlops.local"}}, "status": ready})
    mirror.put("told", report(num))
    mirror.put("pods", pod(num, "mlflow-server-1"))
    mirror.put("pods", pod(num, "notebook-0"))
    server = {"name": "mlflow-server", "namespace": where}
    mirror.put("deployments", {"metadata": server, "spec": {"replicas": 1}, "status": {"readyReplicas": 1}})
    quota = {"hard": {"cpu": "8", "memory": "16Gi"}, "used": {"cpu": "500m", "memory": "1Gi"}}
    mirror.put("quotas", {"metadata": {"name": "kf-resource-quota", "namespace": where}, "status": quota})


@dataclass
class Class:
    mirror: Mirror
    panels: Panels
    board: Board

    def update(self) -> dict[str, str]:
        """What a reader of the page is sent."""
        before = self.board.version
        self.board.update(self.panels.whole())
        return self.board.since(before) or {}


@pytest.fixture(scope="module")
def room() -> Class:
    mirror = Mirror(sources("mlops-serving"))
    checks = [{"code": code, "part": "kubeflow", "title": code, "title_ko": code} for code in CODES]
    mirror.put("told", config_map("lab-catalogue", "catalogue", {"checks": json.dumps(checks), "faults": "[]"}))
    for num in TENANTS:
        enrol(mirror, num)
    nobody: Any = SimpleNamespace(samples=(), usage={}, runs={})
    panels = Panels(mirror, nobody, shared="mlops-training", serving="mlops-serving", system="kubeflow")
    made = Class(mirror, panels, Board(live.renderer("en")))
    made.board.update(panels.whole())
    return made


def test_one_report_sends_one_row(room: Class) -> None:
    room.mirror.put("told", report("007", red="KF02"))
    assert set(room.update()) == {"headline", "row-007"}
    room.mirror.put("told", report("007"))
    assert set(room.update()) == {"headline", "row-007"}


def test_one_pod_sends_one_line(room: Class) -> None:
    room.mirror.put("pods", pod("150", "extra"))
    assert set(room.update()) == {"use-150"}
    assert room.update() == {}


def milliseconds(work: Callable[[], object], times: int = 10) -> float:
    """Of processor time, once."""
    started = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - started) * 1000 / times


@pytest.mark.exhaustive
def test_what_it_costs(room: Class, capsys: pytest.CaptureFixture[str]) -> None:
    colours = iter(CODES * 5)

    def change() -> None:
        room.mirror.put("told", report("042", red=next(colours)))
        assert room.update()

    def page() -> str:
        told = room.panels.told()
        variables: dict[str, object] = {
            "t": Translate("en"),
            "style": paint.style(),
            "languages": {},
            "theme": "",
            "session": SimpleNamespace(who=SimpleNamespace(username="x"), csrf="c"),
            "instructor": True,
            "board": room.board,
            "live": "/live",
            "columns": reports.checks(told),
            "faults": reports.faults(told),
            "people": [one for one in room.panels.people() if one.num],
        }
        return pages.environment().get_template("dashboard/class.html").render(variables)

    first = milliseconds(lambda: Board(live.renderer("en")).update(room.panels.whole()), 3)
    with capsys.disabled():
        print(f"\n{len(TENANTS)} tenants, {len(CODES)} checks each, processor time of the dashboard:")
        print(f"  all parts anew {first:.0f} ms, one report changed {milliseconds(change):.1f} ms")
        print(f"  nothing changed {milliseconds(room.update):.1f} ms")
        print(f"  the page of rendered parts {milliseconds(page):.1f} ms, {len(page()) / 1000:.0f} kB")
