"""Two languages: no text reaches a user untranslated, and nobody pays for the language that is not asked for."""

from __future__ import annotations

import io
import os
import re
import string
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from textwrap import dedent

import pytest
from babel.messages import pofile
from rich.cells import cell_len

from lab import messages
from lab.checks.base import Result
from lab.errors import LabError
from lab.messages import both, catalogue, cells, sources
from lab.messages.exempt import NOT_WORDS
from lab.reports import text
from lab.settings import ROOT

HANGUL = re.compile("[가-힣]")
SAME_IN_KOREAN = frozenset(
    {
        "champion",
        " champion",
        "  champion  {moved}{then}",
        "run",
        "F1 (macro)",
        "MB",
        "the Kubernetes API",
        "{namespace} is Active",
        "AWS ({name}) at {endpoint}",
        "Python {major}.{minor}.{micro} on {platform}",
        "auto, sim, kind, k3s, current",
        "auto, standin, ...",
        "POST http://127.0.0.1:{port}/codes",
        "LAB_CONTEXT={context} goes on there; LAB_STATE=/another/folder is for a second lab",
        "✗ {name} ({user}): {title}\n    → ./inv mend {name} --user {number}",
    }
)
"""Translations without a Korean letter: names and commands that are the same words."""


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    messages.use("en")
    yield
    messages.use("en")


@cache
def found() -> sources.Found:
    """Everything that the lab's modules and tasks.py say."""
    all_of_it = sources.Found()
    for path, source in sources.files():
        one = sources.find(path, source)
        all_of_it.messages += one.messages
        all_of_it.problems += one.problems
    return all_of_it


@cache
def korean() -> dict[str, str]:
    return catalogue.read(catalogue.KOREAN)


def untranslated(one: sources.Found) -> list[str]:
    return [str(place) for place, _ in one.messages if place.text not in korean()]


def fields(message: str) -> set[tuple[str, str, str]]:
    """Name, format and conversion of each place: ("free", ".1f", "")."""
    parts = string.Formatter().parse(message)
    return {(name, spec or "", conversion or "") for _, name, spec, conversion in parts if name}


def commands(message: str) -> set[str]:
    """What is typed: tasks and options, variables, addresses."""
    return set(
        re.findall(
            r"\./inv(?: [a-z]+)?|--[a-z][a-z-]+|LAB_[A-Z_]+|kubectl (?!on )[a-z]+|aws [a-z]+ [a-z-]+|sudo [a-z]+|docs/\S+",
            message,
        )
    )


def test_every_text_goes_through_the_catalogue() -> None:
    assert [str(place) for place in found().problems] == [], (
        "t(...) it, or, where it is no text for people, lab/messages/exempt.py"
    )


def test_every_text_is_translated() -> None:
    assert untranslated(found()) == [], "python -m lab.messages adds them to lab/messages/ko.po; translate them there"


def test_the_catalogue_has_nothing_that_is_not_said() -> None:
    said = {place.text for place, _ in found().messages}
    assert sorted(set(korean()) - said) == [], "python -m lab.messages removes them"


def test_nothing_is_left_fuzzy() -> None:
    with catalogue.KOREAN.open("rb") as file:
        assert [message.id for message in pofile.read_po(file) if message.fuzzy and message.id] == []


def test_translations_have_the_same_places() -> None:
    assert {english for english, translated in korean().items() if fields(english) != fields(translated)} == set()


def test_translations_keep_what_is_typed() -> None:
    lost = {english: missing for english, ko in korean().items() if (missing := commands(english) - commands(ko))}
    assert lost == {}


def test_translations_keep_their_line_breaks_and_the_spaces_around_them() -> None:
    def edges(message: str) -> tuple[str, int]:
        return (message[: len(message) - len(message.lstrip("\n "))], message.count("\n"))

    assert {english for english, ko in korean().items() if edges(english) != edges(ko)} == set()


