"""The log: one revision, indexes, history, and what survives."""

from __future__ import annotations

import asyncio
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from kubesim import store as stores
from kubesim.store import Compacted, Exists, Record, Store


def obj(name: str, namespace: str = "a", **more: Any) -> dict[str, Any]:
    return {"kind": "K", "apiVersion": "v1", "metadata": {"name": name, "namespace": namespace}, **more}


def test_one_revision_over_all_kinds() -> None:
    store = Store()
    assert [store.create(kind, obj("x")).revision for kind in ("ks", "ls", "ms")] == [1, 2, 3]
    assert store.get("ls", "a", "x").object["metadata"]["resourceVersion"] == "2"  # type: ignore[union-attr]
    assert (store.changed("ks"), store.changed("none")) == (1, 0)


def test_a_name_is_taken_once() -> None:
    store = Store()
    store.create("ks", obj("x"))
    with pytest.raises(Exists):
        store.create("ks", obj("x"))
    assert store.revision == 1


def test_lists_are_in_order_and_pages_follow_each_other() -> None:
    store = Store()
    for namespace, name in [("b", "z"), ("a", "y"), ("b", "a"), ("a", "x")]:
        store.create("ks", obj(name, namespace))
    assert [record.name for record in store.list("ks")] == ["x", "y", "a", "z"]
    assert [record.name for record in store.list("ks", "b")] == ["a", "z"]
    first = store.page("ks", "", limit=3, after=None)
    assert ([record.name for record in first.records], first.following, first.remaining) == (
        ["x", "y", "a"],
        ("b", "a"),
        1,
    )
    rest = store.page("ks", "", limit=3, after=first.following)
    assert ([record.name for record in rest.records], rest.following) == (["z"], None)


def test_pages_of_every_size_are_the_list_cut_up() -> None:
    store = Store()
    for number in range(23):
        store.create("ks", obj(f"x{number * 7 % 23}", "abc"[number % 3]))
    for namespace in ("", "b", "none"):
        whole = store.list("ks", namespace)
        for limit in (1, 2, 7, 8, 23, 24):
            found: list[Record] = []
            after, remaining = None, len(whole)
            while True:
                page = store.page("ks", namespace, limit=limit, after=after)
                found += page.records
                remaining -= len(page.records)
                assert page.remaining == remaining
                if page.following is None:
                    break
                after = page.following
            assert found == whole
    assert store.page("ks", "", limit=3, after=("b", "")).records == store.list("ks", "b")[:3]
    assert store.page("nothing", "", limit=3, after=None).records == []


def test_changes_tell_before_and_after() -> None:
    store = Store()
    old = store.create("ks", obj("x", n=1))
    new = store.update("ks", obj("x", n=2), old)
    store.delete("ks", new)
    changes = store.changes("ks", 0)
    assert [(change.action, change.revision) for change in changes] == [("ADDED", 1), ("MODIFIED", 2), ("DELETED", 3)]
    assert changes[1].previous is old
    assert changes[2].record.object["n"] == 2
    assert changes[2].record.object["metadata"]["resourceVersion"] == "3"
    assert store.changes("ks", 3) == ()


async def test_who_listens_before_the_scan_misses_nothing() -> None:
    store, changed, told = Store(), asyncio.Event(), []
    with store.listening("ks", changed.set), store.listening("ks", lambda: told.append(len(store.changes("ks", 0)))):
        assert store.changes("ks", 0) == ()
        store.create("ks", obj("x"))
        store.create("ls", obj("x"))
        store.create("ks", obj("y"))
        await asyncio.wait_for(changed.wait(), 1)
        assert told == [2], "one call tells of all that one turn of the loop has written"
    store.create("ks", obj("z"))
    await asyncio.sleep(0)
    assert told == [2]


