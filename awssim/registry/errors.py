"""Refusals of the registry.

EcrError    ECR's code and message; /v2 has its own word for each
Denied      the caller may not do this
"""


class EcrError(Exception):
    """ECR's refusal: its code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Denied(Exception):
    """The caller may not do this; the text is IAM's sentence."""
