"""Signing in outside a shop's theme: an address is asked for, and a link is mailed to it if it is a member's.

The answer is always the same, for who is a member here is nobody else's business, and the mail goes by an effect, so
that it also takes the same time.
"""

from http import HTTPStatus
from typing import Any

import redis
import sqlalchemy as sa
from flask import Response, redirect, request

from core import crypto, effects, jobs, logs, metrics
from core.errors import InvalidInput, RapportError, TooMany
from core.i18n import _
from loyalty.models import Member
from referrals.fraud import network
from web.portal import pages
from web.portal.mounts import address
from web.portal.visits import Visit, opened

EFFECT = "mail.rewards_link"
PERIOD = 3600  # seconds
# Asked in a period from one network, and for one address.
MOST = {"network": 20, "address": 4}
LONGEST = 254

log = logs.logger(__name__)


def ask(**more: Any) -> str:
    """The form, or the word that a link is on its way."""
    with opened():
        shown: dict[str, Any] = {"sent": "sent" in request.args, "email": "", "wrong": None} | more
        return pages.page("sign_in", **shown)


def send() -> Any:
    """Have a link mailed to whom the address belongs to, and say the same to everybody."""
    given = request.form.get("email", "").strip()[: LONGEST + 1]
    try:
        email = _address(given)
        with opened() as visit:
            _spend(visit.shop.id, email)
            _mail(visit, email)
    except RapportError as error:
        if error.code not in ("bad_email", "too_many_links"):
            raise
        response = Response(ask(email=given, wrong=error.detail), int(error.status))
        if isinstance(error, TooMany):
            response.headers["Retry-After"] = str(error.retry_after)
        return response
    return redirect(address("sign_in", sent=1), HTTPStatus.SEE_OTHER)


def _address(text: str) -> str:
    """Raises InvalidInput for what is no address."""
    name, _at, host = text.rpartition("@")
    if not name or "." not in host or any(c.isspace() or ord(c) < 32 for c in text) or len(text) > LONGEST:
        raise InvalidInput(_("That isn't an e-mail address. Please check it."), code="bad_email")
    return text.casefold()


def _mail(visit: Visit, email: str) -> None:
    """Only to addresses that the shop has verified: others may be somebody else's."""
    member_id = visit.session.scalar(
        sa.select(sa.func.coalesce(Member.merged_into, Member.id))
        .where(Member.shop_id == visit.shop.id, Member.email == email, Member.email_verified)
        .order_by(Member.id)
        .limit(1)
    )
    if member_id is not None:
        effects.request(visit.session, [effects.Wanted(visit.shop.id, EFFECT, str(member_id))])


def _spend(shop_id: int, email: str) -> None:
    """Count this try. Without Redis nothing is counted, and effects are gathered anyway. Raises TooMany."""
    here = {"network": network.index(request.remote_addr), "address": crypto.blind_index(f"sign-in:{email}")}
    try:
        counted = {kind: _count(f"rapport:sign-in:{shop_id}:{kind}:{who}") for kind, who in here.items() if who}
    except redis.RedisError as error:
        metrics.REDIS_ERRORS.inc()
        log.warning("redis counts no sign-ins", error=type(error).__name__)
        return
    if any(count > MOST[kind] for kind, count in counted.items()):
        raise TooMany(
            _("That were many tries. Please try again in an hour."), code="too_many_links", retry_after=PERIOD
        )


def _count(key: str) -> int:
    with jobs.connection().pipeline() as pipe:
        pipe.incr(key)
        pipe.expire(key, PERIOD, nx=True)
        count, _set = pipe.execute()
    return int(count)