def test_history_is_bounded_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "HISTORY", 8)
    store = Store()
    for n in range(30):
        store.create("ks", obj(f"x{n}"))
    with pytest.raises(Compacted):
        store.changes("ks", 3)
    assert [change.revision for change in store.changes("ks", 28)] == [29, 30]


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.db")
    old = store.create("ks", obj("x", n=1))
    store.update("ks", obj("x", n=2), old)
    store.delete("ks", store.create("ks", obj("gone")))
    store.close()
    again = Store(tmp_path / "s.db")
    assert again.revision == 4
    assert [record.object["n"] for record in again.list("ks")] == [2]
    assert [change.action for change in again.changes("ks", 1)] == ["MODIFIED", "ADDED", "DELETED"]
    assert again.create("ks", obj("y")).revision == 5


def test_compaction_keeps_the_state_and_forgets_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "KEEP", 3)
    store = Store(tmp_path / "s.db")
    record = store.create("ks", obj("x", n=0))
    for n in range(1, 10):
        record = store.update("ks", obj("x", n=n), record)
    other = store.create("ls", obj("kept"))
    store.delete("ls", store.create("ls", obj("gone")))
    store.compact()
    store.close()
    again = Store(tmp_path / "s.db")
    assert again.revision == 13
    assert [record.object["n"] for record in again.list("ks")] == [9]
    assert [record.data for record in again.list("ls")] == [other.data]
    with pytest.raises(Compacted):
        again.changes("ks", 5)
    assert [change.action for change in again.changes("ls", 11)] == ["ADDED", "DELETED"]


def test_what_ends_after_the_floor_is_still_there_at_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects from before the floor whose last write, or end, is after it."""
    monkeypatch.setattr(stores, "KEEP", 3)
    store = Store(tmp_path / "s.db")
    ends, changes = store.create("ks", obj("ends")), store.create("ks", obj("changes", n=1))
    for n in range(6):
        store.create("ls", obj(f"l{n}"))
    store.delete("ks", ends)
    store.update("ks", obj("changes", n=2), changes)
    store.compact()
    store.close()
    again = Store(tmp_path / "s.db")
    assert [record.object["n"] for record in again.list("ks")] == [2]
    assert [(change.action, change.previous is not None) for change in again.changes("ks", 7)] == [
        ("DELETED", True),
        ("MODIFIED", True),
    ]


def test_any_history_is_read_back_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "KEEP", 7)
    monkeypatch.setattr(stores, "COMPACT_EVERY", 5)
    chance = random.Random(7)
    for round_ in range(20):
        path = tmp_path / f"{round_}.db"
        store = Store(path)
        for n in range(chance.randrange(60)):
            name = f"x{chance.randrange(6)}"
            old = store.get("ks", "a", name)
            if old is None:
                store.create("ks", obj(name, n=n))
            elif chance.random() < 0.4:
                store.delete("ks", old)
            else:
                store.update("ks", obj(name, n=n), old)
        state = [(record.revision, record.data) for record in store.list("ks")]
        store.close()
        again = Store(path)
        assert (again.revision, [(r.revision, r.data) for r in again.list("ks")]) == (store.revision, state)
        rows = again._db.execute("SELECT count(*) FROM log").fetchone()[0]
        assert rows <= len(state) + 6 + stores.KEEP + stores.COMPACT_EVERY, "the file does not grow for ever"
        again.close()


def test_only_the_last_parsed_forms_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "PARSED", 2)
    records = [Record("a", str(n), n, b'{"n":%d}' % n) for n in range(3)]
    first = records[0].object
    assert [record.object["n"] for record in records] == [0, 1, 2]
    assert records[0].object == first
    assert records[0].object is not first


def test_the_log_is_carried_over_into_the_file_by_another_thread(tmp_path: Path) -> None:
    """Without the write-ahead log beside it the file holds what was there when the thread was asked; nobody closed the store."""
    store = Store(tmp_path / "store.db")
    for number in range(stores.COMPACT_EVERY):
        store.create("ks", obj(f"x{number}"))
    assert store._carrier._pending is not None
    store._carrier._pending.result(timeout=60)
    (tmp_path / "copy").mkdir()
    shutil.copy(tmp_path / "store.db", tmp_path / "copy" / "store.db")
    alone = Store(tmp_path / "copy" / "store.db")
    assert (alone.count("ks"), alone.revision) == (stores.COMPACT_EVERY, stores.COMPACT_EVERY)
    alone.close()
    store.close()
