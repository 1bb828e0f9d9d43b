"""A lab that has AWS and two tenants with repositories, and no cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.world import World
from tests.lab.push.accounts import with_accounts


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with with_accounts(tmp_path_factory.mktemp("push")) as made:
        yield made
