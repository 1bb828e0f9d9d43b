"""The four patches of the Kubernetes API, and who set which field. Pure: no function changes its arguments (`track_update` sets managedFields)."""

from kubesim.patch.apply import server_side_apply
from kubesim.patch.managers import after_apply, same_but_for_times, track_update
from kubesim.patch.merge import merge_patch
from kubesim.patch.operations import json_patch
from kubesim.patch.strategic import strategic_merge

__all__ = [
    "after_apply",
    "json_patch",
    "merge_patch",
    "same_but_for_times",
    "server_side_apply",
    "strategic_merge",
    "track_update",
]
