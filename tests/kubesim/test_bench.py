"""The bench measures what it says it does."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from kubesim.bench.__main__ import KUBERNETES, MEMORY
from kubesim.bench.client import target
from kubesim.bench.measure import READ, WRITTEN, Bench, least
from kubesim.server import Cluster


async def test_every_row_is_measured_against_that_many_objects(cluster: Cluster, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(cluster.kubeconfig("admin", ("system:masters",)))
    spent = itertools.count()
    bench = Bench(target(kubeconfig), seconds=0.05, watchers=2, cpu=lambda: float(next(spent)))
    await bench.fill(7)
    rows = await bench.rows()
    client = cluster.client()
    assert len((await client.list("v1/configmaps", READ)).items) == 7
    assert all(row.cpu and row.cpu > 0 for row in rows)
    names = {row.name for row in rows} - {"gets/s, 8 clients"}
    ours = {"start", f"memory with {MEMORY:,} ConfigMaps"}
    assert {name.replace("50", "2") for name in KUBERNETES.keys() - ours} == names
    await bench.clear()
    left = {space["metadata"]["name"]: space for space in (await client.list("v1/namespaces")).items}
    assert all(space not in left or "deletionTimestamp" in left[space]["metadata"] for space in (READ, WRITTEN))


def test_what_a_request_costs_is_told_of_the_least_disturbed_slice() -> None:
    assert least([(0, 1.0), (100, 1.1), (200, 1.15), (205, 1.15)]) == pytest.approx(500)
    assert least([(0, 1.0), (4, 1.002)]) == pytest.approx(500), "too few requests for slices"
    assert least([(0, 0.0), (100, 0.0)]) is None, "a server that is not ours tells nothing"
