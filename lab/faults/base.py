"""What a fault is: one thing of a running lab that can be broken and mended, the symptom a student sees, and the checks that notice it.

`active` looks at the lab itself, not at a note of ours, so that the guide's cure typed by hand counts as mended.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from lab.messages import t
from lab.settings import Tenant
from lab.world import World


@dataclass(frozen=True)
class Fault:
    """`symptom`, `cure` and `hint` may name {user}, {num}, {namespace}, {profile}, {email}, {bucket}, {repository}, {region}, {cluster}.

    `reddens` are the codes of the checks that fail while it is broken; checks behind these are skipped and not listed. `scope` is "lab" where every
    tenant feels it.
    """

    name: str
    title: str
    symptom: str
    cure: str
    reddens: tuple[str, ...]
    break_it: Callable[[World, Tenant], None]
    mend_it: Callable[[World, Tenant], None]
    active: Callable[[World, Tenant], bool]
    hint: str
    scope: Literal["tenant", "lab"] = "tenant"

    def words(self, text: str, world: World, tenant: Tenant) -> str:
        """`symptom`, `cure` or `hint` with this tenant's own names, in the user's language where it is not what a program says."""
        settings = world.settings
        return t(text).format(
            user=tenant.user,
            num=tenant.num,
            namespace=tenant.namespace,
            profile=tenant.profile,
            email=tenant.email,
            bucket=tenant.bucket,
            repository=tenant.repositories[1],
            region=settings.region,
            cluster=settings.eks_cluster,
        )
