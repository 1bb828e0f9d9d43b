"""A user's CSV file, read and checked before anything is trained, stored or registered: a header line, numbers, and the class in the last column.

Plain Python without NumPy, because two ask: the training itself, and whoever sends a file to one, who wants to know at once and not
from the log of a Job. Every refusal names the line and the column as a spreadsheet shows them.
"""

from __future__ import annotations

import csv
import math
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from training.errors import BadData

MOST_BYTES, MOST_ROWS, MOST_COLUMNS, MOST_CLASSES, FEWEST_ROWS = 20_000_000, 100_000, 200, 50, 20
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-"})
_LARGEST = struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]  # of single precision, in which trees compare


@dataclass(frozen=True)
class Csv:
    """The file's rows as numbers; `labels` are the last column's words, one a row."""

    names: tuple[str, ...]
    rows: list[list[float]]
    labels: list[str]

    @property
    def classes(self) -> tuple[str, ...]:
        """The words of the last column, sorted."""
        return tuple(sorted(set(self.labels)))


def read(path: Path, *, folds: int) -> Csv:
    """Raise BadData, naming line and column, for what cannot be trained on with that many folds."""
    header, lines = _lines(path)
    _check_header(header)
    rows = [_numbers(header, line, number) for number, line in lines]
    labels = [line[-1].strip() for _, line in lines]
    _check_classes(labels, [number for number, _ in lines], column=header[-1], folds=folds)
    for name, column in zip(header, zip(*rows, strict=True), strict=False):
        if min(column) == max(column):
            raise BadData(f"column {name!r} has one value in every row: remove it, it says nothing about the class")
    return Csv(names=tuple(header[:-1]), rows=rows, labels=labels)


def _lines(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header, and every other line that is not blank with its number."""
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise BadData(f"{path.name} has {size / 1e6:.0f} MB; {MOST_BYTES / 1e6:.0f} MB are the most")
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            lines = list(islice(((reader.line_num, row) for row in reader if any(row)), MOST_ROWS + 1))
    except UnicodeDecodeError as error:
        raise BadData(f"{path.name} is not UTF-8 text (byte {error.start}): save it as 'CSV UTF-8'") from error
    except csv.Error as error:
        raise BadData(f"{path.name} is not a CSV file: {error}") from error
    except OSError as error:
        raise BadData(f"cannot read {path}: {error.strerror}") from error
    if len(lines) > MOST_ROWS:
        raise BadData(f"{path.name} has more than {MOST_ROWS} rows")
    if len(lines) < FEWEST_ROWS:
        raise BadData(f"{path.name} has {len(lines)} rows; {FEWEST_ROWS} are the least a model can be judged on")
    return header, lines


def _check_header(header: Sequence[str]) -> None:
    if len(header) < 2:
        other = next((sign for sign in (";", "\t", "|") if sign in "".join(header)), "")
        hint = f"; this file uses {other!r}" if other else ""
        raise BadData(f"the header needs at least one feature and the class, separated by commas{hint}")
    if len(header) > MOST_COLUMNS:
        raise BadData(f"the header has {len(header)} columns; {MOST_COLUMNS} are the most")
    for number, name in enumerate(header, start=1):
        if not name:
            raise BadData(f"column {number} has no name in the header")
        if not name.isprintable() or len(name) > 100:
            raise BadData(f"column {number}'s name is no text of 1 to 100 characters: save the file as 'CSV UTF-8'")
    doubled = [name for name, count in Counter(header).items() if count > 1]
    if doubled:
        raise BadData(f"two columns are called {doubled[0]!r}")
    if all(_is_number(name) for name in header[:-1]):
        raise BadData(f"the first line has numbers ({header[0]}, ...): it must name the columns")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _numbers(header: Sequence[str], line: Sequence[str], number: int) -> list[float]:
    if len(line) != len(header):
        raise BadData(f"line {number} has {len(line)} values, the header {len(header)}")
    return [_number(text, number, name) for text, name in zip(line[:-1], header, strict=False)]


def _number(text: str, number: int, name: str) -> float:
    where = f"line {number}, column {name!r}"
    if text.strip().lower() in MISSING:
        raise BadData(f"{where}: the value is missing" + (f" ({text.strip()!r})" if text.strip() else ""))
    try:
        value = float(text)
    except ValueError as error:
        raise BadData(f"{where}: {text[:40]!r} is not a number") from error
    if not math.isfinite(value) or abs(value) >= _LARGEST:
        raise BadData(f"{where}: {text[:40]!r} is not a finite number a tree can compare")
    return value


def _check_classes(labels: Sequence[str], numbers: Sequence[int], *, column: str, folds: int) -> None:
    counts = Counter(labels)
    for number, label in zip(numbers, labels, strict=True):
        if label.lower() in MISSING - {"none", "-"}:
            raise BadData(f"line {number}: the class (column {column!r}) is missing")
    if len(counts) < 2:
        raise BadData(f"every row is of the class {labels[0]!r}: a model needs at least two to tell apart")
    if len(counts) > MOST_CLASSES:
        raise BadData(f"column {column!r} has {len(counts)} classes, more than {MOST_CLASSES}: is it the class?")
    long = next((label for label in counts if len(label) > 100 or not label.isprintable()), None)
    if long is not None:
        raise BadData(f"column {column!r} has {long[:40]!r}, which is no name of a class (1 to 100 characters)")
    rarest, count = min(counts.items(), key=lambda item: item[1])
    if count < folds + 2:
        raise BadData(f"class {rarest!r} has {count} rows; {folds} folds and a test need {folds + 2}")
