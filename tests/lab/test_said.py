"""What training and serving say is found again by its shape: every sentence in their sources has one, and is Korean for who asks for it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError
from rich.cells import cell_len

from kubesim.bench.__main__ import KUBERNETES, show, show_json
from kubesim.bench.measure import Row as Measured
from lab import messages, said
from lab.benches import kubesim, rows
from lab.benches.rows import Row
from lab.errors import LabError, SettingsError
from lab.experiments import grid, tables, training
from lab.serving import client
from lab.settings import ROOT, load

HANGUL = re.compile("[가-힣]")
SPEAK = frozenset(
    {"BadArguments", "ArgumentTypeError", "BadData", "NoSpace", "Stopped", "FormsDiffer", "BadModel", "NoSuchVersion"}
    | {"Unavailable", "NoChampion", "TooLarge", "NotReady", "reaching", "_refuse", "_check_answers"}
)
"""Calls whose text reaches a user."""
HANDED_ON = frozenset({"7", "7: 7"})
"""Sentences that are made elsewhere."""
FILES = [
    *sorted((ROOT / "training").glob("*.py")),
    *(ROOT / "serving" / f"{name}.py" for name in ("app", "bodies", "model", "predict", "registry")),
]


@pytest.fixture
def _korean() -> Iterator[None]:
    messages.use("ko")
    yield
    messages.use("en")


def sentences(path: Path) -> Iterator[str]:
    """Texts as they come out, with 7 in every place; a second argument's too (`_detail(where, message, ...)`), and reasons."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            spoken = node.args if name in SPEAK else node.args[1:2] if name == "_detail" else []
            reasons = [one.value for one in node.keywords if one.arg == "reason"]
            for text in map(literal, [*spoken, *reasons]):
                if text and text not in HANDED_ON:
                    yield f"{text}: 7" if name == "reaching" else text


def literal(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(one.value) if isinstance(one, ast.Constant) else "7" for one in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_sentence_of_the_programs_has_a_shape(path: Path) -> None:
    assert [one for one in sentences(path) if not said.known(one)] == [], "add its shape to lab/said.py"


def test_the_sources_are_read() -> None:
    assert len({one for path in FILES for one in sentences(path)}) > 60


def test_english_is_left_alone() -> None:
    assert said.said("there is no version 7 of 'iris'") == "there is no version 7 of 'iris'"


@pytest.mark.usefixtures("_korean")
def test_every_shape_is_korean_with_the_same_names_in_it() -> None:
    for shape in said.SHAPES:
        if shape == "argument {option}: {why}":  # the option's name and a sentence
            continue
        text = re.sub(r"(?<!\{)\{\w+\}(?!\})", "NAME", shape).replace("{{", "{").replace("}}", "}")
        found = said.said(text)
        assert HANGUL.search(found), shape
        assert found.count("NAME") <= text.count("NAME"), shape


@pytest.mark.usefixtures("_korean")
def test_what_is_not_known_stays_as_it_is() -> None:
    assert said.said("pods is forbidden") == "pods is forbidden"


@pytest.mark.usefixtures("_korean")
def test_a_reason_within_a_sentence_is_translated_too() -> None:
    whole = said.said("no model to answer with: the registry has not answered yet")
    assert whole == "답할 모델이 없습니다: 레지스트리가 아직 답하지 않았습니다"


def korean(caught: pytest.ExceptionInfo[LabError]) -> str:
    assert HANGUL.search(caught.value.message), caught.value.message
    return caught.value.message


@pytest.mark.usefixtures("_korean")
def test_training_options_are_refused_in_korean() -> None:
    with pytest.raises(LabError) as refused:
        training.checked(["--n-estimators", "0"])
    assert korean(refused) == "--n-estimators: '0'은(는) 1에서 5000까지의 정수가 아닙니다"
    with pytest.raises(LabError) as refused:
        training.checked(["--nothing", "1"])
    korean(refused)
    with pytest.raises(LabError) as refused:
        grid.points(["n_estimators=0"])
    korean(refused)


@pytest.mark.usefixtures("_korean")
def test_a_table_is_refused_in_korean(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,b,class\n1,2,x\n1,x,y\n")
    with pytest.raises(LabError) as refused:
        tables.check(path)
    korean(refused)


@pytest.mark.usefixtures("_korean")
def test_what_the_service_refuses_is_told_in_korean() -> None:
    detail = b'{"detail": [{"msg": "3 values, but the model takes 4: a, b, c, d", "type": "length", "loc": ["body"]}]}'
    error = client._refused(422, detail)
    assert error.message == "값이 3개인데 모델은 4개를 받습니다: a, b, c, d"
    assert "답할 모델이 없습니다" in client._refused(503, b'{"detail": "no model to answer with: MLflow"}').message


@pytest.mark.usefixtures("_korean")
@pytest.mark.parametrize("line", ["ports:\n  api: many", "ports:\n  api: 99999999", "colour: red", "aws: moon"])
def test_lab_yaml_is_refused_in_korean(tmp_path: Path, line: str) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(f"{line}\n")
    with pytest.raises((SettingsError, ValidationError)) as refused:
        load(path)
    assert HANGUL.search(str(refused.value)), str(refused.value)


@pytest.mark.usefixtures("_korean")
def test_a_benchmarks_table_is_korean_and_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    rows.show([Row(messages.t("verify, all tenants"), 4.5, "s", "<= 5", 1.0), Row("kubesim", 12.0, "MB")])
    head, korean_row, other, *_ = capsys.readouterr().out.strip().splitlines()
    assert "측정 항목" in head
    assert korean_row.startswith("verify, 모든 테넌트")
    assert cell_len(korean_row.partition("4.50")[0]) == cell_len(other.partition("12.00")[0]) + 1


@pytest.mark.usefixtures("_korean")
def test_the_simulators_benchmark_is_korean_and_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    """Read as it is printed by `python -m kubesim.bench --json`, with every name the benchmark has a figure of Kubernetes for."""
    measured = [Measured(name, "1,234 (p50 0.81 ms)", 1500.0) for name in KUBERNETES]
    show_json(2500, measured)
    _, head, *lines = kubesim.lines(capsys.readouterr().out.splitlines())
    assert HANGUL.search(head)
    assert len(lines) == len(KUBERNETES)
    assert [line for line in lines if not HANGUL.search(line[:36])] == []
    assert {cell_len(line.partition("1,234")[0]) for line in lines} == {37}
    assert [line for line in lines if "1,500 µs" not in line] == []
    assert [line for line in lines if "objects" in line or "controllers" in line] == []


def test_the_simulators_benchmark_is_what_kubesim_says_in_english(capsys: pytest.CaptureFixture[str]) -> None:
    measured = [Measured("start", "0.41 s", 20_000.0), Measured("list of them all", "4.0 ms (p50)")]
    show(2500, measured)
    printed = capsys.readouterr().out
    show_json(2500, measured)
    assert "\n".join([*kubesim.lines(capsys.readouterr().out.splitlines()), ""]) == printed
