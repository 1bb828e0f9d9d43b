"""The guides' own layout in Korean, summary block word for word: what a student reads out to the instructor."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from lab.checks.base import Result

RULE = "=" * 60
_TITLES = {
    "kubeflow": "Part 1: Kubeflow 테넌트 검증",
    "mlflow": "Part 2: MLflow 검증",
    "storage": "Part 3: 스토리지 검증",
}
_NEXT = {
    "kubeflow": "다음 단계: Part 2 검증을 진행하세요.",
    "mlflow": "다음 단계: Part 3 검증을 진행하세요.",
    "storage": "다음 단계: Lab 1-2를 진행하세요.",
}
_MARKS = {"pass": "✅", "fail": "❌", "skip": "⚠️ "}
_ASK = "강사에게 문의하세요. 아래 네 가지를 함께 알려 주세요."


def render(results: Sequence[Result]) -> str:
    blocks = [
        _block(tenant, part, list(group))
        for (tenant, part), group in groupby(results, key=lambda r: (r.tenant, r.part))
    ]
    return "\n\n".join(blocks)


def _block(tenant: str, part: str, results: Sequence[Result]) -> str:
    lines = [RULE, f"{_TITLES[part]} ({tenant})", RULE, ""]
    for number, result in enumerate(results, start=1):
        lines.append(f"[{number}] {_MARKS[result.state]} {result.title_ko}: {result.message}")
        if result.state == "fail" and result.hint:
            lines.append(f"      해결: {result.hint}")
    good = all(result.state == "pass" for result in results)
    end = ["🎉 모든 검증을 완벽하게 통과했습니다!", "", _NEXT[part]] if good else _question(tenant, part, results)
    return "\n".join([*lines, "", *_summary(results), "", *end])


def _counts(results: Sequence[Result]) -> tuple[int, int, int]:
    """Passed, failed, and held back by a failure (the guides' warnings)."""
    passed, failed, skipped = (sum(r.state == state for r in results) for state in ("pass", "fail", "skip"))
    return passed, failed, skipped


def _summary(results: Sequence[Result]) -> list[str]:
    passed, failed, skipped = _counts(results)
    counts = [f"  ✅ 통과: {passed}", f"  ❌ 실패: {failed}", f"  ⚠️  경고: {skipped}"]
    return [RULE, "검증 결과 요약", RULE, "", *counts, f"  📊 총점: {passed}/{len(results)}"]


def _question(tenant: str, part: str, results: Sequence[Result]) -> list[str]:
    """What to send to the instructor: user number, result, the whole of every error message, and the command."""
    number = tenant.removeprefix("user")
    passed, failed, skipped = _counts(results)
    return [
        _ASK,
        f"  - 사용자 번호: {number}",
        f"  - 검증 결과: 통과 {passed}/{len(results)}, 실패 {failed}, 경고 {skipped}",
        "  - 전체 오류 메시지:",
        *(f"      {r.code} {r.message}" for r in results if r.state != "pass"),
        f"  - 실행한 명령: ./inv verify --user {number} --part {part} --lang ko",
    ]
