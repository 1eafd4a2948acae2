"""How Google says no."""

from typing import Any


class Refusal(Exception):
    """An answer with a status from 400 up. `reason` is the stable word for it."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message

    def body(self) -> dict[str, Any]:
        """In Google's shape of errors."""
        one = {"message": self.message, "domain": "walletobjects", "reason": self.reason}
        name = _NAMES.get(self.status, "INTERNAL")
        return {"error": {"code": self.status, "message": self.message, "errors": [one], "status": name}}


_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}


def invalid(message: str, reason: str = "badRequest") -> Refusal:
    return Refusal(400, reason, message)


def planned(status: int) -> Refusal:
    """What a test wants Google to say next."""
    return Refusal(status, *_PLANNED.get(status, ("backendError", "Internal error encountered.")))


_PLANNED = {
    400: ("badRequest", "Request contains an invalid argument."),
    401: ("authError", "Request had invalid authentication credentials."),
    403: ("permissionDenied", "Permission denied."),
    404: ("notFound", "Requested entity was not found."),
    409: ("existingResource", "Requested entity already exists."),
    429: ("rateLimitExceeded", "Quota exceeded for quota metric 'Requests' and limit 'Requests per second'."),
    503: ("backendError", "The service is currently unavailable."),
}
