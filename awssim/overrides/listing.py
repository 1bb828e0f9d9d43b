"""A page of a listing costs a page, not the bucket: ministack sorts every key and walks from the first for each page.

The sorted keys of a large bucket are kept between pages, and used as long as the bucket has the same keys.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from typing import Any

from awssim.overrides.replace import replace

_WORTH_KEEPING = 2000
_KEPT = 8
_LAST, _LONGEST_KEY = chr(0x10FFFF), 1024
Page = tuple[list[str], list[str], bool, str]


def apply() -> None:
    from ministack.services import s3

    kept = Sorted()

    def collect(objects: Mapping[str, Any], prefix: str, delimiter: str, max_keys: int, start_after: str) -> Page:
        return page(kept.keys(objects), prefix, delimiter, max_keys, start_after)

    replace(s3, "_collect_list_entries", lambda _: collect)


class Sorted:
    """The sorted keys of the buckets listed last."""

    def __init__(self) -> None:
        self._lists: dict[int, tuple[list[str], set[str]]] = {}

    def keys(self, objects: Mapping[str, Any]) -> list[str]:
        if len(objects) < _WORTH_KEEPING:
            return sorted(objects)
        found = self._lists.pop(id(objects), None)
        if found is None or objects.keys() != found[1]:
            found = sorted(objects), set(objects)
        self._lists[id(objects)] = found
        while len(self._lists) > _KEPT:
            self._lists.pop(next(iter(self._lists)))
        return found[0]


def page(keys: list[str], prefix: str, delimiter: str, max_keys: int, start_after: str) -> Page:
    """Keys and common prefixes after ``start_after``, whether there are more, and the last of them."""
    contents: list[str] = []
    prefixes: list[str] = []
    last, index = "", max(bisect_left(keys, prefix), bisect_right(keys, start_after) if start_after else 0)
    while index < len(keys) and keys[index].startswith(prefix) and max_keys > 0:
        key = keys[index]
        end = key.find(delimiter, len(prefix)) if delimiter else -1
        common = key[: end + len(delimiter)] if end >= 0 else ""
        if common and common <= start_after:
            index = bisect_left(keys, _after(common), index)
            continue
        if len(contents) + len(prefixes) == max_keys:
            return contents, prefixes, True, last
        last = common or key
        (prefixes if common else contents).append(last)
        index = bisect_left(keys, _after(common), index) if common else index + 1
    return contents, prefixes, False, last


def _after(prefix: str) -> str:
    """The first text that sorts after everything that begins with ``prefix``."""
    kept = prefix.rstrip(_LAST)
    return kept[:-1] + chr(ord(kept[-1]) + 1) if kept else _LAST * (_LONGEST_KEY + 1)
