"""`Idempotency-Key`: the first answer to a POST is given again instead of doing the work again."""

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core import clock, crypto
from core.errors import InvalidInput, Unavailable
from web.models import IdempotencyKey


class Answer(NamedTuple):
    """A status and what goes into the JSON body."""

    status: int
    content: Any
    replayed: bool = False


class Request(NamedTuple):
    """A POST as far as two of them are the same: the shop, the client's key, and what was asked."""

    shop_id: int
    key: str
    asked: str

    @property
    def key_digest(self) -> str:
        """Clients put anything into their keys; we keep none of it."""
        return crypto.digest(self.key)


def once(session: Session, request: Request, work: Callable[[], Answer]) -> Answer:
    """The answer to a request: worked out now, or the one it got before, also from a twin that runs at this moment.

    Raises InvalidInput when the key stood on another request. A refused request leaves nothing behind, so it may be
    sent again under its key.
    """
    digest = hashlib.sha256(request.asked.encode()).hexdigest()
    # The row comes before the work: a twin waits on it until this transaction has ended.
    claimed = session.scalar(
        insert(IdempotencyKey)
        .values(shop_id=request.shop_id, key=request.key_digest, request_digest=digest, created_at=clock.now())
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.key)
    )
    if claimed is None:
        return _replay(session, request, digest)
    answer = work()
    kept = _this(sa.update(IdempotencyKey), request).values(status=answer.status, answer=_storable(answer.content))
    # Read back, for JSONB has an order of its own: so the first answer and its repeats agree to the letter.
    return Answer(answer.status, session.scalar(kept.returning(IdempotencyKey.answer)))


def _storable(content: Any) -> Any:
    """An answer may repeat what was sent, and PostgreSQL keeps no NUL character."""
    if isinstance(content, str):
        return content.replace("\x00", "")
    if isinstance(content, dict):
        return {_storable(key): _storable(value) for key, value in content.items()}
    return [_storable(value) for value in content] if isinstance(content, list) else content


def _replay(session: Session, request: Request, digest: str) -> Answer:
    row: Any = session.execute(
        _this(sa.select(IdempotencyKey.request_digest, IdempotencyKey.status, IdempotencyKey.answer), request)
    ).one_or_none()
    if row is None or row.answer is None:
        raise Unavailable("the first request with this Idempotency-Key is only just over; send it again")
    if row.request_digest != digest:
        raise InvalidInput("this Idempotency-Key was used for another request", code="idempotency_key_reused")
    return Answer(row.status, row.answer, replayed=True)


def _this(statement: Any, request: Request) -> Any:
    return statement.where(IdempotencyKey.shop_id == request.shop_id, IdempotencyKey.key == request.key_digest)
