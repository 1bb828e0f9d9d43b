"""Is a text a policy of a repository: ministack keeps any."""

from typing import Any

from awssim import documents
from awssim.overrides import policies
from awssim.registry.errors import EcrError


def check_policy(text: str) -> None:
    """A repository policy is JSON with statements that name principals there are, ECR's actions, and conditions that exist."""
    try:
        policy = documents.read(text)
    except ValueError:
        policy = None
    statements = policy.get("Statement") if isinstance(policy, dict) else None
    statements = [statements] if isinstance(statements, dict) else statements
    if not isinstance(statements, list) or not statements or not all(map(_is_statement, statements)):
        raise _invalid("Invalid repository policy provided")
    if not all(map(_names_principals, statements)):
        raise _invalid("Principal not found")


def _invalid(reason: str) -> EcrError:
    return EcrError(
        "InvalidParameterException", f"Invalid parameter at 'PolicyText' failed to satisfy constraint: '{reason}'"
    )


def _is_statement(value: Any) -> bool:
    if (
        not isinstance(value, dict)
        or value.get("Effect") not in ("Allow", "Deny")
        or not {"Principal", "NotPrincipal"} & set(value)
        or "Resource" in value
        or policies.condition_problem(value)
    ):
        return False
    actions = policies.texts(value, "Action")
    return bool(actions) and all(action == "*" or action.startswith("ecr:") for action in actions)


def _names_principals(statement: dict[str, Any]) -> bool:
    named = (statement.get(name) for name in ("Principal", "NotPrincipal"))
    return all(policies.is_principal(text, policies.exists) for value in named for text in policies.principals(value))
