"""What ministack does not know of IAM's users: renaming one, and what one has none of.

Terraform renames users in place, and asks for keys, certificates and credentials of other services before it deletes one by force.
"""

from typing import Any

from awssim.errors import Refused

_NONE = {
    "ListSSHPublicKeys": "SSHPublicKeys",
    "ListSigningCertificates": "Certificates",
    "ListServiceSpecificCredentials": "ServiceSpecificCredentials",
}


def answer(iam: Any, action: str, call: dict[str, str]) -> Any:
    """The answer to a call, or None where ministack is to answer."""
    if action in _NONE:
        _known(iam, call.get("UserName", ""))
        inner = f"<{_NONE[action]}/><IsTruncated>false</IsTruncated>"
        return iam._xml(200, f"{action}Response", f"<{action}Result>{inner}</{action}Result>", ns="iam")
    if action == "UpdateUser":
        rename(iam, call)
        return iam._xml(200, "UpdateUserResponse", "", ns="iam")
    return None


def _known(iam: Any, name: str) -> dict[str, Any]:
    user: dict[str, Any] | None = iam._users.get(name)
    if user is None:
        raise Refused("NoSuchEntity", f"The user with name {name} cannot be found.", status=404)
    return user


def rename(iam: Any, call: dict[str, str]) -> None:
    """A new name or path: the user's policies, groups and keys stay theirs."""
    from ministack.core.responses import get_account_id

    old, new = call["UserName"], call.get("NewUserName") or call["UserName"]
    user = _known(iam, old)
    if new != old and new in iam._users:
        raise Refused("EntityAlreadyExists", f"User with name {new} already exists.", status=409)
    path = call.get("NewPath") or user.get("Path") or "/"
    user |= {"UserName": new, "Path": path, "Arn": f"arn:aws:iam::{get_account_id()}:user{path}{new}"}
    del iam._users[old]
    iam._users[new] = user
    for store in (iam._user_inline_policies, iam._login_profiles):
        if old in store:
            held = store[old]
            del store[old]
            store[new] = held
    for key in iam._access_keys.values():
        if key["UserName"] == old:
            key["UserName"] = new
    for group in iam._groups.values():
        group["Users"] = [new if name == old else name for name in group.get("Users", [])]
