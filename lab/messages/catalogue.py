"""Reads a gettext catalogue (.po): what Babel and translators' tools write, and no more of the format than that.

A test holds this reader against Babel's own for the lab's catalogue. Fuzzy entries are passed over, as msgfmt does: the English text has
changed since somebody translated it.
"""

from __future__ import annotations

import json
from pathlib import Path

KOREAN = Path(__file__).with_name("ko.po")


def read(path: Path) -> dict[str, str]:
    """English to translation; an entry with a plural is found by its singular, and has the one form that Korean has."""
    found = {}
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        entry, fuzzy = _entry(block)
        text = entry.get("msgstr") or entry.get("msgstr[0]", "")
        if text and not fuzzy and entry.get("msgid"):
            found[entry["msgid"]] = text
    return found


def _entry(block: str) -> tuple[dict[str, str], bool]:
    """The strings of one entry by keyword, and whether it is fuzzy. PO's escapes are JSON's."""
    entry: dict[str, str] = {}
    keyword, fuzzy = "", False
    for line in block.splitlines():
        if line.startswith("#"):
            fuzzy = fuzzy or (line.startswith("#,") and "fuzzy" in line)
            continue
        before, quote, rest = line.partition('"')
        keyword = before.strip() or keyword
        entry[keyword] = entry.get(keyword, "") + json.loads(quote + rest)
    return entry, fuzzy
