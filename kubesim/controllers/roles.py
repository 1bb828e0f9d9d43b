"""Aggregated ClusterRoles: their rules are those of the roles that their selectors choose."""

from __future__ import annotations

from kubesim.auth.aggregate import aggregated_rules
from kubesim.controllers.informer import Key, key_of
from kubesim.controllers.kinds import CLUSTER_ROLES
from kubesim.controllers.meta import deleting
from kubesim.controllers.runtime import Cluster, Controller
from kubesim.resources import Object


class Aggregation(Controller):
    name = "clusterrole-aggregation-controller"
    workers = 1

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.roles = self.informer(CLUSTER_ROLES)
        self.roles.on(self._changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        """Any role may feed any aggregated one; there are few of those."""
        for role in self.roles.items():
            if (role.get("aggregationRule") or {}).get("clusterRoleSelectors"):
                self.queue.add(key_of(role))

    async def reconcile(self, key: Key) -> None:
        role = self.roles.get(*key)
        if role is None or deleting(role):
            return
        rules = aggregated_rules(role, self.roles.items())
        if rules is not None and rules != (role.get("rules") or []):
            await self.cluster.update(CLUSTER_ROLES, role | {"rules": rules})
