"""A code of one's own choice, which must not be a discount code of the shop: it would be taken for one at checkout."""

from core.db import Database
from core.effects import PermanentFailure
from core.errors import Conflict, NotAuthenticated, Unavailable
from core.i18n import _
from referrals import codes, members
from referrals.models import ReferralCode
from shops.admin import Admin, AdminRefused


def change(database: Database, shop_id: int, member_id: int, text: str, *, actor: str) -> ReferralCode:
    """Give a member the code they chose; Shopify is asked between two transactions.

    Raises as `referrals.members.may_choose` and `check_no_discount` do.
    """
    with database.transaction(shop_id) as session:
        new = members.may_choose(session, shop_id, member_id, text)
    if new:
        check_no_discount(database, shop_id, codes.check_vanity(text))
    with database.transaction(shop_id) as session:
        return members.choose(session, shop_id, member_id, text, actor)


def check_no_discount(database: Database, shop_id: int, code: str) -> None:
    """Raises Conflict: `code_taken` for a code that is a discount of the shop, `shop_not_connected` where the shop lets
    us ask no more; Unavailable when that can't be said now.
    """
    try:
        with Admin.of(database, shop_id) as admin:
            found = admin.call("discount_by_code", code=code)["codeDiscountNodeByCode"]
    except Unavailable:
        text = _("We couldn't check your code with the shop just now. Please try again in a minute.")
        raise Unavailable(text, code="code_not_checked") from None
    except (NotAuthenticated, PermanentFailure, AdminRefused):
        text = _("Codes can't be changed until the shop has been connected again.")
        raise Conflict(text, code="shop_not_connected") from None
    if found is not None:
        text = _("%(code)s is one of the shop's own codes. Please choose another.", code=code)
        raise Conflict(text, code="code_taken")
