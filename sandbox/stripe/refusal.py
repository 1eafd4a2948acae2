"""How Stripe says no: https://docs.stripe.com/api/errors."""

from typing import Any


class Refusal(Exception):
    """An answer in Stripe's shape of errors."""

    def __init__(
        self, message: str, code: str | None = None, *, status: int = 400, kind: str = "invalid_request_error",
        param: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.message, self.code, self.status, self.kind, self.param = message, code, status, kind, param

    def body(self) -> dict[str, Any]:
        told = {"message": self.message, "type": self.kind, "code": self.code, "param": self.param}
        return {"error": {name: value for name, value in told.items() if value is not None}}


def missing(what: str, key: str, param: str = "id") -> Refusal:
    return Refusal(f"No such {what}: '{key}'", "resource_missing", status=404, param=param)


def planned(status: int) -> Refusal:
    """What is said when something goes wrong as tests have planned it."""
    if status == 429:
        return Refusal("Too many requests at once.", "rate_limit", status=429)
    if status == 401:
        return Refusal("Invalid API Key provided.", status=401)
    kind = "api_error" if status >= 500 else "invalid_request_error"
    return Refusal("Something went wrong, as it was planned.", status=status, kind=kind)
