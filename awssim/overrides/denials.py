"""A refusal names the resource, as AWS's does: ``... is not authorized to perform: X on resource: ARN because ...``. ministack leaves it out."""

from typing import Any

from awssim.overrides.replace import replace

_NO_RESOURCE = ("s3:ListAllMyBuckets",)


def apply() -> None:
    from ministack.core import iam_actions

    def make(original: Any) -> Any:
        def response(service: str, action: str, principal_arn: str, request_id: str, **keywords: Any) -> Any:
            if not keywords.get("error_code") and not keywords.get("message"):
                keywords["message"] = message(
                    service, action, principal_arn, str(keywords.get("resource_arn", "*")),
                    explicit_deny=bool(keywords.get("explicit_deny")), by_resource=bool(keywords.get("resource_policy_arn")),
                )  # fmt: skip
            return original(service, action, principal_arn, request_id, **keywords)

        return response

    replace(iam_actions, "access_denied_response", make)


def message(
    service: str, action: str, principal_arn: str, resource: str, *, explicit_deny: bool, by_resource: bool = False
) -> str:
    """AWS's sentence; S3 puts the ARN in quotation marks."""
    reason = f"with an explicit deny in {'a resource-based' if by_resource else 'an identity-based'} policy"
    if not explicit_deny:
        reason = f"because no identity-based policy allows the {action} action"
    on = f" on resource: {resource}"
    if service == "s3":
        on = "" if resource == "*" else f' on resource: "{resource}"'
    if action in _NO_RESOURCE:
        on = ""
    return f"User: {principal_arn} is not authorized to perform: {action}{on} {reason}"
