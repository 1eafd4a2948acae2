"""A card is made in the language of whoever adds it."""

from sqlalchemy.orm import Session

from wallet_passes import operations
from wallet_passes.operations import Current


def prepare(session: Session, shop_id: int, member_id: int, language: str | None) -> Current:
    """The member's card, made if there is none yet. `language` is the browser's, None when cards don't speak it.

    Raises NotFound (`no_member`, `no_pass` for one who has left).
    """
    current = operations.issue(session, shop_id, member_id)
    if language is None or current.row.language == language:
        return current
    current.row.language = language
    return operations.refresh(session, shop_id, current.row.member_id) or current
