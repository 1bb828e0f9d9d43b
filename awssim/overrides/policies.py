"""Policies that AWS refuses: ministack stores any text as a bucket policy, and does not look at the actions, resources and conditions of an
IAM policy, so a typing error becomes a policy that silently allows, or denies, nothing.
"""

import json
import re
from typing import Any

from awssim import documents
from awssim.overrides.replace import replace

VERSIONS = ("2012-10-17", "2008-10-17")
_STATEMENT = {
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
}
_ACTION = re.compile(r"\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+")
_ACCOUNT = re.compile(r"\d{12}|arn:aws:iam::\d{12}:root")
_OWN = re.compile(r"arn:aws:iam::(\d{12}):(user|role)/(?:.*/)?([^/]+)")


def apply() -> None:
    from ministack.core import iam_evaluator
    from ministack.services import s3

    replace(s3, "_put_bucket_policy", lambda original: checked(s3, original, bucket_policy_error))
    replace(iam_evaluator, "validate_policy_document", _make_validate)


def checked(s3: Any, original: Any, error_of: Any) -> Any:
    """An operation on a bucket's setting that is not run where ``error_of`` finds something."""

    def put(name: str, body: bytes) -> Any:
        error = error_of(s3, name, body) if name in s3._buckets else None
        return error if error is not None else original(name, body)

    return put


# -- bucket policies


def bucket_policy_error(s3: Any, bucket: str, body: bytes) -> Any:
    """AWS's refusal of a bucket policy, or None."""
    problem = bucket_policy_problem(bucket, body, exists)
    return s3._error("MalformedPolicy", problem, 400, f"/{bucket}") if problem else None


def bucket_policy_problem(bucket: str, body: bytes, exists: Any) -> str | None:
    try:
        policy = documents.read(body)
    except ValueError:
        policy = None
    if not isinstance(policy, dict):
        return "Policies must be valid JSON and the first byte must be '{'"
    if policy.get("Version", "2008-10-17") not in VERSIONS:
        return "The policy must contain a valid version string"
    statements = policy.get("Statement")
    statements = [statements] if isinstance(statements, dict) else statements
    if not isinstance(statements, list) or not statements:
        return "Missing required field Statement"
    return next(
        (problem for statement in statements if (problem := _statement_problem(bucket, statement, exists))), None
    )


def _statement_problem(bucket: str, statement: Any, exists: Any) -> str | None:
    if not isinstance(statement, dict) or set(statement) - _STATEMENT:
        return (
            "Unknown field " + ", ".join(sorted(set(statement) - _STATEMENT))
            if isinstance(statement, dict)
            else "Invalid statement"
        )
    if statement.get("Effect") not in ("Allow", "Deny"):
        return f"Invalid effect: {statement.get('Effect')}"
    if not {"Principal", "NotPrincipal"} & set(statement):
        return "Missing required field Principal"
    actions, resources = (texts(statement, name) for name in ("Action", "Resource"))
    if not actions:
        return "Missing required field Action"
    if not all(action == "*" or action.startswith("s3:") for action in actions):
        return "Policy has invalid action"
    own = (f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/")
    if not resources or not all(
        resource == own[0] or resource.startswith((own[1], f"{own[0]}*")) for resource in resources
    ):
        return "Policy has invalid resource"
    if not all(
        is_principal(value, exists)
        for name in ("Principal", "NotPrincipal")
        for value in principals(statement.get(name))
    ):
        return "Invalid principal in policy"
    return condition_problem(statement)


def condition_problem(statement: dict[str, Any]) -> str | None:
    """An operator that does not exist: ministack takes its condition for false, so a Deny that is misspelt denies nothing."""
    from ministack.core.iam_evaluator import _CONDITION_OPS

    conditions = statement.get("Condition", {})
    if not isinstance(conditions, dict) or not all(isinstance(keys, dict) for keys in conditions.values()):
        return "Syntax errors in policy."
    for operator in conditions:
        name = re.sub(r"^forallvalues:|^foranyvalue:|ifexists$", "", operator.lower())
        if name != "null" and name not in _CONDITION_OPS:
            return f"Invalid Condition type : {operator}"
    return None


def texts(statement: dict[str, Any], name: str) -> list[str]:
    value = statement.get(name, statement.get(f"Not{name}", []))
    return [value] if isinstance(value, str) else [str(item) for item in value]


def principals(value: Any) -> list[str]:
    if isinstance(value, dict):
        value = value.get("AWS", [])
    return [value] if isinstance(value, str) else [str(item) for item in value or []]


def is_principal(text: str, exists: Any) -> bool:
    if text == "*" or _ACCOUNT.fullmatch(text):
        return True
    match = _OWN.fullmatch(text)
    return (
        bool(match and exists(*match.groups()))
        or ":assumed-role/" in text
        or bool(re.fullmatch(r"A[A-Z0-9]{15,}", text))
    )


def exists(account: str, kind: str, name: str) -> bool:
    from ministack.services import iam

    store = iam._users if kind == "user" else iam._roles
    return store.get_scoped(account, None, name) is not None


# -- IAM policies


def _make_validate(original: Any) -> Any:
    def validate(document: Any) -> str | None:
        try:
            problem = original(document)
        except RecursionError:
            problem = "Syntax errors in policy."
        if problem:
            return str(problem)
        return iam_policy_problem(json.loads(document) if isinstance(document, str) else document)

    return validate


def iam_policy_problem(policy: dict[str, Any]) -> str | None:
    """What AWS finds wrong with the actions and resources of an identity policy, or None."""
    if policy.get("Version", "2008-10-17") not in VERSIONS:
        return "Syntax errors in policy."
    statements = policy["Statement"]
    for statement in [statements] if isinstance(statements, dict) else statements:
        if set(statement) & {"Principal", "NotPrincipal"}:
            return "Policy document should not specify a principal."
        if set(statement) - _STATEMENT:
            return "Syntax errors in policy."
        for action in texts(statement, "Action"):
            if not _ACTION.fullmatch(action):
                return "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
        for resource in texts(statement, "Resource"):
            if resource != "*" and not re.match(r"(arn|\*):", resource):
                return f'Resource {resource} must be in ARN format or "*".'
        if problem := condition_problem(statement):
            return problem
    return None
