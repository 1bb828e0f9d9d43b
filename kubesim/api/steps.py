"""What every write passes between decoding and the store: the seam to schema, patch and admission.

The order is Kubernetes's: what the caller sent is decoded (and unknown fields told), defaulted, tracked in managedFields; then admission
changes it; then the server puts what is its own; then it is validated, validating webhooks are asked, and the last checks and the
allocation of addresses happen in one step with the store's write.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubesim import patch
from kubesim.admission import defaults, validation
from kubesim.admission.chain import Chain
from kubesim.admission.request import AdmissionRequest, Operation
from kubesim.api import media
from kubesim.api.request import Call
from kubesim.auth.reader import Reader
from kubesim.errors import BadRequest, UnsupportedMedia
from kubesim.resources import Object, Resource
from kubesim.schema import Model, Schemas

Allocator = Callable[[Object, "Object | None"], None]
"""Completes an object in place, right before it is stored: (new, old or None)."""


class Steps:
    """The steps of a write; `allocators` are by storage name."""

    def __init__(self, schemas: Schemas, chain: Chain, reader: Reader) -> None:
        self.schemas, self.chain, self.reader = schemas, chain, reader
        self.allocators: dict[str, Allocator] = {}

    def model(self, resource: Resource) -> Model:
        return self.schemas.of(resource)

    def decode(self, call: Call, obj: Object) -> Object:
        """As Go reads it: unknown fields are told (Strict: refused) and dropped, wrong types refused. A new object."""
        model = self.model(call.resource)
        if call.options.field_validation != "Ignore":
            problems = [*call.problems, *model.unknown_fields(obj)]
            if problems and call.options.field_validation == "Strict":
                raise model.strict_error(problems)
            call.warnings.extend(problems)
        return model.decode(obj)

    def default(self, resource: Resource, obj: Object) -> None:
        defaults.apply(self.model(resource), obj)

    def track(self, call: Call, obj: Object, live: Object | None, now: str) -> None:
        """Who owns which field, from what changed."""
        manager, subresource = call.options.manager, call.info.subresource
        patch.track_update(self.model(call.resource), live, obj, manager=manager, now=now, subresource=subresource)

    def request(self, call: Call, operation: Operation, obj: Object | None, old: Object | None) -> AdmissionRequest:
        return AdmissionRequest(
            call.resource,
            operation,
            call.user,
            namespace=call.namespace,
            name=call.name or (obj or {}).get("metadata", {}).get("name", ""),
            subresource=call.info.subresource,
            obj=obj,
            old=old,
            dry_run=call.options.dry_run,
            warnings=call.warnings,
        )

    async def mutate(self, request: AdmissionRequest) -> Object:
        await self.chain.mutate(request, self.reader)
        return request.body

    def validate_create(self, resource: Resource, obj: Object) -> None:
        validation.create(self.model(resource), obj)

    def validate_update(self, resource: Resource, obj: Object, old: Object, subresource: str) -> None:
        validation.update(self.model(resource), obj, old, subresource)

    async def ask(self, request: AdmissionRequest) -> None:
        """Validating webhooks: the last thing that awaits."""
        await self.chain.validate_webhooks(request, self.reader)

    def settle(self, request: AdmissionRequest) -> None:
        """The last checks, then addresses and ports. Nothing awaits from here to the store's write."""
        self.chain.validate_final(request, self.reader)
        allocator = self.allocators.get(request.resource.storage)
        if allocator is not None and request.obj is not None:
            allocator(request.obj, request.old)

    def patched(self, call: Call, obj: Object, body: Any, kind: str) -> Object:
        """`obj` with a patch of one of the three stateless kinds applied."""
        if kind == media.JSON_PATCH:
            found = patch.json_patch(obj, body)
        elif kind == media.MERGE_PATCH:
            found = patch.merge_patch(obj, body)
        elif kind == media.STRATEGIC_PATCH and not call.resource.custom:
            found = patch.strategic_merge(self.model(call.resource), obj, body)
        else:
            raise unsupported(call.resource)
        if not isinstance(found.setdefault("metadata", {}), dict):
            raise BadRequest(
                f"{call.resource.kind} in version {call.resource.version!r} cannot be handled: metadata must be an object"
            )
        return found

    def applied(self, call: Call, live: Object | None, body: Object, now: str) -> Object:
        """Server-side apply's merge; not yet defaulted."""
        return patch.server_side_apply(
            self.model(call.resource),
            live,
            self.decode(call, body),
            manager=call.options.field_manager,
            now=now,
            force=call.options.force,
            subresource=call.info.subresource,
        )

    def after_apply(self, call: Call, live: Object | None, obj: Object, now: str) -> None:
        manager, subresource = call.options.manager, call.info.subresource
        patch.after_apply(self.model(call.resource), live, obj, manager=manager, now=now, subresource=subresource)


def unsupported(resource: Resource) -> UnsupportedMedia:
    accepted = [
        media.JSON_PATCH,
        media.MERGE_PATCH,
        *(() if resource.custom else (media.STRATEGIC_PATCH,)),
        media.APPLY_PATCH,
    ]
    if not resource.custom:
        accepted.append(media.APPLY_CBOR)
    return UnsupportedMedia(
        f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
    )
