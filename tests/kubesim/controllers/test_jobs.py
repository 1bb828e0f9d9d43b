"""Jobs on a real API server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from kubesim.controllers.kinds import JOBS, PODS
from kubesim.controllers.meta import condition, deleting, phase
from kubesim.errors import NotFound
from kubesim.resources import Object
from tests.kubesim.controllers.world import World, running


def job(name: str = "train", *, code: int | None = 0, restart: str = "Never", **spec: Any) -> Object:
    notes = {} if code is None else {"test/exit": str(code)}
    template = {
        "metadata": {"annotations": notes},
        "spec": {
            "restartPolicy": restart,
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "main", "image": "lab/busybox:1"}],
        },
    }
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"template": template} | spec}


def has(kind: str) -> Callable[[Object], bool]:
    return lambda obj: (condition(obj, kind) or {}).get("status") == "True"


def conditions(obj: Object) -> list[tuple[str, str]]:
    return [(c["type"], c["reason"]) for c in obj["status"]["conditions"] if c["status"] == "True"]


async def test_a_job_completes(world: World) -> None:
    await world.client.create(JOBS, job())
    done = await world.until(JOBS, has("Complete"))
    await world.settled()
    assert conditions(done) == [("SuccessCriteriaMet", "CompletionsReached"), ("Complete", "CompletionsReached")]
    status = {k: v for k, v in done["status"].items() if k not in ("conditions", "startTime", "completionTime")}
    assert status == {"succeeded": 1, "ready": 0, "terminating": 0, "uncountedTerminatedPods": {}}
    assert done["status"]["completionTime"] >= done["status"]["startTime"]
    (pod,) = await world.items(PODS)
    assert "finalizers" not in pod["metadata"]
    assert {("Job", "SuccessfulCreate"), ("Job", "Completed")} <= await world.reasons()


async def test_completions_are_worked_off_in_parallel(world: World) -> None:
    most = 0

    def done(obj: Object) -> bool:
        nonlocal most
        most = max(most, (obj.get("status") or {}).get("active", 0))
        return has("Complete")(obj)

    await world.client.create(JOBS, job(completions=5, parallelism=2))
    finished = await world.until(JOBS, done)
    assert finished["status"]["succeeded"] == 5
    assert most == 2
    assert len(await world.items(PODS)) == 5


async def test_failures_are_retried_later_each_time_up_to_the_limit(still: World) -> None:
    await still.client.create(JOBS, job(code=3, backoffLimit=2))
    await still.until(JOBS, lambda j: (j.get("status") or {}).get("failed") == 1)
    await still.settled()
    assert len(await still.items(PODS)) == 1
    await still.advance(9)
    assert len(await still.items(PODS)) == 1
    await still.advance(3)
    assert len(await still.items(PODS)) == 2
    await still.advance(15)
    assert len(await still.items(PODS)) == 2
    await still.advance(10)
    failed = await still.until(JOBS, has("Failed"))
    assert conditions(failed) == [("FailureTarget", "BackoffLimitExceeded"), ("Failed", "BackoffLimitExceeded")]
    assert failed["status"]["failed"] == 3
    await still.settled()
    assert ("Job", "BackoffLimitExceeded") in await still.reasons()


async def test_indexed_pods_know_their_index(world: World) -> None:
    await world.client.create(JOBS, job(completionMode="Indexed", completions=3, parallelism=3))
    done = await world.until(JOBS, has("Complete"))
    assert (done["status"]["completedIndexes"], done["status"]["succeeded"]) == ("0-2", 3)
    pods = sorted(await world.items(PODS), key=lambda p: p["spec"]["hostname"])
    assert [p["spec"]["hostname"] for p in pods] == ["train-0", "train-1", "train-2"]
    for index, pod in enumerate(pods):
        assert pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"] == str(index)
        assert pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] == str(index)
        assert pod["metadata"]["name"].startswith(f"train-{index}-")
        (entry,) = pod["spec"]["containers"][0]["env"]
        assert entry["name"] == "JOB_COMPLETION_INDEX"


async def test_success_policy_ends_an_indexed_job_early(world: World) -> None:
    rules = {"rules": [{"succeededIndexes": "0"}]}
    await world.client.create(
        JOBS, job(code=None, completionMode="Indexed", completions=2, parallelism=2, successPolicy=rules)
    )
    await world.until(JOBS, lambda j: (j.get("status") or {}).get("ready") == 2)
    leader = next(p for p in await world.items(PODS) if p["spec"]["hostname"] == "train-0")
    await world.kubelet.finish(leader, 0)
    done = await world.until(JOBS, has("Complete"))
    assert conditions(done) == [("SuccessCriteriaMet", "SuccessPolicy"), ("Complete", "SuccessPolicy")]
    await world.settled()
    assert running(await world.items(PODS)) == []


async def test_one_failing_index_does_not_stop_the_others(still: World) -> None:
    body = job(
        code=None, completionMode="Indexed", completions=2, parallelism=2, backoffLimitPerIndex=0, backoffLimit=6
    )
    await still.client.create(JOBS, body)
    await still.until(JOBS, lambda j: (j.get("status") or {}).get("ready") == 2)
    pods = {p["spec"]["hostname"]: p for p in await still.items(PODS)}
    await still.kubelet.finish(pods["train-0"], 1)
    await still.settled()
    await still.kubelet.finish(pods["train-1"], 0)
    failed = await still.until(JOBS, has("Failed"))
    assert conditions(failed) == [("FailureTarget", "FailedIndexes"), ("Failed", "FailedIndexes")]
    assert (failed["status"]["failedIndexes"], failed["status"]["completedIndexes"]) == ("0", "1")


async def test_a_policy_can_fail_the_job_at_once(world: World) -> None:
    rules = [{"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [42]}}]
    await world.client.create(JOBS, job(code=42, backoffLimit=6, podFailurePolicy={"rules": rules}))
    failed = await world.until(JOBS, has("Failed"))
    assert conditions(failed) == [("FailureTarget", "PodFailurePolicy"), ("Failed", "PodFailurePolicy")]
    (pod,) = await world.items(PODS)
    expected = f"Container main for pod default/{pod['metadata']['name']} failed with exit code 42 matching FailJob rule at index 0"
    assert (condition(failed, "Failed") or {})["message"] == expected


async def test_an_ignored_failure_does_not_count(still: World) -> None:
    rules = [{"action": "Ignore", "onExitCodes": {"operator": "In", "values": [9]}}]
    await still.client.create(JOBS, job(code=9, backoffLimit=0, podFailurePolicy={"rules": rules}))
    await still.until(PODS, lambda p: phase(p) == "Failed")
    await still.settled()
    await still.advance(11)
    found = await still.client.get(JOBS, "train", "default")
    assert len(await still.items(PODS)) == 2
    assert "failed" not in found["status"]
    assert condition(found, "FailureTarget") is None


async def test_the_deadline_ends_a_job(still: World) -> None:
    await still.client.create(JOBS, job(code=None, activeDeadlineSeconds=60))
    await still.until(JOBS, lambda j: (j.get("status") or {}).get("ready") == 1)
    await still.advance(61)
    failed = await still.until(JOBS, has("Failed"))
    assert conditions(failed) == [("FailureTarget", "DeadlineExceeded"), ("Failed", "DeadlineExceeded")]
    await still.settled()
    assert running(await still.items(PODS)) == []


async def test_suspend_stops_pods_and_resume_starts_again(world: World) -> None:
    await world.client.create(JOBS, job(code=None))
    await world.until(JOBS, lambda j: (j.get("status") or {}).get("ready") == 1)
    await world.client.patch(JOBS, "train", {"spec": {"suspend": True}}, "default")
    stopped = await world.until(JOBS, lambda j: has("Suspended")(j) and not j["status"].get("active"))
    assert "startTime" not in stopped["status"]
    await world.settled()
    assert running(await world.items(PODS)) == []
    await world.client.patch(JOBS, "train", {"spec": {"suspend": False}}, "default")
    again = await world.until(JOBS, lambda j: (j.get("status") or {}).get("ready") == 1 and not has("Suspended")(j))
    assert "startTime" in again["status"]
    await world.settled()
    assert {("Job", "Suspended"), ("Job", "Resumed")} <= await world.reasons()


async def test_finished_jobs_go_after_their_time(still: World) -> None:
    await still.client.create(JOBS, job(ttlSecondsAfterFinished=100))
    await still.until(JOBS, has("Complete"))
    await still.settled()
    await still.advance(90)
    assert await still.items(JOBS)
    await still.advance(20)
    assert await still.items(JOBS) == []
    assert await still.items(PODS) == []


async def test_deleting_a_job_deletes_its_pods(world: World) -> None:
    await world.client.create(JOBS, job(code=None))
    await world.until(JOBS, lambda j: (j.get("status") or {}).get("ready") == 1)
    (pod,) = await world.items(PODS)
    await world.client.delete(JOBS, "train", "default", propagation="Background")
    await world.gone(PODS, pod["metadata"]["name"])
    with pytest.raises(NotFound):
        await world.client.get(JOBS, "train", "default")


async def test_no_pod_is_counted_twice_or_lost_whenever_the_controllers_stop(world: World) -> None:
    """Killed twenty times, after every second write, while ten pods succeed, they count ten."""
    await world.client.create(JOBS, job(completions=10, parallelism=4))
    store = world.cluster.server.store
    for _ in range(20):
        goal = store.revision + 2
        for _ in range(100):
            if store.revision >= goal:
                break
            await asyncio.sleep(0)
        await world.stop()
        world.start()
    done = await world.until(JOBS, has("Complete"))
    assert (done["status"]["succeeded"], done["status"].get("failed", 0)) == (10, 0)
    pods = await world.items(PODS)
    assert len([p for p in pods if not deleting(p)]) == 10
    assert all("finalizers" not in p["metadata"] for p in pods)
