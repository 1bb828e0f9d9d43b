"""Who may call IAM and STS, about whom: what ministack answers for anybody.

It takes a call without a user's name for one about a user called ``default``, deletes and disables any access key whose id is given whoever
its owner is, gives a user any number of keys, and lets every temporary credential use IAM. It does not compare parameters with the service's
model, lets a session last for years and root assume roles. A handful of calls it does not know are answered here.
"""

from typing import Any
from xml.sax.saxutils import escape

from awssim import grammar
from awssim.errors import Refused
from awssim.overrides import managed, policies, trust, users
from awssim.overrides.replace import replace

_KEYS_EACH = 2
_ON_A_KEY = ("DeleteAccessKey", "UpdateAccessKey")
_ON_ONESELF = ("CreateAccessKey", "ListAccessKeys", *_ON_A_KEY)
_TRUST = {"CreateRole": "AssumeRolePolicyDocument", "UpdateAssumeRolePolicy": "PolicyDocument"}
_ROOT_SECONDS = 3600
_CHAINED_SECONDS = 3600
Parameters = dict[str, str]


def apply() -> None:
    from ministack.services import iam, sts

    for name, module, check in (("iam", iam, check_iam), ("sts", sts, check_sts)):
        replace(module, "handle_request", _wrapper(iam, name, check))


def _wrapper(iam: Any, service: str, check: Any) -> Any:
    def make(original: Any) -> Any:
        async def handle_request(method: str, path: str, headers: Any, body: bytes, query: Any) -> Any:
            call = {name: values[0] for name, values in query.items()}  # one each: awssim.calls
            action, plain = call.get("Action", ""), {**headers, "content-type": ""}
            try:
                _check_grammar(service, action, call)
                answer = check(iam, action, call, _caller(headers, query))
            except Refused as refusal:
                return iam._error(refusal.status or 400, refusal.code, escape(refusal.message), ns=service)
            if answer is not None:
                return answer
            return await original(method, path, plain, b"", {name: [value] for name, value in call.items()})

        return handle_request

    return make


def _caller(headers: Any, query: Any) -> Any:
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_account_id
    from ministack.core.router import extract_access_key_id

    found = iam_evaluator.resolve_credential(str(extract_access_key_id(headers, query)), get_account_id())
    if isinstance(found, iam_evaluator.CredentialResolutionError):
        raise Refused("InvalidClientTokenId", found.message, status=403)
    return found


def _check_grammar(service: str, action: str, call: Parameters) -> None:
    found = grammar.problem(service, action, call)
    if found:
        name, reason = found
        raise Refused("ValidationError", grammar.sentence(name, call.get(name), reason))


# -- IAM


def check_iam(iam: Any, action: str, call: Parameters, caller: Any) -> Any:
    """Refuse what AWS refuses, say who is meant where nobody is named, and answer what ministack does not know."""
    if caller.session_token and caller.principal_type != "AssumedRole":
        raise Refused("InvalidClientTokenId", "The security token included in the request is invalid", status=403)
    if action in _ON_ONESELF or (action == "GetUser" and caller.principal_type != "Root"):
        _name_the_caller(call, caller)
    if action in _ON_A_KEY:
        _check_owner(iam, call)
    if action == "CreateAccessKey":
        _check_quota(iam, call["UserName"])
    if action == "SimulatePrincipalPolicy":
        _check_simulated(call)
    managed.check_attached(iam, action, call)
    if action in _TRUST:
        trust.check(iam, call[_TRUST[action]])
    return users.answer(iam, action, call)


def _name_the_caller(call: Parameters, caller: Any) -> None:
    if call.get("UserName"):
        return
    if not caller.principal_name:
        raise Refused("ValidationError", "Must specify userName when calling with non-User credentials")
    call["UserName"] = caller.principal_name


def _check_owner(iam: Any, call: Parameters) -> None:
    key = call.get("AccessKeyId", "")
    if (iam._access_keys.get(key) or {}).get("UserName") != call["UserName"]:
        raise Refused("NoSuchEntity", f"The Access Key with id {key} cannot be found.", status=404)


def _check_quota(iam: Any, user: str) -> None:
    held = [key for key in iam._access_keys.values() if key["UserName"] == user]
    if len(held) >= _KEYS_EACH:
        raise Refused("LimitExceeded", f"Cannot exceed quota for AccessKeysPerUser: {_KEYS_EACH}", status=409)


def _check_simulated(call: Parameters) -> None:
    """A principal who exists, without the path, which ministack takes for a part of the name."""
    arn = call["PolicySourceArn"]
    if ":group/" not in arn and not policies.is_principal(arn, policies.exists):
        raise Refused("NoSuchEntity", f"The principal {arn} cannot be found.", status=404)
    head, _, name = arn.rpartition("/")
    call["PolicySourceArn"] = f"{head.partition('/')[0]}/{name}"


# -- STS


def check_sts(iam: Any, action: str, call: Parameters, caller: Any) -> None:
    """Root and sessions have less of STS than users, and nobody has a session for longer than it may last."""
    if caller.principal_type == "FederatedUser" and action != "GetCallerIdentity":
        raise Refused("AccessDenied", f"Cannot call {action} with federation credentials", status=403)
    if action == "AssumeRole":
        _check_assume(iam, call, caller)
    elif caller.principal_type == "Root" and int(call.get("DurationSeconds", 0)) > _ROOT_SECONDS:
        call["DurationSeconds"] = str(_ROOT_SECONDS)
    elif caller.principal_type == "Root" and action in ("GetSessionToken", "GetFederationToken"):
        call.setdefault("DurationSeconds", str(_ROOT_SECONDS))


def _check_assume(iam: Any, call: Parameters, caller: Any) -> None:
    if caller.principal_type == "Root":
        raise Refused("AccessDenied", "Roles may not be assumed by root accounts.", status=403)
    seconds = int(call.get("DurationSeconds", 0))
    role = iam._roles.get(call["RoleArn"].rpartition("/")[2]) or {}
    if seconds > int(role.get("MaxSessionDuration") or seconds):
        raise Refused(
            "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )
    if caller.principal_type == "AssumedRole" and seconds > _CHAINED_SECONDS:
        limit = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
        raise Refused("ValidationError", limit)
