"""The runner's order, skipping and exit; reports of its results."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from lab import checks
from lab.aws.base import Keys
from lab.aws.clients import Clients
from lab.aws.standin import StandIn
from lab.checks.answers import Answers
from lab.checks.base import Check, Failed, Part, Result, Subject
from lab.checks.runner import on_one, run
from lab.kube import Cluster
from lab.reports import data, guide, text
from lab.reports.live import Live
from lab.settings import ROOT, load


def subject(number: str) -> Subject:
    """A subject whose cluster is never asked."""
    settings = load()
    clients = Clients(StandIn(settings), Keys("AKIA", "secret"), settings.region)
    return Subject(settings, settings.one(number), settings.one("20"), Cluster(ROOT / "absent"), clients)


def fails(_: Subject) -> str:
    raise Failed("it is broken", "mend it")


def good(code: str, *requires: str) -> Check:
    return Check(code, "kubeflow", code, code, lambda s: f"{s.tenant.user} has it", requires)


BROKEN = Check("B", "kubeflow", "Broken", "고장", fails)
CHAIN = (good("A"), BROKEN, good("C", "B"), good("D", "C"), good("E", "A"))


def test_a_check_behind_a_failed_one_is_skipped_with_the_root_cause() -> None:
    results = list(on_one(subject("01"), CHAIN))
    assert [(r.code, r.state, r.cause) for r in results] == [
        ("A", "pass", ""),
        ("B", "fail", ""),
        ("C", "skip", "B"),
        ("D", "skip", "B"),
        ("E", "pass", ""),
    ]
    assert results[1].message == "it is broken"
    assert results[1].hint == "mend it"


def test_a_requirement_of_another_part_does_not_hold_back() -> None:
    assert [r.state for r in on_one(subject("01"), [good("X", "Z")])] == ["pass"]


def test_results_come_in_the_order_of_tenants_and_checks() -> None:
    seen: list[Result] = []
    results = run([subject("02"), subject("01")], [good("A"), BROKEN], done=seen.append)
    assert [(r.tenant, r.code) for r in results] == [("user02", "A"), ("user02", "B"), ("user01", "A"), ("user01", "B")]
    assert sorted(seen, key=str) == sorted(results, key=str)


def test_the_registry_is_the_courses() -> None:
    codes = [check.code for check in checks.REGISTRY]
    assert codes == [f"KF{n:02}" for n in range(1, 11)] + [f"ML{n:02}" for n in range(1, 8)] + [
        f"ST{n:02}" for n in range(1, 7)
    ]
    for position, check in enumerate(checks.REGISTRY):
        assert set(check.requires) <= set(codes[:position]), f"{check.code} requires a later check"
        assert check.title
        assert check.title_ko


def test_the_terminal_report_names_failures_with_their_cure() -> None:
    results = run([subject("01"), subject("02")], CHAIN)
    shown = text.render(results)
    assert "user01  ✗ 2/5" in shown
    assert shown.count("✗ B Broken: it is broken\n    → mend it") == 2
    assert shown.endswith("4 of 10 checks passed, 2 failed, 4 skipped (2 tenants)")
    assert text.total(run([subject("01")], CHAIN)) == "2 of 5 checks passed, 1 failed, 2 skipped (1 tenant)"


@pytest.mark.parametrize("numbers", [["01"], ["01", "02", "03"]])
def test_the_terminal_says_the_same_while_it_runs(numbers: list[str]) -> None:
    lines: list[str] = []
    live = Live([f"user{number}" for number in numbers], CHAIN, say=lines.append)
    results = run([subject(number) for number in numbers], CHAIN, done=live.tell)
    live.end()
    assert "\n".join(lines) == text.render(results)


def test_tenants_are_shown_in_the_class_s_order_whoever_is_done_first() -> None:
    lines: list[str] = []
    live = Live(["user01", "user02"], [CHAIN[0]], say=lines.append)
    late, early = (next(on_one(subject(number), CHAIN[:1])) for number in ("01", "02"))
    live.tell(early)
    assert len(lines) == 1, "the heading only"
    live.tell(late)
    assert [line.split()[0] for line in lines] == ["tenant", "user01", "user02"]


def test_a_question_is_asked_once_and_a_failure_is_not_kept() -> None:
    answers, asked = Answers(), list[str]()

    def ask() -> str:
        asked.append("?")
        if len(asked) == 1:
            raise Failed("not yet")
        return "yes"

    with pytest.raises(Failed):
        answers.once(("get", "pods"), ask)
    assert not answers.known(("get", "pods"))
    assert [answers.once(("get", "pods"), ask) for _ in range(3)] == ["yes"] * 3
    assert len(asked) == 2


def test_the_guides_summary_block_word_for_word() -> None:
    passed = [Result("user01", f"KF{n:02}", "kubeflow", "t", "제목", "pass", "seen") for n in range(1, 11)]
    block = "\n".join(
        [
            "=" * 60,
            "검증 결과 요약",
            "=" * 60,
            "",
            "  ✅ 통과: 10",
            "  ❌ 실패: 0",
            "  ⚠️  경고: 0",
            "  📊 총점: 10/10",
            "",
            "🎉 모든 검증을 완벽하게 통과했습니다!",
        ]
    )
    assert block in guide.render(passed)
    failed = [*passed[:9], Result("user01", "KF10", "kubeflow", "t", "제목", "fail", "it is broken", "mend it")]
    shown = guide.render(failed)
    assert "  ✅ 통과: 9\n  ❌ 실패: 1\n" in shown
    assert "🎉" not in shown
    assert shown.endswith(
        "\n".join(
            [
                "강사에게 문의하세요. 아래 네 가지를 함께 알려 주세요.",
                "  - 사용자 번호: 01",
                "  - 검증 결과: 통과 9/10, 실패 1, 경고 0",
                "  - 전체 오류 메시지:",
                "      KF10 it is broken",
                "  - 실행한 명령: ./inv verify --user 01 --part kubeflow --lang ko",
            ]
        )
    )


@pytest.mark.parametrize(
    ("part", "told"), [("kubeflow", "Part 2 검증을"), ("mlflow", "Part 3 검증을"), ("storage", "Lab 1-2를")]
)
def test_the_guides_next_step(part: Part, told: str) -> None:
    shown = guide.render([Result("user01", "X", part, "t", "제목", "pass", "seen")])
    assert shown.endswith(f"다음 단계: {told} 진행하세요.")


def test_a_part_held_back_by_another_parts_failure_is_told_too() -> None:
    """MLflow down: part 3 has no failure of its own, one check of it waits."""
    waits = Result("user01", "ST06", "storage", "t", "데이터 흐름", "skip", "waits for ML06", cause="ML06")
    shown = guide.render([Result("user01", "ST05", "storage", "t", "제목", "pass", "seen"), waits])
    assert "  ⚠️  경고: 1\n  📊 총점: 1/2\n" in shown
    assert "      ST06 waits for ML06" in shown
    assert "🎉" not in shown


def test_data_formats() -> None:
    results = run([subject("01")], CHAIN)
    read = json.loads(data.as_json(results))
    assert read["summary"] == {"pass": 2, "fail": 1, "skip": 2}
    assert [r["code"] for r in read["results"]] == ["A", "B", "C", "D", "E"]
    suite = ElementTree.fromstring(data.as_junit(results)).find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("5", "1", "2")
    assert [case.get("name") for case in suite.iter("testcase") if case.find("failure") is not None] == ["B Broken"]
