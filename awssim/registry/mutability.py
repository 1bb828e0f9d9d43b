"""Which tags may be moved: a repository's mutability, with the tags that its filters except."""

import fnmatch
import re
from typing import Any

from awssim.registry.errors import EcrError

_FILTERS = "imageTagMutabilityExclusionFilters"
_FILTER = re.compile(r"[0-9a-zA-Z._*-]{1,128}")
Record = dict[str, Any]


def check(call: Record) -> None:
    """Refuse filters where there is nothing to except, their absence where there is, and texts that are none."""
    filters = call.get(_FILTERS) or []
    with_exclusion = str(call.get("imageTagMutability", "")).endswith("_WITH_EXCLUSION")
    if bool(filters) != with_exclusion:
        need = "needs" if with_exclusion else "takes no"
        raise EcrError(
            "InvalidParameterException",
            f"Invalid parameter at '{_FILTERS}': {call.get('imageTagMutability', 'MUTABLE')} {need} exclusion filters",
        )
    for item in filters:
        text = str(item.get("filter", ""))
        if item.get("filterType") != "WILDCARD" or not _FILTER.fullmatch(text) or text.count("*") > 2:
            raise EcrError("InvalidParameterException", f"Invalid parameter at '{_FILTERS}': '{text}' is not a filter")


def keep(record: Record, call: Record) -> None:
    """Put a call's mutability into a repository's record."""
    record["imageTagMutability"] = call.get("imageTagMutability", "MUTABLE")
    record[_FILTERS] = call.get(_FILTERS) or []


def told(record: Record) -> Record:
    """A repository's mutability, as answers have it."""
    return {
        "imageTagMutability": record.get("imageTagMutability", "MUTABLE"),
        **({_FILTERS: record[_FILTERS]} if record.get(_FILTERS) else {}),
    }


def is_movable(record: Record, tag: str) -> bool:
    """May the tag be given to another image?"""
    mutability = str(record.get("imageTagMutability", "MUTABLE"))
    excepted = any(fnmatch.fnmatchcase(tag, item["filter"]) for item in record.get(_FILTERS) or [])
    return excepted != mutability.startswith("MUTABLE")
