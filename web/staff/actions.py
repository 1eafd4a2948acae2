"""What staff do for a member: redeem, hand over, give points for a purchase, and undo within a minute."""

import time
from typing import Any

from flask import Blueprint, request

from core.db import database
from core.errors import Conflict, InvalidInput, RapportError
from core.i18n import _
from loyalty import purchases
from loyalty.purchases import Purchase
from loyalty.rewards import operations as rewards
from web.faces import forms
from web.staff import counter, purchasing, undoing, visits
from web.staff import session as sessions
from web.staff.sheet import COUNTER
from web.staff.undoing import Deed
from web.staff.visits import Visit

# A reward that Shopify is still being told of can't be given back yet: seconds between two tries, and how many.
PAUSE, TRIES = 0.5, 8


class MayNot(Conflict):
    """The card that was scanned is not good for this."""

    code = "may_not"


def add_to(pages: Blueprint) -> None:
    pages.post("/with/<signed>/redeem", endpoint="redeem")(redeem)
    pages.post("/with/<signed>/hand-over", endpoint="hand_over")(hand_over)
    pages.post("/with/<signed>/purchase", endpoint="purchase")(purchase)
    pages.post("/with/<signed>/undo", endpoint="undo")(undo)


def redeem(signed: str) -> Any:
    """Spend points on a reward, once per key."""
    visit, here = _visit(signed), sessions.counter()
    if not visit.may_spend:
        raise MayNot(_("This code can't spend points. Scan the card on the phone itself."))
    points = request.form.get("points", type=int)
    with database().transaction(visit.shop_id) as session:
        row = rewards.redeem(
            session, visit.shop_id, visit.member_id, request.form.get("reward", "")[:40], points=points,
            channel=COUNTER, actor=here.actor, key=f"staff:{here.person.id}:{counter.sent_key()}",
        )  # fmt: skip
    # The redemption has moved the card's code on: whoever holds the phone is still the one who was scanned.
    return counter.show(visit, done={"kind": "reward", "row": row, "undo": _undo("reward", row.id)})


def hand_over(signed: str) -> Any:
    """Say that a reward of the shop's own was handed over."""
    visit, here = _visit(signed), sessions.counter()
    if not visit.may_spend:
        raise MayNot("This code can't collect rewards. Scan the card on the phone itself.")
    reward_id = forms.number(request.form.get("id", ""))
    with database().transaction(visit.shop_id) as session:
        row = rewards.fulfil(session, visit.shop_id, visit.member_id, reward_id, actor=here.actor)
    return counter.show(visit, done={"kind": "handed", "row": row, "undo": None})


def purchase(signed: str) -> Any:
    """Points for what was bought at a till that does not tell Shopify."""
    visit, here = _visit(signed), sessions.counter()
    if not visit.may_earn:
        raise MayNot(_("This code can't earn points."))
    currency, receipt = here.shop.currency, request.form.get("receipt", "")[:100]
    bought = Purchase(purchasing.amount(request.form.get("amount", "")[:30], currency), currency, receipt)
    with database().transaction(visit.shop_id) as session:
        made = purchases.give(session, visit.shop_id, visit.member_id, bought, actor=here.actor)
    return counter.show(visit, done={"kind": "purchase", "row": made, "undo": _undo("purchase", made.id)})


def undo(signed: str) -> Any:
    """Take back what was just done, within its minute."""
    visit, here = _visit(signed), sessions.counter()
    deed = undoing.opened(request.form.get("deed", "")[:500], here.shop.id, here.person.id)
    if deed.kind == "reward":
        _give_back(visit, deed)
    elif deed.kind == "purchase":
        with database().transaction(visit.shop_id) as session:
            purchases.take_back(session, visit.shop_id, deed.id, actor=here.actor)
    else:
        raise InvalidInput(_("This can't be undone here."), code="no_undo")
    return counter.show(visit, done={"kind": "undone", "row": None, "undo": None})


def _give_back(visit: Visit, deed: Deed) -> None:
    """Its code ends at Shopify first, then the points come back: seconds later, as the sheet says."""
    for tried in range(TRIES):
        try:
            with database().transaction(visit.shop_id) as session:
                rewards.give_back(
                    session, visit.shop_id, visit.member_id, deed.id, actor=sessions.counter().actor
                )  # fmt: skip
            return
        except RapportError as error:
            if error.code != "reward_issuing" or tried == TRIES - 1:
                raise
        time.sleep(PAUSE)


def _visit(signed: str) -> Visit:
    here = sessions.counter()
    return visits.opened(signed, here.shop.id, here.person.id)


def _undo(kind: str, id_: int) -> str:
    here = sessions.counter()
    return undoing.signed(Deed(here.shop.id, here.person.id, kind, id_))
