"""`--kubeconfig FILE`: tests/conformance and tests/e2e run against a cluster that exists, instead of a simulator of their own.

They need nothing but that file, an administrator's, and images on its nodes: lab/busybox:1, lab/busybox:2 (a shell, Python) and lab/pause:1 for the
conformance tests, the lab's own and mlops-lab/notebook:1 for the end-to-end ones. docs/how-to/kind.md shows how they get there.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

VARIABLE = "LAB_TEST_KUBECONFIG"
"""What the option sets, and what may be set instead of it."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kubeconfig", metavar="FILE", help="run tests/conformance and tests/e2e against this cluster, not a simulator"
    )


def pytest_configure(config: pytest.Config) -> None:
    if named := config.getoption("--kubeconfig"):
        os.environ[VARIABLE] = str(Path(named).absolute())
    if not Path(os.environ.get(VARIABLE) or os.devnull).exists():
        raise pytest.UsageError(f"there is no kubeconfig {os.environ[VARIABLE]}")


def given() -> str:
    """The cluster's kubeconfig; empty where tests make their own."""
    return os.environ.get(VARIABLE, "")
