"""A lab folder remembers what it was brought up on, from the first moment; another cluster needs another folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import choice, world
from lab.choice import Choice
from lab.errors import LabError


@pytest.fixture(autouse=True)
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LAB_CLUSTER", "LAB_AWS", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LAB_STATE", str(tmp_path))


def test_auto_is_settled_once(tmp_path: Path) -> None:
    first = world.load(cluster="kind")
    assert (first.provider.name, first.provider_why) == ("kind", "as asked")
    first.keep_choice()
    assert (world.load().provider.name, world.load().provider_why) == ("kind", "as before")
    assert world.load().settings.cluster == "kind"
    choice.forget(tmp_path)
    assert world.load().provider.name == "sim"


def test_another_cluster_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    world.load(cluster="sim").keep_choice()
    with pytest.raises(LabError, match="is on sim, not kind") as refusal:
        world.load(cluster="kind").keep_choice()
    assert "down --purge" in refusal.value.hint
    assert choice.read(tmp_path).cluster == "sim"


def test_nodes_are_an_option(tmp_path: Path) -> None:
    assert world.load(cluster="kind", nodes="3").settings.nodes == 3
    with pytest.raises(LabError, match="nodes"):
        world.load(nodes="many")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"cluster": 1}', "null"])
def test_a_damaged_record_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "providers.json").write_text(text)
    assert choice.read(tmp_path) == Choice()
