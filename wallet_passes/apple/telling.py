"""The effect `wallet.apple`: members' cards may have changed, so make their phones fetch those that did.

The first change of a card is told at once; what follows within moments is gathered and told together.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock, logs
from core.db import Database, rows_by
from core.effects import NotYet, PermanentFailure, Wanted
from core.errors import RapportError, Unavailable
from wallet_passes import operations
from wallet_passes.apple import certificates, push
from wallet_passes.apple.certificate import BadCertificate, Certificate, NotSetUp
from wallet_passes.apple.push import PushRefused, Reply
from wallet_passes.messages.operations import note_told
from wallet_passes.models import AppleDevice, AppleRegistration
from wallet_passes.operations import Current

GATHERING = timedelta(seconds=1.5)
# Cards in one turn; and seconds after which a turn that says nothing is believed dead: its worker was killed.
SIZE = 200
LEASE = timedelta(seconds=60)
# Seconds after which a turn begins no exchange with another certificate: each may wait for twice `push.TIMEOUT`.
TURN = 20
# The push token is of no pass of ours, was made up, or belongs to no device any more.
_NEVER = frozenset({"BadDeviceToken", "DeviceTokenNotForTopic", "MissingDeviceToken"})

log = logs.logger(__name__)


# Whose pass type it is, and its name: the operator's is nobody's and empty.
NOBODY = 0
Topic = tuple[int, str]


class Due(NamedTuple):
    """A phone that does not know of `version`, the newest of a card. `pass_type` is empty for the operator's own."""

    shop_id: int
    serial: str
    version: int
    device: str
    pass_type: str
    push_token: str

    @property
    def topic(self) -> Topic:
        return self.shop_id if self.pass_type else NOBODY, self.pass_type


# What to push with, by topic; or why nothing can be.
Signers = Mapping[Topic, Certificate | RapportError]


def tell_many(database: Database, wanted: Sequence[Wanted]) -> dict[Wanted, Exception]:
    """Bring the cards of these members up to date and push to the phones that don't know the newest version.

    Tells of those to be tried again: NotYet while changes are gathered, Unavailable, PermanentFailure for a bad
    certificate.
    """
    with database.transaction(*{one.shop_id for one in wanted}) as session:
        current = operations.refresh_many(session, [(one.shop_id, int(one.target)) for one in wanted])
        phones = _phones(session, current.values())
        signers = certificates.of_types(session, {one.topic for due in phones.values() for one in due})
    now = clock.now()
    left: dict[Wanted, Exception] = {}
    telling: dict[Wanted, Sequence[Due]] = {}
    for one in wanted:
        card = current.get((one.shop_id, int(one.target)))
        due = phones.get((card.row.shop_id, card.row.serial)) if card else None
        due = [one for one in due or () if not _is_over(signers[one.topic], one)]
        if card is None or not due:
            continue
        told_at = card.row.told_at
        # A telling that lies ahead of a clock that was set back is none to wait for.
        if told_at is not None and told_at <= now < told_at + GATHERING:
            left[one] = NotYet(told_at + GATHERING)
        else:
            telling[one] = due
    return left | _tell(database, telling, signers, now)


def _is_over(signer: Certificate | RapportError, due: Due) -> bool:
    """A shop's own certificate that ended takes its phones with it: their state says so, and trying again is no use."""
    return bool(due.pass_type) and not isinstance(signer, Certificate)


def _phones(session: Session, current: Iterable[Current]) -> dict[tuple[int, str], list[Due]]:
    """The phones that don't know the newest version, by card."""
    rows = rows_by(
        session,
        "SELECT r.shop_id, r.serial, k.version, r.device, r.pass_type, d.push_token "
        "FROM {keys} AS k(shop_id, serial, version) "
        "JOIN apple_registrations r ON r.shop_id = k.shop_id AND r.serial = k.serial "
        "JOIN apple_devices d ON d.shop_id = r.shop_id AND d.device = r.device "
        "WHERE r.removed_at IS NULL AND r.told_version < k.version",
        ("bigint", "text", "integer"),
        [(card.row.shop_id, card.row.serial, card.row.version) for card in current],
    )
    found = defaultdict[tuple[int, str], list[Due]](list)
    for row in rows:
        found[row.shop_id, row.serial].append(Due(*row))
    return found


def _tell(
    database: Database, telling: Mapping[Wanted, Sequence[Due]], signers: Signers, now: datetime
) -> dict[Wanted, Exception]:
    due = [one for phones in telling.values() for one in phones]
    if not due:
        return {}
    told = _pushed(due, signers)
    with database.transaction(*{one.shop_id for one in due}) as session:
        _record(session, [(one, reply) for one in due if isinstance(reply := told[one], Reply)], now)
        note_told(session, [_key(one) for one, phones in telling.items() if _taken(told, phones)], now, now)
    wrong = {wanted: _wrong([told[one] for one in phones]) for wanted, phones in telling.items()}
    return {wanted: error for wanted, error in wrong.items() if error is not None}


