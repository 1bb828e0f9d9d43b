"""What the API refuses, in Kubernetes's own terms.

    ApiError                      anything that becomes a `Status` of kind Failure
    ├── BadRequest         400
    ├── Unauthorized       401
    ├── Forbidden          403
    ├── NotFound           404
    ├── MethodNotAllowed   405
    ├── NotAcceptable      406
    ├── AlreadyExists      409    the name is taken
    ├── Conflict           409    the resourceVersion or uid does not match
    ├── Expired            410    the resourceVersion is too old
    ├── TooLarge           413
    ├── UnsupportedMedia   415
    ├── Invalid            422    validation failed; carries causes
    ├── TooManyRequests    429
    └── InternalError      500

Every layer raises these; one layer (api) renders them. `message` is what kubectl prints, so it is Kubernetes's wording.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Cause:
    """One reason among several, as in `Status.details.causes`. `reason` is e.g. FieldValueRequired, FieldValueInvalid."""

    reason: str
    message: str
    field: str = ""

    def body(self) -> dict[str, str]:
        return {"reason": self.reason, "message": self.message} | ({"field": self.field} if self.field else {})


class ApiError(Exception):
    """A failure that the API server answers with. `details` is the Status's details object, causes included."""

    code: ClassVar[int] = 500
    reason: ClassVar[str] = "InternalError"

    def __init__(self, message: str, *, details: dict[str, Any] | None = None, causes: Sequence[Cause] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.details = dict(details or {})
        if causes:
            self.details["causes"] = [cause.body() for cause in causes]

    def status(self) -> dict[str, Any]:
        """The `Status` object, ready to be encoded."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        }
        if self.details:
            body["details"] = self.details
        return body | {"code": self.code}


class BadRequest(ApiError):
    code = 400
    reason = "BadRequest"


class Unauthorized(ApiError):
    code = 401
    reason = "Unauthorized"


class Forbidden(ApiError):
    code = 403
    reason = "Forbidden"


class NotFound(ApiError):
    code = 404
    reason = "NotFound"


class MethodNotAllowed(ApiError):
    code = 405
    reason = "MethodNotAllowed"


class NotAcceptable(ApiError):
    code = 406
    reason = "NotAcceptable"


class AlreadyExists(ApiError):
    code = 409
    reason = "AlreadyExists"


class Conflict(ApiError):
    code = 409
    reason = "Conflict"


class Expired(ApiError):
    code = 410
    reason = "Expired"


class TooLarge(ApiError):
    code = 413
    reason = "RequestEntityTooLarge"


class UnsupportedMedia(ApiError):
    code = 415
    reason = "UnsupportedMediaType"


class Invalid(ApiError):
    code = 422
    reason = "Invalid"


class TooManyRequests(ApiError):
    code = 429
    reason = "TooManyRequests"


class InternalError(ApiError):
    code = 500
    reason = "InternalError"
