"""Sessions of STS outlive the process, and no longer than whose they are.

ministack forgets them with the process, so a student's temporary keys would die with a restart; and it knows those of a user or role that
was deleted, which would be good again for the next of the same name.
"""

import time
from typing import Any

from awssim.overrides.replace import replace


def apply() -> None:
    from ministack.core import iam_evaluator
    from ministack.services import sts

    def make_resolve(original: Any) -> Any:
        def resolve(*arguments: Any, **keywords: Any) -> Any:
            found = original(*arguments, **keywords)
            if isinstance(found, iam_evaluator.CredentialResolutionError) or not outlived(found):
                return found
            return iam_evaluator._unknown_access_key()

        return resolve

    def get_state() -> dict[str, Any]:
        now = time.time()
        return {
            "sessions": {
                key: value
                for key, value in sts._sessions.items()
                if not value.get("Expiration") or value["Expiration"] > now
            }
        }

    def load_persisted_state(saved: dict[str, Any]) -> None:
        sts._sessions.update(saved.get("sessions", {}))

    replace(iam_evaluator, "resolve_credential", make_resolve)
    replace(sts, "get_state", lambda _: get_state)
    replace(sts, "load_persisted_state", lambda _: load_persisted_state)


def outlived(credential: Any) -> bool:
    """Is this a session whose user or role is gone, or another of the same name now?"""
    from ministack.core.iam_evaluator import _role_name_from_assumed_arn
    from ministack.services import iam

    if credential.session_token is None:
        return False
    if credential.principal_type == "AssumedRole":
        store, key, name = iam._roles, "RoleId", _role_name_from_assumed_arn(credential.principal_arn)
    elif credential.principal_name:
        store, key, name = iam._users, "UserId", credential.principal_name
    else:
        return False
    owner = store.get_scoped(credential.account_id, None, name) or {}
    if credential.principal_type == "FederatedUser":
        return not owner
    return bool(owner.get(key) != credential.principal_id.partition(":")[0])
