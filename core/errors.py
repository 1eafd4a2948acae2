"""Domain errors and the one map from an error to an HTTP answer (RFC 9457 problem details)."""

from http import HTTPStatus
from typing import Any


class RapportError(Exception):
    """A refusal that the caller can understand. `detail` is shown to people, so it holds no secret or personal data."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    code = "error"

    def __init__(self, detail: str, *, code: str | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.code
        self.extra = extra


class InvalidInput(RapportError):
    """The request or delivery is understood but says something that cannot be."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "invalid_input"


class NotAuthenticated(RapportError):
    status = HTTPStatus.UNAUTHORIZED
    code = "not_authenticated"


class NotFound(RapportError):
    status = HTTPStatus.NOT_FOUND
    code = "not_found"


class Conflict(RapportError):
    status = HTTPStatus.CONFLICT
    code = "conflict"


class Unavailable(RapportError):
    """Something we lean on does not answer; the same call may succeed later. Carries Retry-After in seconds."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "unavailable"
    retry_after = 5


class TooMany(RapportError):
    """Asked too often. `retry_after` is in seconds."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "too_many"

    def __init__(self, detail: str, *, code: str | None = None, retry_after: int, **extra: Any) -> None:
        super().__init__(detail, code=code, **extra)
        self.retry_after = retry_after


def one_line(error: BaseException) -> str:
    """What went wrong, for logs and for rows that merchants see: without the values that a database error repeats."""
    if isinstance(error, RapportError):
        return error.detail[:500]
    original = getattr(error, "orig", None) or error
    return f"{type(original).__name__}: {str(original).splitlines()[0] if str(original) else ''}"[:500]


def problem(error: RapportError) -> dict[str, Any]:
    """The RFC 9457 body of an error: type, title, status, detail and a stable code."""
    return {
        "type": f"urn:rapport:problem:{error.code}",
        "title": error.status.phrase,
        "status": int(error.status),
        "detail": error.detail,
        "code": error.code,
        **error.extra,
    }
