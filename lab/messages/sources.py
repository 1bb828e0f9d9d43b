"""Finds, in source text, what the lab says to people, and what it would say untranslated. Reads syntax trees, imports nothing.

Messages are the literals of `t`, `plural` and `mark`, and what invoke prints: a command's docstring and the texts of its `help`. Everything
else that reads like words is a problem, wherever it stands: a text with two words, or a single word on a road that leads to a user (an
error, a Finding, a step's title, print) or in a module whose job is to print (`SPEAKING`). Docstrings, logs, errors for developers,
comparisons and keys are for programs and those who write them; `NOT_WORDS` lists what looks like words and is not.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lab.messages.exempt import NOT_WORDS

ROADS = frozenset(
    {"LabError", "SettingsError", "ToolMissing", "ClusterError", "AwsError", "Busy", "NotServed", "NotReady", "Failed"}
    | {
        "Row",
        "Unanswered",
        "Damaged",
        "require",
        "Finding",
        "Step",
        "print",
        "say",
        "aside",
        "Text",
        "input",
        "add_column",
    }
)
"""Functions whose texts a user reads, by name; methods too (`console.print`)."""

SPEAKING = ("show.py", "doctor.py", "status.py", "report.py", "text.py", "rehearsal.py", "down.py", "terminal.py")
"""Modules that print: single words count as words there."""

_CATALOGUE = frozenset({"t", "plural", "mark"})
_DEVELOPERS = frozenset({"ValueError", "TypeError", "RuntimeError", "KeyError", "AssertionError", "OSError"})
_VALIDATING = "lab/settings.py"
"""What its ValueErrors say, pydantic hands on to the user."""
_SILENT = frozenset({"log", "re", "Literal", "TypeVar", "Field", "getattr", "hasattr", "startswith", "endswith", "get"})
_FOR_PROGRAMS = frozenset({"style", "end", "sep", "encoding", "mode", "errors", "name", "json_", "after", "justify"})
_NAMES = {"Step": (0,), "Check": (0, 1, 2, 3), "Fault": (0, 2), "Text": (1,)}
"""Arguments, by position, that are names, styles or in both languages already (a check's titles), or what a program says (a symptom)."""
_WORD = re.compile(r"[\"'(]*[a-z]{2,}(?:'s?)?[,.:;)!?\"']*")
_PLACE = re.compile(r"\{[^{}]*\}")
_COMMAND = re.compile(r"(?:[A-Z_]+=\S+ )*(?:\./inv|kubectl|aws|docker|sudo|kind|rm|git|eval|mkdir|export|ip|tar) ")
_ENGLISH = re.compile(
    r", (?!\S+=)|: [a-z]| (?:goes|makes|or|and|keeps|removes|shows|fetches|agrees|adds|brings|asks|needs|has|tries|only|lists|"
    r"without|starts|there|ends|then)(?= |$)"
)


@dataclass(frozen=True)
class Place:
    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text!r}"


@dataclass
class Found:
    """`messages` belong into the catalogue (with the plural, or ""); `problems` are words that would be shown as they are."""

    messages: list[tuple[Place, str]] = field(default_factory=list)
    problems: list[Place] = field(default_factory=list)


def find(path: str, source: str, *, exempt: Mapping[str, frozenset[str]] = NOT_WORDS) -> Found:
    found = Found()
    _Reader(path, found, exempt[""] | exempt.get(path, frozenset())).visit(ast.parse(source))
    return found


