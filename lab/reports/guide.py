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
    return "\n".join([*lines, "", *_summary(tenant, part, results)])


def _summary(tenant: str, part: str, results: Sequence[Result]) -> list[str]:
    passed, failed, skipped = (sum(r.state == state for r in results) for state in ("pass", "fail", "skip"))
    lines = [RULE, "검증 결과 요약", RULE, "", f"  ✅ 통과: {passed}", f"  ❌ 실패: {failed}", f"  ⚠️  경고: {skipped}"]
    lines += [f"  📊 총점: {passed}/{len(results)}", ""]
    if passed == len(results):
        return [*lines, "🎉 모든 검증을 완벽하게 통과했습니다!", _NEXT[part]]
    first = next(r for r in results if r.state == "fail")
    ask = "강사에게 문의하세요: 사용자 번호, 검증 결과, 전체 오류 메시지, 실행한 명령을 함께 알려 주세요."
    return [
        *lines,
        ask,
        f"  사용자: {tenant}, 오류: {first.message}, 명령: ./inv verify --user {tenant[-2:]} --part {part}",
    ]
