"""A code is read at the counter: whose card it is, and what it may do."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock, crypto
from core.events import Happened, record
from loyalty.models import Member
from shops.models import Shop
from wallet_passes import barcode, facts, rotating
from wallet_passes.barcode import BadCode, Code
from wallet_passes.google.models import GoogleObject
from wallet_passes.models import Pass
from wallet_passes.rotating import Details

IDENTIFY, EARN, SPEND = "identify", "earn", "spend"
# What a code may do, by its validity: only the newest still code of a card, or a fresh rotating one, may spend.
MAY: Mapping[str, tuple[str, ...]] = {
    "current": (IDENTIFY, EARN, SPEND),
    "outdated": (IDENTIFY, EARN),
    "used": (IDENTIFY, EARN),
    "stale": (IDENTIFY, EARN),
    "ended": (),
    "unknown": (),
    "forged": (),
    "unreadable": (),
}

# What staff read, by the validity of the code.
TEXTS: Mapping[str, str] = {
    "current": "This card is good.",
    "outdated": "This code is from before a redemption. To spend points, scan the card on the phone itself.",
    "used": "This code was scanned already. It changes every 30 seconds: to spend points, scan the next one.",
    "stale": "This code is too old, or a picture of one. To spend points, scan the card on the phone itself.",
    "ended": "This card has ended: its member has left the program.",
    "unknown": "There is no card with this code any more.",
    "forged": "This is no card of this shop.",
    "unreadable": "This is no whole code of a card. Scan it again, or type the characters below it.",
}

_SECRETS = "rotating barcode"


class Scan(NamedTuple):
    """What a scanned code is good for, a key of `MAY`.

    `current`; `outdated`, of before a redemption; of a rotating code `used`, when its thirty seconds were scanned
    already, and `stale`, when its digits are of another time or were left out; `ended`, of somebody who has left;
    `unknown`, of no card; `forged`, without a signature of this shop; `unreadable`, no code of ours or cut short.
    `member_id` is None where the code leads to nobody.
    """

    validity: str
    member_id: int | None

    @property
    def may(self) -> tuple[str, ...]:
        """What it may do: `identify`, `earn`, `spend`."""
        return MAY[self.validity]


def scan(session: Session, shop_id: int, code: str, *, actor: str, location: str | None = None) -> Scan:
    """Whose card a code is of and what it may do here. Every scan is recorded (`pass.scanned`), whatever it was.

    Scanning a rotating code uses its thirty seconds up, whatever is done with it then: who scans again waits for the
    next one, or goes on with the answer they have. `location` says where, in the caller's own words.
    """
    now = clock.now()
    found = _scanned(session, shop_id, code, now)
    told = {"validity": found.validity} | ({"location": location} if location else {})
    record(session, [Happened(shop_id, "pass.scanned", told, now, found.member_id, actor=actor)])
    return found


def rotating_code(row: Pass) -> Details:
    """The rotating barcode of a pass, for Google."""
    code = barcode.write_rotating(facts.keys(), row.shop_id, row.handle)
    return rotating.details(crypto.keyring(_SECRETS), row.serial, code)


def _scanned(session: Session, shop_id: int, code: str, now: datetime) -> Scan:
    try:
        said = barcode.read(facts.keys(), shop_id, code)
    except BadCode as bad:
        return Scan(bad.reason, None)
    row = session.scalar(sa.select(Pass).where(Pass.shop_id == shop_id, Pass.handle == said.handle))
    if row is None:
        return Scan("unknown", None)
    member, shop = session.get_one(Member, (shop_id, row.member_id)), session.get_one(Shop, shop_id)
    if row.ended_at or facts.is_over(member, shop):
        return Scan("ended", row.member_id)
    if said.digits is None:
        return Scan(_of_still(session, row, said), row.member_id)
    return Scan(_of_rotating(session, row, said.digits, now), row.member_id)


def _of_still(session: Session, row: Pass, said: Code) -> str:
    # Counted here, not read from the pass: from the redemption's commit on, the code that made it can't spend again.
    generation = facts.generations(session, [row])[row.serial]
    return "current" if said.generation == generation % barcode.GENERATIONS else "outdated"


def _of_rotating(session: Session, row: Pass, digits: str, now: datetime) -> str:
    step = rotating.step_of(crypto.keyring(_SECRETS), row.serial, digits, now)
    here = GoogleObject.shop_id == row.shop_id, GoogleObject.serial == row.serial
    if step is None or session.scalar(sa.select(sa.func.count()).where(*here)) == 0:
        return "stale"
    # The row's lock lets one of two scans of the same thirty seconds win; a step that is over never comes back.
    newer = sa.update(GoogleObject).where(*here, GoogleObject.code_step < step)
    won = session.scalar(newer.values(code_step=step).returning(GoogleObject.code_step))
    return "used" if won is None else "current"
