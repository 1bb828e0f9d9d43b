"""ResourceQuota: a write that would use more of a namespace than its quotas allow is refused.

Use is summed from the store at the moment of the write, not taken from the quota's status: there is nothing to charge, so no two writes can be
charged against the same rest, and no crash can leave a quota charged for what was never stored. (Kubernetes writes the status first.)
"""

from __future__ import annotations

from collections.abc import Iterable

from kubesim.admission import quota as arithmetic
from kubesim.admission.amounts import Amount, Amounts, count, listed, total
from kubesim.admission.request import AdmissionRequest, Plugin
from kubesim.auth.reader import Derived, Reader, by_namespace
from kubesim.resources import Object

QUOTAS = "v1/resourcequotas"
_REMEMBERED = 20_000


class ResourceQuota(Plugin):
    def __init__(self) -> None:
        self._quotas = Derived((QUOTAS,), lambda reader: by_namespace(reader.list(QUOTAS)))
        self._usages: dict[tuple[str, str], Amounts] = {}

    def validate(self, request: AdmissionRequest, reader: Reader) -> None:
        kind = request.resource.group_resource
        if not _is_charged(request, kind):
            return
        quotas = [
            one
            for one in self._quotas.of(reader).get(request.namespace, ())
            if kind in arithmetic.kinds(one) and arithmetic.matches(one, kind, request.body)
        ]
        if not quotas:
            return
        if kind == "pods":
            _check_specified(request, quotas)
        present = [
            one
            for one in reader.list(request.resource.key, request.namespace)
            if one["metadata"]["name"] != request.name
        ]
        for one in quotas:
            self._check(request, one, present)

    def _check(self, request: AdmissionRequest, quota: Object, present: Iterable[Object]) -> None:
        kind = request.resource.group_resource
        limit = arithmetic.hard(quota)
        old = self._usage(kind, request.old) if request.old and arithmetic.matches(quota, kind, request.old) else {}
        used = total((self._usage(kind, one) for one in self._counted(quota, kind, [*present, request.old])), limit)
        new = arithmetic.usage(kind, request.body)
        wanted = {
            name: Amount(amount.value - old.get(name, count(0)).value, amount.like) for name, amount in new.items()
        }
        over = arithmetic.exceeded(limit, used, wanted)
        if over:
            used = {name: used.get(name, count(0)) for name in over}
            raise request.forbid(
                f"exceeded quota: {quota['metadata']['name']}, requested: {listed(wanted, over)}, "
                f"used: {listed(used, over)}, limited: {listed(limit, over)}"
            )

    def _counted(self, quota: Object, kind: str, objects: Iterable[Object | None]) -> Iterable[Object]:
        scoped = arithmetic.is_scoped(quota)
        return (one for one in objects if one is not None and (not scoped or arithmetic.matches(quota, kind, one)))

    def _usage(self, kind: str, obj: Object) -> Amounts:
        """An object's use, remembered by its version."""
        key = (obj["metadata"].get("uid", ""), obj["metadata"].get("resourceVersion", ""))
        if key not in self._usages:
            if len(self._usages) >= _REMEMBERED:
                self._usages.clear()
            self._usages[key] = arithmetic.usage(kind, obj)
        return self._usages[key]


def _is_charged(request: AdmissionRequest, kind: str) -> bool:
    if not request.namespace:
        return False
    if request.operation == "CREATE":
        return not request.subresource
    if request.operation == "UPDATE" and kind == "pods":
        return request.subresource == "resize"
    return request.operation == "UPDATE" and not request.subresource and kind in ("services", "persistentvolumeclaims")


def _check_specified(request: AdmissionRequest, quotas: Iterable[Object]) -> None:
    for one in quotas:
        missing = arithmetic.unspecified(one, request.body)
        if missing:
            raise request.forbid(f"failed quota: {one['metadata']['name']}: must specify {missing}")
