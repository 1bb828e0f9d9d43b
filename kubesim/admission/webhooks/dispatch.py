"""Asks the webhooks that want a request: mutating ones one after the other, validating ones side by side."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable

import jsonpatch

from kubesim.admission.request import AdmissionRequest
from kubesim.admission.webhooks import conditions, review
from kubesim.admission.webhooks.caller import Caller, CallFailed
from kubesim.admission.webhooks.hook import GROUP, MUTATING, VALIDATING, Hook, hooks
from kubesim.admission.webhooks.review import Answer, BadAnswer
from kubesim.auth.attributes import quote
from kubesim.auth.reader import Derived, Reader
from kubesim.errors import ApiError, BadRequest, InternalError
from kubesim.resources import Object

_IDENTITY = ("name", "namespace", "uid")
"""What was authorized and will be charged for: no webhook moves an object elsewhere."""

log = logging.getLogger("kubesim.admission")


class Webhooks:
    """Both kinds of webhook, read from the store whenever their configurations change."""

    def __init__(self) -> None:
        self._caller = Caller()
        self._mutating = Derived((MUTATING,), lambda reader: hooks(MUTATING, reader))
        self._validating = Derived((VALIDATING,), lambda reader: hooks(VALIDATING, reader))

    async def close(self) -> None:
        await self._caller.close()

    async def mutate(
        self, request: AdmissionRequest, reader: Reader, settle: Callable[[AdmissionRequest], None]
    ) -> None:
        """Let each webhook change `request.obj` in turn; `settle` runs after a round that changed something.

        A webhook whose reinvocationPolicy is IfNeeded is asked once more where the object is no longer what it left.
        """
        left: list[tuple[Hook, Object | None]] = []
        changed = False
        for hook in self._mutating.of(reader):
            if _is_exempt(request) or not hook.wants(request, reader):
                continue
            changed |= await self._change(hook, request, reader)
            left.append((hook, request.obj))
        if not changed:
            return
        settle(request)
        again = False
        for hook, seen in left:
            if hook.wants_again and request.obj != seen and hook.wants(request, reader):
                again |= await self._change(hook, request, reader)
        if again:
            settle(request)

    async def validate(self, request: AdmissionRequest, reader: Reader) -> None:
        """Raise the first refusal, in the order of the webhooks."""
        wanting = [
            hook for hook in self._validating.of(reader) if not _is_exempt(request) and hook.wants(request, reader)
        ]
        if not wanting:
            return
        asked = (self._ask(hook, request, reader, mutating=False) for hook in wanting)
        for outcome in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _change(self, hook: Hook, request: AdmissionRequest, reader: Reader) -> bool:
        answer = await self._ask(hook, request, reader, mutating=True)
        if answer is None or not answer.patch or request.obj is None:
            return False
        try:
            patched = jsonpatch.apply_patch(request.obj, list(answer.patch))
        except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError, KeyError) as error:
            raise _internal(
                f"admission webhook {quote(hook.name)} returned a patch that does not apply: {error}"
            ) from error
        if not isinstance(patched, dict) or not isinstance(patched.get("metadata"), dict):
            raise _internal(f"admission webhook {quote(hook.name)} returned a patch that leaves no object")
        if any(patched["metadata"].get(key) != request.obj["metadata"].get(key) for key in _IDENTITY):
            raise _internal(f"admission webhook {quote(hook.name)} returned a patch that makes another object of it")
        changed = patched != request.obj
        request.obj = patched
        return changed

    async def _ask(self, hook: Hook, request: AdmissionRequest, reader: Reader, *, mutating: bool) -> Answer | None:
        """The webhook's consent, or None where it has no say. Raises its refusal, or why it could not be asked if it must be."""
        try:
            if not _meets_conditions(hook, request):
                return None
            if request.dry_run and hook.has_side_effects:
                raise BadRequest(f"admission webhook {quote(hook.name)} does not support dry run")
            uid = str(uuid.uuid4())
            raw = await self._caller.post(hook, review.question(request, uid), reader)
            answer = review.answer(raw, uid, mutating=mutating)
        except (CallFailed, BadAnswer, conditions.ConditionError) as error:
            if hook.is_required:
                raise _internal(f"failed calling webhook {quote(hook.name)}: {error}") from error
            log.warning("Failed calling webhook, failing open %s: %s", hook.name, error)
            return None
        request.warnings.extend(answer.warnings)
        if not answer.allowed:
            raise review.denial(hook.name, answer.result)
        return answer


def _meets_conditions(hook: Hook, request: AdmissionRequest) -> bool:
    wanted = hook.body.get("matchConditions") or ()
    if not wanted:
        return True
    variables = {"object": request.obj, "oldObject": request.old, "request": review.attributes(request)}
    return conditions.hold(wanted, variables)


def _is_exempt(request: AdmissionRequest) -> bool:
    """No webhook may stand in the way of repairing the webhooks."""
    return request.resource.group == GROUP


def _internal(why: str) -> ApiError:
    return InternalError(f"Internal error occurred: {why}", details={"causes": [{"message": why}]})
