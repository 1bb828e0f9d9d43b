"""Columns of text on a terminal, where a Korean letter is two cells wide and `f"{text:<12}"` would count it as one."""

from __future__ import annotations

import unicodedata


def width(text: str) -> int:
    """The cells that a terminal gives to `text`."""
    if text.isascii():
        return len(text)
    return sum((unicodedata.east_asian_width(letter) in "WF") + (not unicodedata.combining(letter)) for letter in text)


def left(text: str, cells: int) -> str:
    """`text` and the spaces up to `cells`."""
    return text + " " * (cells - width(text))


def right(text: str, cells: int) -> str:
    return " " * (cells - width(text)) + text


def wrapped(text: str, cells: int) -> list[str]:
    """Lines of whole words, none wider than `cells` but for a word that is."""
    lines: list[str] = []
    for word in text.split():
        if lines and width(lines[-1]) + 1 + width(word) <= cells:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
