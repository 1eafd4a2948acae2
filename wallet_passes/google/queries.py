"""What Google holds of ours, for pages, the API and the effects."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.db import rows_by
from core.effects import Wanted
from wallet_passes.google.models import GoogleObject
from wallet_passes.models import Pass

_WITH_OBJECTS = (
    "SELECT p.shop_id, p.member_id FROM {keys} AS k(shop_id, member_id) "
    "JOIN passes p ON p.shop_id = k.shop_id AND p.member_id = k.member_id "
    "JOIN google_objects g ON g.shop_id = p.shop_id AND g.serial = p.serial"
)


class State(NamedTuple):
    """A card at Google: `not_added`, `saved` (somebody has it in their wallet) or `removed`.

    `fresh`: Google has been told of the newest version. `told_at` is None where it was never told of any.
    """

    state: str
    fresh: bool
    told_at: datetime | None = None
    saved_at: datetime | None = None
    removed_at: datetime | None = None


def with_objects(session: Session, wanted: Sequence[Wanted]) -> list[Wanted]:
    """Those effects whose member has a card at Google.

    Points are posted under the member's lock, and who makes an object takes it too: so either it is seen here, or it is
    made after the posting and shows it.
    """
    keys = [(one.shop_id, int(one.target)) for one in wanted]
    found = {tuple(row) for row in rows_by(session, _WITH_OBJECTS, ("bigint", "bigint"), keys)}
    return [one for one, key in zip(wanted, keys, strict=True) if key in found]


def object_of(session: Session, row: Pass) -> GoogleObject | None:
    """What is known of a pass's object, if it was ever asked for."""
    here = GoogleObject.shop_id == row.shop_id, GoogleObject.serial == row.serial
    return session.scalar(sa.select(GoogleObject).where(*here))


def state_of(row: Pass | None, held: GoogleObject | None) -> State:
    """How a member's card stands at Google."""
    if row is None or held is None:
        return State("not_added", fresh=True)
    state = "removed" if is_removed(held) else "saved" if held.saved_at else "not_added"
    told_at = held.told_at if held.digest else None
    return State(state, held.told_version >= row.version, told_at, held.saved_at, held.removed_at)


def is_removed(held: GoogleObject) -> bool:
    """Whether the last that Google told of a card is that it was removed."""
    return held.removed_at is not None and (held.saved_at is None or held.removed_at >= held.saved_at)
