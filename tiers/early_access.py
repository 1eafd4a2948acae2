"""Early access as a perk: a rule of the checkout, kept by our function, for shops where a tier brings it.

Shopify's create calls are not idempotent: we look before we create, so that a call that timed out is found. A shop that
has not allowed us to write rules keeps its checkout as it is; its merchant can switch the rule on by hand.
"""

from core import clock, logs
from core.db import Database
from core.effects import PermanentFailure, Wanted
from loyalty import programs
from shops.admin import AccessDenied, Admin, AdminRefused
from tiers.ladders import ladder_of

PERK = "early-access"
EFFECT = "shopify.early_access"
# The handle of the function in extensions/early-access, and what the rule is called in the shop's checkout.
FUNCTION, TITLE = "early-access", "Rapport: early access"

log = logs.logger(__name__)


def of_shop(shop_id: int) -> Wanted:
    """The effect that makes a shop's rule right."""
    return Wanted(shop_id, EFFECT, "shop")


def arrange(database: Database, shop_id: int, _: str = "") -> None:
    """Have the shop's checkout keep the rule while a tier brings early access. An effect: harmless to repeat.

    Raises PermanentFailure when Shopify refuses (the function is not released, too many rules).
    """
    with database.transaction(shop_id) as session:
        rungs = ladder_of(programs.load(session, [shop_id]).in_force(shop_id, clock.now())).rungs
    wanted = any(PERK in rung.perks for rung in rungs)
    with Admin.of(database, shop_id) as admin:
        try:
            _keep(admin, wanted)
        except AccessDenied as error:
            log.info("the early-access rule was not looked after", shop_id=shop_id, error=error.detail)
        except AdminRefused as error:
            raise PermanentFailure(error.detail) from None


def _keep(admin: Admin, wanted: bool) -> None:
    """A merchant who has switched our rule off keeps it off."""
    rules = admin.call("validations_find")["validations"]["nodes"]
    ours = [rule["id"] for rule in rules if rule["title"] == TITLE]
    if wanted and not ours:
        rule = {"functionHandle": FUNCTION, "title": TITLE, "enable": True, "blockOnFailure": False}
        admin.call("validation_create", validation=rule)
    for gone in ours if not wanted else ours[1:]:
        admin.call("validation_delete", id=gone)
