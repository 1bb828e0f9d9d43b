"""PodDisruptionBudgets: how many pods may be evicted now."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from kubesim.controllers.clock import parse, stamp
from kubesim.controllers.informer import Key, key_of
from kubesim.controllers.kinds import BUDGETS, DEPLOYMENTS, PODS, REPLICA_SETS, REPLICATION_CONTROLLERS, STATEFUL_SETS
from kubesim.controllers.meta import controller_of, deleting, is_finished, is_ready, labels_of, set_condition
from kubesim.controllers.rollout import percent, replicas_of
from kubesim.controllers.runtime import Cluster, Controller
from kubesim.resources import Object
from kubesim.selectors import from_label_selector

DISRUPTION_SECONDS = 120


class Budgets(Controller):
    name = "disruption-controller"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.budgets = self.on(BUDGETS)
        self.pods = self.on(PODS, self._budgets_of)
        self.scaled = {
            "ReplicaSet": self.informer(REPLICA_SETS),
            "ReplicationController": self.informer(REPLICATION_CONTROLLERS),
            "StatefulSet": self.informer(STATEFUL_SETS),
            "Deployment": self.informer(DEPLOYMENTS),
        }

    def _budgets_of(self, pod: Object) -> Iterable[Key]:
        return [key_of(b) for b in self.budgets.items(pod["metadata"]["namespace"]) if _selects(b, pod)]

    async def reconcile(self, key: Key) -> float | None:
        budget = self.budgets.get(*key)
        if budget is None or deleting(budget):
            return None
        pods = [p for p in self.pods.items(key.namespace) if _selects(budget, p) and not is_finished(p)]
        disrupted, again = self._disrupted(budget, pods)
        expected, desired = self._wanted(budget, pods)
        healthy = sum(is_ready(p) and not deleting(p) and p["metadata"]["name"] not in disrupted for p in pods)
        allowed = max(0, healthy - desired) if expected else 0
        status: Object = {
            "observedGeneration": budget["metadata"].get("generation", 0),
            "disruptionsAllowed": allowed,
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "expectedPods": expected,
            "conditions": self._conditions(budget, allowed),
        }
        if disrupted:
            status["disruptedPods"] = disrupted
        await self.cluster.update_status(BUDGETS, budget, status)
        return again

    def _conditions(self, budget: Object, allowed: int) -> list[Object]:
        new = {
            "type": "DisruptionAllowed",
            "status": "True" if allowed else "False",
            "reason": "SufficientPods" if allowed else "InsufficientPods",
            "message": "",
            "lastTransitionTime": stamp(self.clock.now()),
            "observedGeneration": budget["metadata"].get("generation", 0),
        }
        return set_condition((budget.get("status") or {}).get("conditions") or [], new)

    def _disrupted(self, budget: Object, pods: Iterable[Object]) -> tuple[dict[str, str], float | None]:
        """Evictions the API granted whose pods are not seen to go yet; forgotten after two minutes."""
        present = {p["metadata"]["name"]: p for p in pods}
        now = self.clock.now()
        kept: dict[str, str] = {}
        waits = []
        for name, at in ((budget.get("status") or {}).get("disruptedPods") or {}).items():
            left = (parse(at) + timedelta(seconds=DISRUPTION_SECONDS) - now).total_seconds()
            if name in present and not deleting(present[name]) and left > 0:
                kept[name] = at
                waits.append(left)
        return kept, min(waits, default=None)

    def _wanted(self, budget: Object, pods: list[Object]) -> tuple[int, int]:
        """(pods there should be, pods that must stay healthy)."""
        spec = budget["spec"]
        if spec.get("maxUnavailable") is not None:
            expected = self._scale(pods)
            return expected, max(0, expected - percent(spec["maxUnavailable"], expected, up=True))
        minimum = spec.get("minAvailable", 1)
        if isinstance(minimum, str):
            expected = self._scale(pods)
            return expected, percent(minimum, expected, up=True)
        return len(pods), int(minimum)

    def _scale(self, pods: Iterable[Object]) -> int:
        """The sum of what the pods' controllers want; a pod without one counts as itself."""
        owners: dict[str, int] = {}
        for pod in pods:
            owner = controller_of(pod)
            if owner is None:
                owners[pod["metadata"]["uid"]] = 1
                continue
            found = self._top(owner, pod["metadata"]["namespace"])
            if found is not None:
                owners[found["metadata"]["uid"]] = replicas_of(found)
        return sum(owners.values())

    def _top(self, owner: Object, namespace: str) -> Object | None:
        informer = self.scaled.get(owner["kind"])
        found = informer.get(namespace, owner["name"]) if informer else None
        above = controller_of(found) if found else None
        return (self._top(above, namespace) or found) if above else found


def _selects(budget: Object, pod: Object) -> bool:
    return from_label_selector(budget["spec"].get("selector")).matches(labels_of(pod))