def _key(wanted: Wanted) -> tuple[int, int]:
    return wanted.shop_id, int(wanted.target)


def _taken(told: Mapping[Due, Reply | Exception], phones: Sequence[Due]) -> bool:
    return any(isinstance(reply := told[one], Reply) and reply.taken for one in phones)


def _pushed(due: Sequence[Due], signers: Signers) -> dict[Due, Reply | Exception]:
    """What the push service said of each phone, all pushes of one certificate in one exchange."""
    told: dict[Due, Reply | Exception] = {}
    topics = defaultdict[Topic, list[Due]](list)
    for one in due:
        topics[one.topic].append(one)
    end = time.monotonic() + TURN
    for topic, phones in topics.items():
        if time.monotonic() >= end:
            told |= dict.fromkeys(phones, NotYet(clock.now()))
            continue
        try:
            replies = _exchanged(signers[topic], [one.push_token for one in phones])
            told |= {one: replies[one.push_token] for one in phones}
        except (BadCertificate, NotSetUp, PushRefused) as error:
            told |= dict.fromkeys(phones, PermanentFailure(error.detail))
        except Unavailable as error:
            told |= dict.fromkeys(phones, error)
    return told


def _exchanged(signer: Certificate | RapportError, push_tokens: Sequence[str]) -> dict[str, Reply]:
    if not isinstance(signer, Certificate):
        raise signer
    return {reply.push_token: reply for reply in push.pusher(signer).push(push_tokens)}


def _record(session: Session, told: Sequence[tuple[Due, Reply]], now: datetime) -> None:
    """Who has been told of which version; devices that are gone lose their registrations."""
    _record_taken(session, [one for one, reply in told if reply.taken], now)
    for one, reply in told:
        if _is_gone(reply):
            _drop(session, one, reply, now)


def _record_taken(session: Session, taken: Sequence[Due], now: datetime) -> None:
    # Locked in one order for all, as by `operations.refresh_many`.
    rows_by(
        session,
        "UPDATE passes SET told_at = locked.told_at FROM (SELECT p.shop_id, p.serial, k.told_at FROM passes p "
        "JOIN {keys} AS k(shop_id, serial, told_at) ON p.shop_id = k.shop_id AND p.serial = k.serial "
        "ORDER BY p.shop_id, p.serial FOR UPDATE OF p) AS locked "
        "WHERE passes.shop_id = locked.shop_id AND passes.serial = locked.serial RETURNING passes.shop_id",
        ("bigint", "text", "timestamptz"),
        [(*card, now) for card in sorted({(one.shop_id, one.serial) for one in taken})],
    )
    # A phone whose token changed meanwhile was not told.
    rows_by(
        session,
        "UPDATE apple_registrations r SET told_version = k.version, told_at = k.told_at "
        "FROM {keys} AS k(shop_id, serial, version, device, pass_type, push_token, told_at) JOIN apple_devices d "
        "ON d.shop_id = k.shop_id AND d.device = k.device AND d.push_token = k.push_token "
        "WHERE r.shop_id = k.shop_id AND r.serial = k.serial AND r.device = k.device AND r.pass_type = k.pass_type "
        "AND r.told_version < k.version RETURNING r.shop_id",
        ("bigint", "text", "integer", "text", "text", "text", "timestamptz"),
        [(*one, now) for one in taken],
    )


def _is_gone(reply: Reply) -> bool:
    return reply.status == 410 or reply.reason in _NEVER


def _drop(session: Session, one: Due, reply: Reply, now: datetime) -> None:
    """Remove what was registered before the device went; it may have come back since with the same token.

    Of this pass type alone: a token that is none of one certificate's may well be another's.
    """
    gone = datetime.fromtimestamp(reply.gone_since / 1000, UTC) if reply.gone_since else now
    log.info("a device is gone", shop_id=one.shop_id, reason=reply.reason)
    older = sa.select(AppleDevice.device).where(
        AppleDevice.shop_id == one.shop_id, AppleDevice.push_token == reply.push_token, AppleDevice.token_at <= gone
    )
    here = AppleRegistration
    theirs = here.shop_id == one.shop_id, here.device.in_(older), here.pass_type == one.pass_type
    session.execute(sa.update(here).where(*theirs, here.removed_at.is_(None)).values(removed_at=now))


def _wrong(told: Sequence[Reply | Exception]) -> Exception | None:
    """Why a card's phones have to be told again, if they have."""
    errors = [one for one in told if isinstance(one, Exception)]
    if errors:
        return errors[0]
    replies = [one for one in told if isinstance(one, Reply)]
    later = [reply for reply in replies if reply.status == 429 or reply.status >= 500]
    refused = [reply for reply in replies if not (reply.taken or reply in later or _is_gone(reply))]
    if refused:
        return PermanentFailure(f"Apple refuses our pushes: {refused[0].reason or refused[0].status}")
    if later:
        said = f"{later[0].status} {later[0].reason}".rstrip()
        return Unavailable(f"Apple's push service asks us to wait ({said})")
    return None
