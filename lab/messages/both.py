"""Texts in both languages at once, for readers who are not known yet: the agent publishes them, and a page shows each viewer their own.

After `lab.messages.use("both")` a text is its English and its Korean between Unicode's interlinear annotation characters, which exist for use
inside programs and stand in nobody's text. So it may be joined to others, put into another text or raised in an error by code that
knows nothing of this; `english` and `korean` take it apart where it leaves the program.
"""

from __future__ import annotations

import re

_ANCHOR, _SEPARATOR, _END = "\ufff9", "\ufffa", "\ufffb"
_PAIR = re.compile(f"{_ANCHOR}([^{_SEPARATOR}]*){_SEPARATOR}([^{_END}]*){_END}")


def pair(in_english: str, in_korean: str) -> str:
    """One text of both, which may themselves have such texts in them; just the text where they are the same."""
    one, other = english(in_english), korean(in_korean)
    return one if one == other else f"{_ANCHOR}{one}{_SEPARATOR}{other}{_END}"


def english(text: str) -> str:
    return _PAIR.sub(r"\1", text)


def korean(text: str) -> str:
    return _PAIR.sub(r"\2", text)
