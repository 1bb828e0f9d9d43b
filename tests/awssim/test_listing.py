"""Pages of a listing, judged by the plain way: every row of the bucket, sorted, then cut."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from awssim.overrides.listing import Page, Sorted, page

names = st.lists(st.text(alphabet="ab/é한", min_size=1, max_size=5), max_size=30, unique=True)
parts = st.text(alphabet="ab/", max_size=2)


def plain(keys: list[str], prefix: str, delimiter: str, max_keys: int, start_after: str) -> Page:
    rows: dict[str, bool] = {}
    for key in sorted(keys):
        if key.startswith(prefix):
            end = key.find(delimiter, len(prefix)) if delimiter else -1
            rows[key[: end + len(delimiter)] if end >= 0 else key] = end >= 0
    left = [row for row in sorted(rows) if row > start_after]
    taken = left[:max_keys]
    last = taken[-1] if taken else ""
    return [row for row in taken if not rows[row]], [row for row in taken if rows[row]], len(left) > len(taken), last


@given(names, parts, st.sampled_from(["", "/", "a", "ab"]), st.integers(1, 8), parts)
def test_a_page_is_a_cut_of_all_rows(
    keys: list[str], prefix: str, delimiter: str, max_keys: int, start_after: str
) -> None:
    assert page(sorted(keys), prefix, delimiter, max_keys, start_after) == plain(
        keys, prefix, delimiter, max_keys, start_after
    )


@given(names, st.sampled_from(["", "/"]), st.integers(1, 4))
def test_pages_give_everything_once(keys: list[str], delimiter: str, max_keys: int) -> None:
    seen, marker, more = [], "", True
    while more:
        contents, prefixes, more, marker = page(sorted(keys), "", delimiter, max_keys, marker)
        seen += contents + prefixes
    contents, prefixes, _, _ = page(sorted(keys), "", delimiter, 10_000, "")
    assert sorted(seen) == sorted(contents + prefixes)


def test_the_kept_order_follows_the_bucket() -> None:
    kept, objects = Sorted(), {f"k{number:05}": None for number in range(3000)}
    assert kept.keys(objects) is kept.keys(objects)
    changed: dict[str, Any] = objects
    changed["a"] = None
    assert kept.keys(changed)[0] == "a"
    del changed["a"]
    changed["z"] = None
    assert kept.keys(changed)[-1] == "z"
    assert len(kept.keys(changed)) == 3001
