"""Cursors: where the next page starts, signed so that only we make them, and good for one listing of one shop."""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import TypeVar

from itsdangerous import BadSignature, URLSafeSerializer

from core.config import settings
from core.errors import RapportError

Row = TypeVar("Row")


class BadCursor(RapportError):
    status = HTTPStatus.BAD_REQUEST
    code = "bad_cursor"


def _signer(listing: str) -> URLSafeSerializer:
    return URLSafeSerializer(settings().secret_key.get_secret_value(), salt=f"cursor {listing}")


def position(listing: str, cursor: str | None) -> int | None:
    """The id after which a page starts, None for the first. Raises BadCursor for one that is not of this listing."""
    if cursor is None:
        return None
    try:
        return int(_signer(listing).loads(cursor))
    except (BadSignature, ValueError, TypeError):
        raise BadCursor("this cursor does not belong to this listing; start again without one") from None


def cut(listing: str, rows: Sequence[Row], limit: int, id_of: Callable[[Row], int]) -> tuple[Sequence[Row], str | None]:
    """The first `limit` of `limit + 1` asked rows, and the cursor of the page after them if there is one."""
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], str(_signer(listing).dumps(id_of(rows[limit - 1])))
