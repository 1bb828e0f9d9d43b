"""What every write passes between decoding and the store; a seam to patch, schema and admission."""

from __future__ import annotations

from kubesim.api.request import Call
from kubesim.auth.reader import Reader
from kubesim.resources import Object, Resource


class Steps:
    """The steps of a write."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def decode(self, call: Call, obj: Object) -> None:
        """Unknown fields and wrong types."""

    def default(self, resource: Resource, obj: Object) -> None:
        """Fills in what the caller left out."""

    async def mutate(self, call: Call, operation: str, obj: Object, old: Object | None) -> Object:
        return obj

    def validate_create(self, resource: Resource, obj: Object) -> None:
        """Raises Invalid."""

    def validate_update(self, resource: Resource, obj: Object, old: Object, subresource: str) -> None:
        """Raises Invalid."""

    def track(self, call: Call, obj: Object, old: Object | None, now: str) -> Object:
        """Who owns which fields."""
        return obj

    async def check(self, call: Call, operation: str, obj: Object | None, old: Object | None) -> None:
        """Validating admission."""

    def allocate(self, call: Call, obj: Object, old: Object | None) -> None:
        """Addresses and ports: after this nothing awaits until the store has written."""
