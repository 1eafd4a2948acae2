"""Points for purchases in a store, given at the counter, in words."""

from core.i18n import _, money, points
from loyalty.models import Posting
from loyalty.wording.words import Teller, TierNames, Told


def _bought(posting: Posting, told: Told, names: TierNames) -> str:
    return _("%(points)s for %(amount)s in our store, receipt %(receipt)s.", **_of(posting, told))


def _undone(posting: Posting, told: Told, names: TierNames) -> str:
    return _("%(points)s went back: the purchase of %(amount)s, receipt %(receipt)s, was undone.", **_of(posting, told))


def _of(posting: Posting, told: Told) -> dict[str, str]:
    amount = money(told["amount"], told["currency"])
    return {"points": points(posting.points), "amount": amount, "receipt": told["receipt"]}


TELLERS: dict[str, Teller] = {"store_purchase": _bought, "store_purchase_undone": _undone}
