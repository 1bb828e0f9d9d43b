"""What is written of a service is what it holds, whatever it holds, and is read back as that."""

import copy
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ministack.core.responses import AccountRegionScopedDict, AccountScopedDict

from awssim.state import State


def service() -> Any:
    """A service as ministack's are: it gives copies of what it holds, and takes what was saved."""
    module: Any = ModuleType("service")
    module.copy, module.held = copy, {}
    module.get_state = lambda: {"held": module.copy.deepcopy(module.held)}
    module.load_persisted_state = lambda saved: setattr(module, "held", saved["held"])
    return module


def records() -> dict[str, Any]:
    users, repositories = AccountScopedDict(), AccountRegionScopedDict()
    users["u"] = {"Path": "/", "n": None, "데이터": [1, 2.5, True]}
    users[("bucket", "key")] = "a key of two parts"
    repositories["r"] = {"manifest": b"\x00\xff"}
    return {"users": users, "repositories": repositories}


def plain(held: dict[str, Any]) -> dict[str, Any]:
    return {name: dict(value._data) for name, value in held.items()}


@pytest.mark.parametrize("unusual", ["", "\ud800", 1 << 80], ids=["usual", "half a surrogate pair", "a long number"])
def test_it_comes_back(tmp_path: Path, unusual: object) -> None:
    module, again = service(), service()
    module.held = records()
    module.held["users"]["unusual"] = {"value": unusual}
    State(tmp_path).save("service", module)
    State(tmp_path).load("service", again)
    assert plain(again.held) == plain(module.held)


def test_only_what_has_changed_is_written_and_the_one_before_is_kept(tmp_path: Path) -> None:
    module, state = service(), State(tmp_path)
    module.held = records()
    state.save("service", module)
    first = state.path("service").read_bytes()
    inode = state.path("service").stat().st_ino
    state.save("service", module)
    assert state.path("service").stat().st_ino == inode
    module.held["users"]["u"]["n"] = 1
    state.save("service", module)
    assert state.path("service").with_name("service.json.previous").read_bytes() == first


def test_what_a_service_cannot_write_is_an_error_and_it_copies_as_before(tmp_path: Path) -> None:
    module = service()
    module.held = {"users": object()}
    with pytest.raises(TypeError):
        State(tmp_path).save("service", module)
    assert module.copy is copy
    assert not list(tmp_path.iterdir())
