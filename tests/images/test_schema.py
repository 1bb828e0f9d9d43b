"""The recorded schema is what MLflow's migrations come to, and a database made from it is one MLflow takes for its own."""

from __future__ import annotations

import pytest

from tests.images import schema

pytestmark = pytest.mark.timeout(300)


def test_the_recorded_schema_is_what_the_migrations_come_to() -> None:
    assert schema.SCHEMA.read_text() == schema.migrated(), "MLflow has changed: python -m tests.images.schema"