def test_translations_are_korean() -> None:
    foreign = {english for english, ko in korean().items() if not HANGUL.search(ko)}
    worded = {one for one in foreign if re.search("[A-Za-z]{2,}", re.sub(r"\{[^}]*\}", "", korean()[one]))}
    assert worded - SAME_IN_KOREAN == set()


def test_exemptions_are_needed() -> None:
    for path, texts in NOT_WORDS.items():
        if path:
            source = (ROOT / path).read_text(encoding="utf-8")
            without = {place.text for place in sources.find(path, source, exempt={"": NOT_WORDS[""]}).problems}
            assert texts - without == set(), path


MADE_UP = {
    'raise LabError(f"no tenant {number}")': "no tenant {}",
    'raise LabError(t("no tenant"), "is the lab up? ./inv up")': "is the lab up? ./inv up",
    'raise LabError("nothing " + "here")': "nothing ",
    'print("done")': "done",
    'console.print(f"{count} done", style="dim")': "{} done",
    'say("waiting" if busy else "done")': "waiting",
    'Finding(True, "memory", t("none"))': "memory",
    'Step("cluster", "the cluster", run, after=("base",))': "the cluster",
    'require(found, "it is missing")': "it is missing",
    'table.add_column("accuracy")': "accuracy",
    'return f"{len(wanted)} loaded"': "{} loaded",
    'words = {"docker": "kind needs it"}': "kind needs it",
    'notes = ["./inv up goes on"]': "./inv up goes on",
    'raise LabError(t(f"no tenant {number}"))': "t() of no literal: t(f'no tenant {number}')",
    "TITLE = mark(title)": "mark() of no literal: mark(title)",
}


@pytest.mark.parametrize("line", MADE_UP)
def test_a_text_that_forgets_the_catalogue_is_found(line: str) -> None:
    assert MADE_UP[line] in [place.text for place in sources.find("lab/made_up.py", _body(line)).problems]


@pytest.mark.parametrize(
    "line",
    [
        '"""Docstrings are for those who read the code."""',
        'raise LabError(t("no tenant {number}", number=number), f"./inv up --tenants {number}")',
        'log.warning("the agent lost %s", name)',
        'raise ValueError("steps wait for unknown ones")',
        'if reason == "not found here": pass',
        'config["not a word"] = {"some key": 1}',
        'path = state / "users" / user',
        'environ = {"A": f"{name}={value}"}',
        'hint = f"kubectl logs -n {namespace} deployment/mlflow-server"',
        'TITLE = mark("the cluster")',
        'print(t(TITLE), end="not shown")',
    ],
)
def test_what_is_for_programs_and_their_authors_is_left_alone(line: str) -> None:
    assert sources.find("lab/made_up.py", _body(line)).problems == []


def _body(line: str) -> str:
    return f"def made_up():\n    {line}\n"


def test_single_words_count_where_a_module_prints() -> None:
    line = _body('rows = [("accuracy", 1.0)]')
    assert [place.text for place in sources.find("lab/show.py", line).problems] == ["accuracy"]
    assert sources.find("lab/numbers.py", line).problems == []


def test_a_new_text_without_a_translation_is_found() -> None:
    new = sources.find("lab/made_up.py", _body('raise LabError(t("the moon is not up"), t("none"))'))
    assert untranslated(new) == ["lab/made_up.py:2: 'the moon is not up'"]


def test_a_commands_help_belongs_into_the_catalogue() -> None:
    source = dedent('''
        @command(help={"user": "whose", "json_": "print JSON"})
        def task(ctx, user=""):
            """Do it."""
            print(t("done"))
    ''')
    said = [place.text for place, _ in sources.find("lab/commands/made_up.py", source).messages]
    assert said == ["Do it.", "whose", "print JSON", "done"]


def test_plurals_have_both_forms() -> None:
    one = sources.find("lab/made_up.py", _body('say(plural("{count} pod", "{count} pods", count=n))'))
    assert [(place.text, many) for place, many in one.messages] == [("{count} pod", "{count} pods")]


