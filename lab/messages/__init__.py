"""What the lab says to people, in English or Korean: LAB_LANG=en (the default) or ko.

    from lab.messages import mark, plural, t

    raise LabError(t("no tenant {number}", number=number))
    plural("{count} tenant", "{count} tenants", count=len(people))
    TITLES = {"cluster": mark("the cluster")}       # at import: marked for the catalogue, translated where it is shown, t(title)

The conventions are gettext's: the English text stands in the code and is the key, translations are in `ko.po`, which every translator's
tool opens. `python -m lab.messages` brings the catalogue up to date with the code (Babel does the merging), and a test fails for a text
that is not in it, a translation that is missing, and an entry that nothing uses.

Three things are not gettext's usual way. The function is `t(text, name=value)` and not `_(text).format(...)`: `_` is the name of what a
loop throws away, and one call cannot forget the other half. The .po file itself is read, by the dozen lines of `lab.messages.catalogue`,
when the first Korean text is asked for: there is no compiled file that could be stale, and English costs nothing at all. And this
package is the standard library only, for `./inv up --bundle` speaks before anything is installed.

Who publishes for readers that are not known yet says both at once: `use("both")`, see `lab.messages.both`.

Not translated: what other programs said (kubectl, AWS, the API server), names of things, commands, keys of JSON. What the lab's own programs
say in English (training in its Job, the iris service), and pydantic of lab.yaml, `lab.said` finds in the catalogue by its shape.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal

Language = Literal["en", "ko", "both"]
LANGUAGES: tuple[Language, ...] = ("en", "ko")
"""Those a person may choose."""
VARIABLE = "LAB_LANG"

_chosen: Language | None = None
_korean: dict[str, str] = {}


def t(message: str, /, **values: object) -> str:
    """`message` in the user's language with `values` in its {places}; without values it is not formatted, braces are braces."""
    return _said(message, translations().get(message, message), values)


def plural(one: str, many: str, /, *, count: int, **values: object) -> str:
    """`one` or `many`, which may both have {count}; Korean has one form."""
    english = one if count == 1 else many
    return _said(english, translations().get(one, english), {"count": count, **values})


def _said(english: str, translated: str, values: Mapping[str, object]) -> str:
    text = translated.format_map(values) if values else translated
    if language() != "both":
        return text
    from lab.messages import both

    return both.pair(english.format_map(values) if values else english, text)


def mark(message: str, /) -> str:
    """`message` itself: a text that exists before it is known who reads it. Show it with t()."""
    return message


def language() -> Language:
    """What LAB_LANG says, or what `use` said since; anything else than "ko" is English."""
    global _chosen
    if _chosen is None:
        _chosen = "ko" if os.environ.get(VARIABLE) == "ko" else "en"
    return _chosen


def use(chosen: Language) -> None:
    """From now on, whatever LAB_LANG says: `./inv verify --lang ko`, the agent, and tests."""
    global _chosen
    _chosen = chosen


def unknown() -> str:
    """The value of LAB_LANG that names no language of the lab, or ""."""
    found = os.environ.get(VARIABLE, "")
    return "" if found in ("", *LANGUAGES) else found


def translations() -> dict[str, str]:
    """English to the user's language; empty for English."""
    if language() == "en":
        return {}
    if not _korean:
        from lab.messages import catalogue

        _korean.update(catalogue.read(catalogue.KOREAN))
    return _korean