class _Reader(ast.NodeVisitor):
    def __init__(self, path: str, found: Found, names: frozenset[str]) -> None:
        self.path = path
        self.found = found
        self.speaking = path.endswith(SPEAKING)
        self.names = names
        self.on_road = False

    # What is for people: the catalogue's functions, and commands.

    def visit_Call(self, node: ast.Call) -> None:
        name, owner = _called(node.func)
        if name in _CATALOGUE and not owner:
            self._catalogued(node, name)
            return
        if (name in _DEVELOPERS and not self.path.endswith(_VALIDATING)) or name in _SILENT or owner in _SILENT:
            return
        before, self.on_road = self.on_road, self.on_road or name in ROADS
        for position, argument in enumerate(node.args):
            if position not in _NAMES.get(name, ()):
                self.visit(argument)
        for keyword in node.keywords:
            if keyword.arg not in _FOR_PROGRAMS:
                self.visit(keyword.value)
        self.on_road = before
        if isinstance(node.func, ast.Attribute):
            self.visit(node.func.value)

    def _catalogued(self, node: ast.Call, name: str) -> None:
        texts = node.args[: 2 if name == "plural" else 1]
        literal = [one.value for one in texts if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        if len(literal) == len(texts):
            place = Place(self.path, node.lineno, literal[0])
            self.found.messages.append((place, literal[1] if name == "plural" else ""))
        elif name != "t" or any(isinstance(one, ast.JoinedStr | ast.BinOp) for one in texts):
            self.found.problems.append(
                Place(self.path, node.lineno, f"{name}() of no literal: {ast.unparse(node)[:80]}")
            )
        for value in [*node.args[len(texts) :], *(keyword.value for keyword in node.keywords)]:
            self.visit(value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and _called(decorator.func)[0] == "command":
                self._command(node, decorator)
        for child in node.body:
            self.visit(child)

    def _command(self, node: ast.FunctionDef, decorator: ast.Call) -> None:
        if said := ast.get_docstring(node):
            self.found.messages.append((Place(self.path, node.lineno, inspect.cleandoc(said)), ""))
        for keyword in decorator.keywords:
            if keyword.arg == "help" and isinstance(keyword.value, ast.Dict):
                for value in keyword.value.values:
                    if isinstance(value, ast.Constant):
                        self.found.messages.append((Place(self.path, value.lineno, str(value.value)), ""))

    # What is for programs and their authors.

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self.visit(node.value)

    def visit_Compare(self, node: ast.Compare) -> None:
        return

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if not isinstance(node.op, ast.Div):  # path / "users" / "01"
            self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.visit(node.value)

    def visit_Dict(self, node: ast.Dict) -> None:
        for key, value in zip(node.keys, node.values, strict=True):
            if key is not None and not isinstance(key, ast.Constant):
                self.visit(key)
            self.visit(value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_arg(self, node: ast.arg) -> None:
        return

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.visit(node.body)
        self.visit(node.orelse)

    # Texts.

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self._judge(node, node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self._judge(node, "".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values))
        for one in node.values:
            if isinstance(one, ast.FormattedValue):
                self.visit(one.value)

    def _judge(self, node: ast.expr, text: str) -> None:
        if words(text, strict=self.on_road or self.speaking) and text not in self.names:
            self.found.problems.append(Place(self.path, node.lineno, text))


def words(text: str, *, strict: bool) -> bool:
    """Whether `text` is in a human language: it has a word beside something else or, `strict`, a word at all."""
    if is_command(text) or text.lstrip().startswith((":root {", "() =>")):  # a style sheet, a page's script
        return False
    tokens = text.split()
    return any(_WORD.fullmatch(token) for token in tokens) and (strict or len(tokens) > 1)


def is_command(text: str) -> bool:
    """A command to type is the same in every language: "./inv up --tenants {}", but not "./inv up goes on"."""
    return bool(_COMMAND.match(text + " ")) and not _ENGLISH.search(text)


def _called(function: ast.expr) -> tuple[str, str]:
    """A call's function and, for a method, the name it belongs to."""
    if isinstance(function, ast.Name):
        return function.id, ""
    if isinstance(function, ast.Attribute):
        return function.attr, function.value.id if isinstance(function.value, ast.Name) else "."
    return "", ""


def files() -> Iterator[tuple[str, str]]:
    """The lab's own modules and tasks.py: path from the clone's folder, and text."""
    from lab.settings import ROOT

    for path in [*sorted((ROOT / "lab").rglob("*.py")), ROOT / "tasks.py"]:
        name = str(path.relative_to(ROOT))
        if not name.startswith(ELSEWHERE):
            yield name, path.read_text(encoding="utf-8")


ELSEWHERE = (
    "lab/messages/",
    "lab/benches/peers/",
    "lab/benches/classroom.py",
    "lab/reference.py",
    "lab/faults/words.py",
    "lab/reports/guide.py",
    "lab/agent/objects.py",
)
"""This package; programs beside which the service is measured; a class made up; the English reference; what is in both languages side by side
already: what an instructor says, the guides' layout, and what the dashboard is told."""