def test_the_reader_reads_what_babel_writes() -> None:
    with catalogue.KOREAN.open("rb") as file:
        written = {m.id: m.string for m in pofile.read_po(file) if m.id}
    expected = {
        (k[0] if isinstance(k, tuple) else k): (v[0] if isinstance(v, tuple) else v) for k, v in written.items()
    }
    assert korean() == expected


def test_fuzzy_and_empty_entries_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "ko.po"
    path.write_text(
        'msgid ""\nmsgstr "Language: ko"\n\n#, fuzzy\nmsgid "a"\nmsgstr "가"\n\nmsgid "b"\nmsgstr ""\n\n'
        '#~ msgid "c"\n#~ msgstr "다"\n\nmsgid ""\n"two \\"lines\\"\\n"\n"here"\nmsgstr ""\n"두 "\n"줄\\n"\n'
    )
    assert catalogue.read(path) == {'two "lines"\nhere': "두 줄\n"}


def test_bringing_the_catalogue_up_to_date_changes_nothing_now(tmp_path: Path) -> None:
    from lab.messages.__main__ import brought_up_to_date, write

    write(tmp_path / "ko.po", brought_up_to_date(catalogue.KOREAN))
    assert catalogue.read(tmp_path / "ko.po") == korean()


def test_the_language_is_chosen() -> None:
    assert messages.t("no tenant has been started") == "no tenant has been started"
    assert messages.plural("{count} tenant", "{count} tenants", count=2) == "2 tenants"
    messages.use("ko")
    assert messages.t("no tenant has been started") == "시작된 테넌트가 없습니다"
    assert messages.t("no pod starts") == "no pod starts", "a text without a translation is shown in English"
    assert messages.plural("{count} tenant", "{count} tenants", count=2) == "테넌트 2명"
    assert messages.plural("{count} tenant", "{count} tenants", count=1) == "테넌트 1명"


def test_a_text_in_both_languages_comes_apart_wherever_it_went() -> None:
    messages.use("both")
    inner = messages.t("no tenant has been started")
    outer = f"KF01: {messages.t('it could not be mended: {why}', why=LabError(inner))}; {messages.t('none')}"
    assert both.english(outer) == "KF01: it could not be mended: no tenant has been started; none"
    assert both.korean(outer) == "KF01: 복구하지 못했습니다: 시작된 테넌트가 없습니다; 없음"
    counted = messages.plural("{count} tenant", "{count} tenants", count=2)
    assert (both.english(counted), both.korean(counted)) == ("2 tenants", "테넌트 2명")
    assert messages.t("no pod starts") == "no pod starts", "nothing to take apart"


def test_braces_are_braces_where_there_are_no_values() -> None:
    assert messages.t("{not a place}") == "{not a place}"


