"""What pods mean for a Job: pure rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesim.controllers import indexes, jobrules
from kubesim.resources import Object

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)


@given(st.sets(st.integers(0, 200)))
def test_indexes_survive_being_written(found: set[int]) -> None:
    assert indexes.parse(indexes.text_of(found), 201) == found


def test_indexes_are_written_as_runs() -> None:
    assert indexes.text_of({1, 3, 4, 5, 9}) == "1,3-5,9"
    assert indexes.parse("1,3-5,9", 5) == {1, 3, 4}


def pod(phase: str, *, minutes: float = 0, code: int = 1) -> Object:
    at = (NOW - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    state = {"terminated": {"exitCode": code, "finishedAt": at}}
    metadata = {"name": "p", "namespace": "n", "uid": f"{phase}{minutes}", "creationTimestamp": at}
    return {
        "metadata": metadata,
        "spec": {},
        "status": {"phase": phase, "containerStatuses": [{"name": "main", "state": state}]},
    }


def job(**spec: object) -> Object:
    return {"metadata": {"name": "j"}, "spec": spec}


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        ([], 0),
        ([pod("Failed")], 10),
        ([pod("Failed", minutes=1), pod("Failed")], 20),
        ([pod("Failed", minutes=m) for m in range(8)], 600),
        ([pod("Failed", minutes=2), pod("Succeeded", minutes=1), pod("Failed")], 10),
        ([pod("Failed", minutes=1), pod("Succeeded")], 0),
        ([pod("Failed", minutes=0.1)], 4),
    ],
)
def test_the_delay_doubles_with_failures_in_a_row(pods: list[Object], expected: float) -> None:
    assert jobrules.seconds_to_retry(job(), pods, NOW) == expected


@pytest.mark.parametrize(
    ("operator", "values", "container", "matches"),
    [
        ("In", [1, 2], "main", True),
        ("In", [2], "main", False),
        ("NotIn", [2], "", True),
        ("NotIn", [1], "", False),
        ("In", [1], "other", False),
    ],
)
def test_exit_code_rules(operator: str, values: list[int], container: str, matches: bool) -> None:
    codes: Object = {"operator": operator, "values": values} | ({"containerName": container} if container else {})
    found = jobrules.failure_action(
        job(podFailurePolicy={"rules": [{"action": "FailJob", "onExitCodes": codes}]}), pod("Failed")
    )
    assert (found[0] == "FailJob") is matches


def test_the_first_matching_rule_decides() -> None:
    disrupted = pod("Failed")
    disrupted["status"]["conditions"] = [{"type": "DisruptionTarget", "status": "True"}]
    rules = [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1]}},
    ]
    assert jobrules.failure_action(job(podFailurePolicy={"rules": rules}), disrupted)[0] == "Ignore"
    assert jobrules.failure_action(job(podFailurePolicy={"rules": rules}), pod("Failed"))[0] == "FailJob"


@pytest.mark.parametrize(
    ("rule", "done", "met"),
    [
        ({"succeededIndexes": "0-1"}, {0}, None),
        ({"succeededIndexes": "0-1"}, {0, 1}, 0),
        ({"succeededIndexes": "0-3", "succeededCount": 2}, {1, 3}, 0),
        ({"succeededCount": 3}, {1, 3}, None),
        ({"succeededCount": 2}, {1, 3}, 0),
    ],
)
def test_success_rules(rule: Object, done: set[int], met: int | None) -> None:
    assert jobrules.success_rule(job(completions=4, successPolicy={"rules": [rule]}), done) == met


def test_restarts_count_against_the_limit_with_on_failure() -> None:
    busy = pod("Running")
    busy["status"]["containerStatuses"][0]["restartCount"] = 3
    body = job(backoffLimit=3, template={"spec": {"restartPolicy": "OnFailure"}})
    assert jobrules.restarts_exceed(body, [busy])
    body["spec"]["backoffLimit"] = 4
    assert not jobrules.restarts_exceed(body, [busy])
    body["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    assert not jobrules.restarts_exceed(body, [busy])
