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