def run(code: str, *options: str, **environ: str) -> str:
    clean = {key: value for key, value in os.environ.items() if key != messages.VARIABLE}
    command = [sys.executable, *options, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{dedent(code)}"]
    return subprocess.run(command, env={**clean, **environ}, capture_output=True, text=True, check=True).stdout.strip()


def test_english_reads_no_catalogue() -> None:
    code = """
        from lab.messages import t
        print(t("none"), "lab.messages.catalogue" in sys.modules)
    """
    assert run(code) == "none False"
    assert run(code, LAB_LANG="ko") == "없음 True"


def test_the_standard_library_is_enough() -> None:
    """./inv up --bundle speaks before anything is installed."""
    assert run("from lab.messages import t; print(t('none'))", "-I", "-S") == "none"
    assert run("from lab.messages import t; print(t('none'))", "-S", LAB_LANG="ko") == "없음"


def inv(*arguments: str, lang: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "program.py"), *arguments]
    return subprocess.run(
        command,
        env={**os.environ, "COLUMNS": "80", messages.VARIABLE: lang},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_is_korean() -> None:
    listed = inv("--list", lang="ko").stdout
    tasks = re.split(r"\n(?=  [a-z])", listed)[1:]
    assert len(tasks) > 30
    assert [task for task in tasks if not HANGUL.search(task)] == []
    assert [line for line in listed.splitlines() if cell_len(line) > 80] == []
    help_, _, listed = inv("verify", "--help", lang="ko").stdout.partition("\n옵션:\n")
    assert "사용법: inv verify [옵션]" in help_
    options = listed.split("\n  -")
    assert [option for option in options if option.strip() and not HANGUL.search(option)] == []


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["nothing"], "'nothing'은(는) 명령도 옵션도 아닙니다. 명령 목록: ./inv --list"),
        (["up", "--nothing"], "'--nothing'은(는) 명령도 옵션도 아닙니다. 명령 목록: ./inv --list"),
        (["up", "--tenants"], "--tenants 옵션에 값이 필요합니다"),
        (["break"], "break 명령에 'fault' 값이 필요합니다: ./inv break --help"),
    ],
)
def test_what_invoke_cannot_read_is_told_in_korean(typed: list[str], said: str) -> None:
    assert inv(*typed, lang="ko").stderr == f"{said}\n"


def test_another_language_is_one_clear_line() -> None:
    asked = inv("tenants.list", lang="fr")
    assert (asked.returncode, asked.stdout) == (2, "")
    assert asked.stderr == "✗ no language 'fr'\n  → LAB_LANG=en, LAB_LANG=ko\n"


def test_what_the_shell_says_has_both_languages() -> None:
    """./inv speaks before there is a Python to read the catalogue."""
    script = (ROOT / "inv").read_text(encoding="utf-8").replace("\\\n", " ")
    said = re.findall(r'\b(?:fail|say)\s+"((?:[^"\\]|\\.)*)"\s+"((?:[^"\\]|\\.)*)"', script)
    calls = re.findall(r"(?:^|\|\| |; )\s*(?:fail|say)\s+\S", script, flags=re.M)
    assert len(said) >= 10
    assert len(calls) == len(said)
    for english, translated in said:
        if english == "$1":  # fail says what it was given
            continue
        assert not HANGUL.search(english)
        assert HANGUL.search(translated), english
        assert set(re.findall(r"\$\{?(\w+)", english)) == set(re.findall(r"\$\{?(\w+)", translated))


def test_columns_count_cells() -> None:
    lines = [line for one in korean().values() for line in one.splitlines()]
    assert [cells.width(line) for line in lines] == [cell_len(line) for line in lines]
    assert cells.left("버킷", 6) + "|" == "버킷  |"
    assert cells.right("버킷", 6) == "  버킷"
    assert cells.left("longer than it", 4) == "longer than it"
    assert cells.wrapped("모든 버킷과 리포지토리", 12) == ["모든 버킷과", "리포지토리"]


def test_a_korean_report_is_aligned() -> None:
    messages.use("ko")
    titles = [("Namespace", "네임스페이스"), ("Profile", "Profile 및 소유자"), ("PVC", "PVC")]
    results = [Result("user01", f"KF0{n}", "kubeflow", en, ko, "pass", "OK") for n, (en, ko) in enumerate(titles)]
    *lines, _, total = text.render(results).splitlines()
    assert {cell_len(line.partition("OK")[0]) for line in lines} == {7 + 32}
    assert total == "검증 3개 중 3개 통과, 0개 실패, 0개 건너뜀 (테넌트 1명)"


def test_steps_are_aligned() -> None:
    from rich.console import Console

    from lab.progress import Step, Steps

    messages.use("ko")
    out = io.StringIO()
    titles = [messages.t("images"), messages.t("namespaces and storage"), "Kubeflow-lite"]
    Steps(Console(file=out)).run([Step(title, title, lambda: "note") for title in titles])
    assert {cell_len(line.partition(" s  note")[0]) for line in out.getvalue().splitlines()} == {2 + 34 + 6}
