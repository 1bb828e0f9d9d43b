"""`python -m lab.messages`: brings ko.po up to date with the code. Translations stay, new texts are added empty, unused ones go.

A text that was changed a little keeps its old translation, marked fuzzy: translate it again and remove the mark. Ends with 1 where something
is left to translate. For those who work on the lab: it needs Babel, which is among the packages of ./inv test.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from babel.messages import pofile
from babel.messages.catalog import Catalog

from lab.messages import catalogue, sources

_NOISE = (
    '"POT-Creation-Date',
    '"PO-Revision-Date',
    '"Report-Msgid',
    '"Last-Translator',
    '"Language-Team',
    '"Generated-By',
)
"""Lines of the header that would change with every run, or say nothing."""


def template() -> Catalog:
    """Every text of the lab, in the order of the files; with the files it stands in, not the lines, which move too often."""
    made = Catalog(project="mlops-lab", version="1", charset="utf-8")
    for path, source in sources.files():
        for place, many in sources.find(path, source).messages:
            made.add((place.text, many) if many else place.text, locations=[(path, 0)])
    return made


def brought_up_to_date(path: Path) -> Catalog:
    """The catalogue of `path` with the texts that are in the code now."""
    with path.open("rb") as file:
        found = pofile.read_po(file, locale="ko")
    found.update(template(), no_fuzzy_matching=False, update_header_comment=False)
    found.obsolete.clear()
    return found


def write(path: Path, found: Catalog) -> None:
    text = io.BytesIO()
    pofile.write_po(text, found, width=120, include_lineno=False, ignore_obsolete=True)
    kept = [line for line in text.getvalue().decode().splitlines() if not line.startswith(_NOISE)]
    path.write_text("\n".join(kept) + "\n", encoding="utf-8")


def main() -> int:
    found = brought_up_to_date(catalogue.KOREAN)
    write(catalogue.KOREAN, found)
    left = [
        message for message in found if message.id and (message.fuzzy or not message.string or not all(message.string))
    ]
    for message in left:
        print(f"to translate{' again' if message.fuzzy else ''}: {message.id!r}", file=sys.stderr)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
