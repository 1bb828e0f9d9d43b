from collections.abc import Iterator

import pytest

from tests.awssim.running import Running, running


@pytest.fixture(scope="session")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One stand-in for the tests that do not restart it; each makes names of its own."""
    with running(tmp_path_factory.mktemp("awssim") / "state") as stand:
        yield stand
