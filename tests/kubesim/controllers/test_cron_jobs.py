"""Cron schedules, and CronJobs on a real API server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from kubesim.controllers import schedule
from kubesim.controllers.cronjob import times
from kubesim.controllers.kinds import CRON_JOBS, JOBS
from kubesim.controllers.meta import is_true
from kubesim.resources import Object
from tests.kubesim.controllers.world import World


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("*/5 * * * *", "2026-11-22 04:02:30", "2026-11-22 04:05"),
        ("0 9-17/4 * * mon-fri", "2026-11-20 18:00", "2026-11-23 09:00"),
        ("30 2 29 feb *", "2026-01-01 00:00", "2028-02-29 02:30"),
        ("0 0 1 * 0", "2026-11-22 00:00", "2026-11-29 00:00"),
        ("0 0 13 * *", "2026-11-22 00:00", "2026-12-13 00:00"),
        ("@hourly", "2026-11-22 04:00", "2026-11-22 05:00"),
        ("@every 1h30m", "2026-11-22 04:00", "2026-11-22 05:30"),
        ("5,10 * * * 7", "2026-11-22 04:05", "2026-11-22 04:10"),
        ("0 0 31 2 *", "2026-11-22 00:00", None),
    ],
)
def test_the_next_time(text: str, after: str, expected: str | None) -> None:
    assert schedule.parse(text).next(at(after)) == (at(expected) if expected else None)


@pytest.mark.parametrize(
    "text", ["* * * *", "60 * * * *", "a * * * *", "* * * * * *", "5-2 * * * *", "*/0 * * * *", "@every x", ""]
)
def test_what_is_no_schedule(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        schedule.parse(text)


def test_time_zones_are_the_wall_clock_s() -> None:
    seoul = at("2026-11-22 04:00").astimezone(ZoneInfo("Asia/Seoul"))
    found = schedule.parse("0 9 * * *").next(seoul)
    assert found is not None
    assert found.astimezone(UTC) == at("2026-11-23 00:00")


def test_missed_times_are_counted_and_the_last_is_due() -> None:
    plan = schedule.parse("* * * * *")
    found = times(plan, at("2026-11-22 04:00"), at("2026-11-22 04:03:20"))
    assert (found.due, found.missed, found.following) == (at("2026-11-22 04:03"), 3, at("2026-11-22 04:04"))
    ages = times(plan, at("2020-01-01 00:00"), at("2026-11-22 04:03:20"))
    assert ages.due == at("2026-11-22 04:03")
    assert ages.missed > 100


def cron(code: int | None = 0, **spec: Any) -> Object:
    notes = {} if code is None else {"test/exit": str(code)}
    pod = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [{"name": "main", "image": "i"}]}
    template = {"spec": {"template": {"metadata": {"annotations": notes}, "spec": pod}}}
    return {
        "metadata": {"name": "nightly", "namespace": "default"},
        "spec": {"schedule": "* * * * *", "jobTemplate": template} | spec,
    }


async def test_a_job_at_each_minute_and_a_limited_history(still: World) -> None:
    await still.client.create(CRON_JOBS, cron(successfulJobsHistoryLimit=2))
    await still.settled()
    for _ in range(4):
        await still.advance(60)
    jobs = await still.items(JOBS)
    assert len(jobs) == 2
    assert all(is_true(job, "Complete") for job in jobs)
    found = await still.client.get(CRON_JOBS, "nightly", "default")
    assert "active" not in found["status"]
    assert found["status"]["lastSuccessfulTime"] >= found["status"]["lastScheduleTime"]
    minute = int(datetime.fromisoformat(found["status"]["lastScheduleTime"]).timestamp()) // 60
    assert f"nightly-{minute}" in {job["metadata"]["name"] for job in jobs}
    assert {
        ("CronJob", "SuccessfulCreate"),
        ("CronJob", "SawCompletedJob"),
        ("CronJob", "SuccessfulDelete"),
    } <= await still.reasons()


@pytest.mark.parametrize(("policy", "expected"), [("Forbid", 1), ("Allow", 3), ("Replace", 1)])
async def test_concurrency(still: World, policy: str, expected: int) -> None:
    await still.client.create(CRON_JOBS, cron(None, concurrencyPolicy=policy))
    await still.settled()
    first: set[str] = set()
    for _ in range(3):
        await still.advance(60)
        first = first or {job["metadata"]["name"] for job in await still.items(JOBS)}
    jobs = {job["metadata"]["name"] for job in await still.items(JOBS)}
    assert len(jobs) == expected
    assert (first <= jobs) is (policy != "Replace")
    found = await still.client.get(CRON_JOBS, "nightly", "default")
    assert {r["name"] for r in found["status"]["active"]} == jobs


async def test_a_suspended_cron_job_does_nothing_and_a_missed_deadline_is_said(still: World) -> None:
    await still.client.create(CRON_JOBS, cron(suspend=True, startingDeadlineSeconds=10))
    await still.settled()
    await still.advance(180)
    assert await still.items(JOBS) == []
    assert still.clock is not None
    past_the_minute = 60 - still.clock.now().second + 30
    await still.advance(past_the_minute)
    await still.client.patch(CRON_JOBS, "nightly", {"spec": {"suspend": False}}, "default")
    await still.settled()
    assert await still.items(JOBS) == []
    await still.advance(60)
    assert len(await still.items(JOBS)) == 1


async def test_a_crash_between_job_and_status_starts_no_second_job(still: World) -> None:
    await still.client.create(CRON_JOBS, cron(None))
    await still.settled()
    await still.advance(60)
    (job,) = await still.items(JOBS)
    await still.client.patch(
        CRON_JOBS, "nightly", {"status": {"lastScheduleTime": None, "active": None}}, "default", subresource="status"
    )
    await still.settled()
    assert [j["metadata"]["uid"] for j in await still.items(JOBS)] == [job["metadata"]["uid"]]


def test_timedelta_of_every_is_at_least_a_second() -> None:
    assert schedule.parse("@every 10s").every == timedelta(seconds=10)
