"""``NotPrincipal`` and a policy's version: ministack skips statements with the one, so a Deny for all but a few denies nobody, and does not
look at the other, so ``${aws:username}`` is a variable in policies where it is text on AWS, those without ``"Version": "2012-10-17"``.
"""

from typing import Any

from awssim import documents
from awssim.overrides.replace import replace

_WITH_VARIABLES = "2012-10-17"


def apply() -> None:
    from ministack.core import iam_evaluator

    def make_parse(original: Any) -> Any:
        def parse(document: Any) -> Any:
            statements = original(document)
            for statement, version in zip(statements, _versions(document), strict=True):
                statement.literal = version != _WITH_VARIABLES
            return statements

        return parse

    def make_evaluate(original: Any) -> Any:
        def evaluate(document: Any, context: Any, *arguments: Any, **keywords: Any) -> Any:
            def named(principal: Any) -> bool:
                return bool(iam_evaluator._principal_matches(principal, context.principal_arn))

            return original(_for_caller(_read(document), named), context, *arguments, **keywords)

        return evaluate

    replace(iam_evaluator, "parse_policy_document", make_parse)
    replace(iam_evaluator, "evaluate_resource_policy", make_evaluate)


def _read(document: Any) -> Any:
    try:
        return documents.read(document) if isinstance(document, str) else document
    except ValueError:
        return None


def _statements(document: Any) -> list[Any]:
    found = document.get("Statement", []) if isinstance(document, dict) else []
    found = [found] if isinstance(found, dict) else found
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _versions(document: Any) -> list[str]:
    """The version of every statement that ministack takes over: its document's, or the one it was given by ``_for_caller``."""
    document = _read(document)
    taken = [item for item in _statements(document) if item.get("Effect", "") in ("Allow", "Deny")]
    return [str(item.get("Version", document.get("Version", ""))) for item in taken]


def _for_caller(document: Any, named: Any) -> dict[str, Any]:
    """A resource's policy with its version in every statement, and with NotPrincipal as a Principal: everyone, but not who is named."""
    kept = []
    for statement in _statements(document):
        statement = {**statement, "Version": document.get("Version", "")}
        excepted = statement.pop("NotPrincipal", None)
        if excepted is None:
            kept.append(statement)
        elif not named(excepted):
            kept.append({**statement, "Principal": "*"})
    return {"Statement": kept}
