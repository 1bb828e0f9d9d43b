"""A role's trust policy is judged as AWS does; ministack keeps any text, and a role nobody can assume looks like one somebody can."""

from typing import Any

from awssim import documents
from awssim.errors import Refused
from awssim.overrides import policies

_FIELDS = {"Sid", "Effect", "Principal", "Action", "NotAction", "Condition"}


def check(iam: Any, document: str) -> None:
    """Raise Refused where a text is no trust policy."""
    problem = trust_policy_problem(document, policies.exists)
    if problem:
        raise Refused("MalformedPolicyDocument", problem)


def trust_policy_problem(document: str, exists: Any) -> str | None:
    try:
        policy = documents.read(document)
    except ValueError:
        return "This policy contains invalid Json"
    if not isinstance(policy, dict) or policy.get("Version", "2008-10-17") not in policies.VERSIONS:
        return "Syntax errors in policy."
    statements = policy.get("Statement")
    statements = [statements] if isinstance(statements, dict) else statements
    if not isinstance(statements, list) or not statements:
        return "Syntax errors in policy."
    return next((found for statement in statements if (found := _problem(statement, exists))), None)


def _problem(statement: Any, exists: Any) -> str | None:
    if not isinstance(statement, dict) or statement.get("Effect") not in ("Allow", "Deny"):
        return "Syntax errors in policy."
    if "NotPrincipal" in statement:
        return None  # ministack has AWS's words for that
    for name in ("Resource", "NotResource"):
        if name in statement:
            return f"Has prohibited field {name}"
    if set(statement) - _FIELDS:
        return "Syntax errors in policy."
    if not statement.get("Principal"):
        return "Missing required field Principal"
    actions = policies.texts(statement, "Action")
    if not actions:
        return "Missing required field Action"
    if not all(action == "*" or action.lower().startswith("sts:") for action in actions):
        return "AssumeRole policy may only specify STS AssumeRole actions."
    for principal in policies.principals(statement["Principal"]):
        if not policies.is_principal(principal, exists):
            return f'Invalid principal in policy: "AWS":"{principal}"'
    return policies.condition_problem(statement)
