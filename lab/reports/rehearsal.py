"""A rehearsal as a page that an instructor prints and keeps at hand: an overview, then one short section per fault. Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from lab.faults.outcome import Rehearsal
from lab.messages import mark, t

_WHO = {"student": mark("student"), "instructor": mark("instructor")}
_CURES = {"student": mark("The student types"), "instructor": mark("The instructor does")}


def render(rehearsals: Sequence[Rehearsal]) -> str:
    good = sum(one.good for one in rehearsals)
    seconds = sum(one.seconds for one in rehearsals)
    return "\n".join(
        [
            t("# Rehearsal"),
            "",
            t(
                "{good} of {total} faults went as the course teaches, in {seconds:.0f} s: broken, noticed by exactly the expected",
                good=good,
                total=len(rehearsals),
                seconds=seconds,
            ),
            t("checks, mended, and proved green again, while another tenant's checks stayed green."),
            "",
            *_overview(rehearsals),
            "",
            *(line for number, one in enumerate(rehearsals, start=1) for line in _section(number, one)),
        ]
    )


def _overview(rehearsals: Sequence[Rehearsal]) -> list[str]:
    """One line per fault: to find the section by what turned red."""
    rows = [_row(number, one) for number, one in enumerate(rehearsals, start=1)]
    return [t("| | fault | checks that turn red | cured by | rehearsed |"), "|---|---|---|---|---|", *rows]


def _row(number: int, one: Rehearsal) -> str:
    went = t("as expected") if one.good else t("**not as expected**")
    return f"| {number} | {one.title} | {', '.join(one.red) or '-'} | {t(_WHO[one.who])} | {went} |"


def _section(number: int, one: Rehearsal) -> list[str]:
    lines = [f"## {number}. {one.title} ({one.fault})", "", t("The student sees:"), "", *_block(one.symptom)]
    lines += [t("Say to the student:"), "", f"> {one.english}", ">", f"> {one.korean}", ""]
    lines += [f"{t(_CURES[one.who])}:", "", *_block(one.cure)]
    if hints := [hint for hint in one.hints if hint != one.cure]:
        lines += [t("The checks say:"), "", *_block("\n".join(hints))]
    others = t("{bystander} untouched", bystander=one.bystander) if one.bystander else t("every tenant feels it")
    proof = (
        t("{tenant} green again, {others}", tenant=one.tenant, others=others) if one.good else "; ".join(one.problems)
    )
    return [
        *lines,
        t("Rehearsed as {tenant} in {seconds:.1f} s: {proof}.", tenant=one.tenant, seconds=one.seconds, proof=proof),
        "",
    ]


def _block(text: str) -> list[str]:
    """A block of code: commands may hold any character, and copy whole."""
    return ["```", *text.splitlines(), "```", ""]
