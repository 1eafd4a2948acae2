"""What came from Shopify and what was sent there: what failed, what waits, and the proof that nothing is missing."""

from typing import Any, NamedTuple

import sqlalchemy as sa
from flask import render_template, request

from core import effects
from core.effects import Effect
from core.errors import NotFound
from core.events import Happened, record
from core.i18n import N_, _, ngettext
from web.merchant.desk import ID, Answer, Desk, go, page, post
from webhooks import drain, proof
from webhooks.models import Delivery

MOST = 100
# What merchants call our effects, by their kind or the beginning of it.
_NAMES = {
    "shopify.reward": N_("Reward in Shopify"),
    "shopify.customer": N_("Customer’s tags in Shopify"),
    "shopify.tier": N_("Customer’s tags in Shopify"),
    "shopify.free_shipping": N_("Free shipping for tiers"),
    "shopify.product": N_("Product’s tags and collections"),
    "wallet.apple": N_("Card in Apple Wallet"),
    "wallet.google": N_("Card in Google Wallet"),
    "referral": N_("Referral"),
    "commission": N_("Commission"),
    "payout": N_("Commission"),
    "stripe": N_("Commission"),
    "flow": N_("Shopify Flow"),
    "klaviyo": N_("Klaviyo"),
    "mail": N_("E-mail"),
}


class Waiting(NamedTuple):
    """What is under way: deliveries to work off, and effects to carry out or to try again."""

    deliveries: int
    effects: int
    retried: int


@page("/deliveries")
def deliveries(desk: Desk) -> Answer:
    """Failed deliveries and effects, each with a button that tries it again, and how reconciling stands."""
    return render_template(
        "merchant/deliveries.html",
        deliveries=drain.failed(desk.session, desk.shop_id, MOST),
        effects=effects.failed(desk.session, desk.shop_id, MOST),
        waiting=_waiting(desk),
        standing=proof.standing(desk.session, desk.shop_id),
        walks=proof.walks(desk.session, desk.shop_id, 10),
        name=effect_name,
        standing_text=standing_text,
    )


@post(f"/deliveries/<{ID}:delivery_id>/retry")
def retry_delivery(desk: Desk, delivery_id: int) -> Answer:
    """Try a failed delivery again."""
    if not drain.retry(desk.session, desk.shop_id, delivery_id):
        raise NotFound(_("there is no such failed delivery"), code="no_delivery")
    _tell(desk, "delivery.retried", delivery_id=delivery_id)
    return go("deliveries", said=_("Tried again. If it fails once more, it comes back to this list."))


@post("/deliveries/retry")
def retry_all(desk: Desk) -> Answer:
    """Try everything again that failed: deliveries and effects."""
    drain.retry(desk.session, desk.shop_id)
    effects.retry(desk.session, desk.shop_id)
    _tell(desk, "deliveries.retried")
    return go("deliveries", said=_("Everything is being tried again."))


@post("/deliveries/effect")
def retry_effect(desk: Desk) -> Answer:
    """Try one failed effect again."""
    kind, target = request.form.get("kind", "")[:100], request.form.get("target", "")[:200]
    if not effects.retry(desk.session, desk.shop_id, kind, target):
        raise NotFound(_("there is no such failed effect"), code="no_effect")
    _tell(desk, "effect.retried", effect=kind)
    return go("deliveries", said=_("Tried again. If it fails once more, it comes back to this list."))


def _tell(desk: Desk, kind: str, **data: Any) -> None:
    record(desk.session, [Happened(desk.shop_id, kind, data, desk.now, actor=desk.actor)])


def effect_name(kind: str) -> str:
    """What merchants call an effect."""
    found = next((name for start, name in _NAMES.items() if kind.startswith(start)), None)
    return _(found) if found else kind.replace(".", " ").replace("_", " ").capitalize()


def standing_text(standing: proof.Standing) -> str:
    """How the books stand, in a sentence."""
    if not standing.genuine:
        return _("The record of what was checked was changed by somebody else. Don’t rely on it.")
    if standing.at is None:
        return _("Orders have not been checked against Shopify yet. It happens by itself, within the hour.")
    orders = ngettext("%(num)s order checked.", "%(num)s orders checked.", standing.checked)
    if standing.missing:
        found = ngettext(
            "%(num)s was missing and is being brought in now.",
            "%(num)s were missing and are being brought in now.",
            standing.missing,
        )
        return f"{orders} {found}"
    return f"{orders} {_('Nothing missing.')}"


def _waiting(desk: Desk) -> Waiting:
    pending = sa.select(sa.func.count()).where(Delivery.shop_id == desk.shop_id, Delivery.state == "pending")
    here = Effect.shop_id == desk.shop_id, Effect.state == "waiting"
    counts = sa.select(sa.func.count(), sa.func.count().filter(Effect.attempts > 0)).where(*here)
    under_way, retried = desk.session.execute(counts).one()
    return Waiting(desk.session.scalar(pending) or 0, under_way, retried)
