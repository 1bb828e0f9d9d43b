"""What pods may hold on disk: pure, and what a folder holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubesim.node.storage import Held, excess, limited, on_disk
from kubesim.resources import Object

MI = 1 << 20


def pod(*limits: str, **volumes: Object) -> Object:
    containers = [
        {"name": f"c{at}", "resources": {"limits": {"ephemeral-storage": limit}} if limit else {}}
        for at, limit in enumerate(limits)
    ]
    return {"spec": {"containers": containers, "volumes": [{"name": n, "emptyDir": v} for n, v in volumes.items()]}}


@pytest.mark.parametrize(
    ("body", "containers", "folders", "said"),
    [
        (pod(""), {"c0": 9 * MI}, {}, ""),
        (pod("2Mi"), {"c0": 2 * MI}, {}, ""),
        (
            pod("2Mi"),
            {"c0": 2 * MI + 1},
            {},
            "Pod ephemeral local storage usage exceeds the total limit of containers 2Mi. ",
        ),
        (pod("2Mi", ""), {"c0": 3 * MI}, {}, 'Container c0 exceeded its local ephemeral storage limit "2Mi". '),
        (pod("2Mi", "4Mi"), {"c0": 3 * MI}, {}, 'Container c0 exceeded its local ephemeral storage limit "2Mi". '),
        (pod("2Mi", "4Mi"), {"c0": MI}, {"v": 6 * MI}, ""),
        (
            pod("2Mi", "4Mi", v={}),
            {"c0": MI},
            {"v": 6 * MI},
            "Pod ephemeral local storage usage exceeds the total limit of containers 6Mi. ",
        ),
        (pod("2Mi", v={"medium": "Memory"}), {"c0": MI}, {"v": 6 * MI}, ""),
        (pod("", v={"sizeLimit": "1Mi"}), {}, {"v": MI}, ""),
        (pod("", v={"sizeLimit": "1Mi"}), {}, {"v": 2 * MI}, 'Usage of EmptyDir volume "v" exceeds the limit "1Mi". '),
        (pod("", v={"sizeLimit": "0"}), {}, {"v": 2 * MI}, ""),
    ],
)
def test_what_may_be_held(body: Object, containers: dict[str, int], folders: dict[str, int], said: str) -> None:
    held = Held(containers, {name: size for name, size in folders.items() if body["spec"]["volumes"]})
    assert excess(body, held) == said
    assert limited(body) or not said


def test_a_folder_is_measured_without_following_links(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "file").write_bytes(b"x" * 100_000)
    alone = on_disk(tmp_path / "one")
    assert alone >= 100_000
    (tmp_path / "one" / "link").symlink_to(tmp_path)
    assert on_disk(tmp_path / "one") < alone + 100_000
    assert on_disk(tmp_path / "nothing") == 0
