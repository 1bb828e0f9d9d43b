"""One self-contained page: a grid of tenants by checks, and every failure with its cure. No script, no network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from lab.checks.base import Result
from lab.messages import language, mark, t
from lab.reports.text import total

_MARKS = {"pass": "✓", "fail": "✗", "skip": "–"}
_WORDS = {"pass": mark("passed"), "fail": mark("failed"), "skip": mark("skipped")}
_STYLE = """
:root { color-scheme: light dark; --pass: #0a6; --fail: #c2185b; --skip: #888; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem; }
table { border-collapse: collapse; } th, td { padding: .3rem .55rem; border: 1px solid #8884; text-align: center; }
th[scope=row] { text-align: left; } .pass { color: var(--pass); } .fail { color: var(--fail); font-weight: bold; } .skip { color: var(--skip); }
dt { font-weight: bold; margin-top: 1rem; } code { background: #8882; padding: .1rem .3rem; }
"""


def render(results: Sequence[Result]) -> str:
    """A whole HTML document; text from the cluster is escaped."""
    tenants = list(dict.fromkeys(result.tenant for result in results))
    codes = list(dict.fromkeys(result.code for result in results))
    titles = {result.code: result.named for result in results}
    found = {(result.tenant, result.code): result for result in results}
    head = "".join(f'<th scope="col" title="{escape(titles[code])}">{code}</th>' for code in codes)
    rows = "".join(
        f'<tr><th scope="row">{escape(tenant)}</th>{"".join(_cell(found.get((tenant, code))) for code in codes)}</tr>'
        for tenant in tenants
    )
    title = t("Tenant checks")
    failures = "".join(_failure(result) for result in results if result.state == "fail")
    return (
        f'<!doctype html><html lang="{language()}"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style></head><body>'
        f"<h1>{title}</h1><p>{escape(total(results))}</p><table><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table>"
        f"{'<h2>' + t('Failures') + '</h2><dl>' + failures + '</dl>' if failures else ''}</body></html>\n"
    )


def _cell(result: Result | None) -> str:
    if result is None:
        return "<td></td>"
    state = t(_WORDS[result.state])
    words = f"{state}: {result.message}"
    return f'<td class="{result.state}" title="{escape(words)}" aria-label="{state}">{_MARKS[result.state]}</td>'


def _failure(result: Result) -> str:
    cure = f"<br>{t('Cure')}: <code>{escape(result.hint)}</code>" if result.hint else ""
    return (
        f"<dt>{escape(result.tenant)} {result.code} {escape(result.named)}</dt><dd>{escape(result.message)}{cure}</dd>"
    )
