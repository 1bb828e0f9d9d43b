"""What goes wrong, as a tree:

KubeflowError
├── ConfigurationError       an environment variable or kubeconfig this program cannot work with
├── Unreachable              no answer from the API server (refused, reset, timed out)
└── ApiError                 the API server's own refusal: status, reason, message
    ├── NotFound             404
    ├── Conflict             409: somebody else changed or made the object first; read again and decide anew
    ├── Gone                 410: a watch's resourceVersion is too old; list again
    └── Refused              401, 403: credentials or RBAC
"""

from __future__ import annotations

from collections.abc import Mapping


class KubeflowError(Exception):
    """Base of every error raised on purpose here."""


class ConfigurationError(KubeflowError):
    """The environment does not say what is needed; the message names the variable or file."""


class Unreachable(KubeflowError):
    """No answer came from the API server."""


class ApiError(KubeflowError):
    """The API server refused a request."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message


class NotFound(ApiError):
    """404."""


class Conflict(ApiError):
    """409, both AlreadyExists and a stale resourceVersion."""


class Gone(ApiError):
    """410 Expired."""


class Refused(ApiError):
    """401 or 403."""


_BY_STATUS: Mapping[int, type[ApiError]] = {401: Refused, 403: Refused, 404: NotFound, 409: Conflict, 410: Gone}


def from_status(status: int, body: object) -> ApiError:
    """The error for an HTTP status and the decoded `Status` object (or whatever else came)."""
    fields = body if isinstance(body, dict) else {}
    message = str(fields.get("message") or f"the server answered {status}")
    return _BY_STATUS.get(status, ApiError)(status, str(fields.get("reason") or ""), message)
