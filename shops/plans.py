"""What a merchant's plan brings. The plan is chosen and paid on Shopify's own page, and read from there.

The software is free, so every plan brings everything unless whoever runs this installation says otherwise in PLANS.
And even then nothing ever stops by itself: who has grown past their plan is told so kindly, and keeps earning, spending
and climbing; what a plan leaves out can't be begun anew, with a sentence that says why.
Source: https://shopify.dev/docs/apps/launch/billing
"""

from datetime import datetime
from http import HTTPStatus
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock, effects
from core.config import PlanTerms, settings
from core.db import Database
from core.effects import Wanted
from core.errors import RapportError
from core.events import Happened, record
from core.i18n import _, listed
from shops.admin import Admin
from shops.models import Shop
from shops.queries import installed_shop_ids

EFFECT = "shopify.plan"
FREE = "free"
SETTING = "plan"


class NotInPlan(RapportError):
    """What was asked for is not part of the shop's plan. The detail says which plan has it, and where to choose."""

    status = HTTPStatus.PAYMENT_REQUIRED
    code = "not_in_plan"


class Plan(NamedTuple):
    """A shop's plan as Shopify has it. `handle` is `free` without a subscription; `ends_at` of the period paid for."""

    handle: str
    name: str
    ends_at: datetime | None = None
    trial_days: int = 0


class Standing(NamedTuple):
    """For the merchant's page: the plan, how much of it is used, and a sentence when they have grown past it.

    `members_limit` is None for no limit; `choose_url` is Shopify's page of plans. A sentence never means that something
    stops.
    """

    plan: Plan
    everything: bool
    members: int
    members_limit: int | None
    without: tuple[str, ...]
    sentence: str | None
    choose_url: str


def plan_of(shop: Shop) -> Plan:
    """The plan that was last read from Shopify."""
    kept = (shop.settings or {}).get(SETTING)
    if not kept:
        return Plan(FREE, _name(FREE))
    ends_at = kept["ends_at"] and datetime.fromisoformat(kept["ends_at"])
    return Plan(kept["handle"], kept["name"], ends_at, kept["trial_days"])


def standing(shop: Shop, members: int) -> Standing:
    """How a shop of so many members stands with its plan."""
    plan, terms = plan_of(shop), _terms(plan_of(shop).handle)
    limit = terms.members if terms else None
    return Standing(
        plan, not settings().plans, members, limit, tuple(terms.without) if terms else (),
        _sentence(plan, members, limit), choose_url(shop),
    )  # fmt: skip


def _sentence(plan: Plan, members: int, limit: int | None) -> str | None:
    if limit is None or members <= limit:
        return None
    return (
        f"Your program has grown to {members:,} members, past the {limit:,} that the {plan.name} plan is meant for. "
        "Everything keeps working for all of them; please choose a larger plan when it suits you."
    )


def includes(shop: Shop, feature: str) -> bool:
    """Whether a shop's plan brings a feature. Without PLANS every plan brings them all."""
    terms = _terms(plan_of(shop).handle)
    return terms is None or feature not in terms.without


def require(shop: Shop, feature: str, called: str) -> None:
    """Raises NotInPlan, in words for the merchant, where a plan leaves out what they are about to begin.

    Call it where something new is set up, never where what is there works on. `called` names it to people.
    """
    if not includes(shop, feature):
        others = [terms.name for terms in settings().plans.values() if feature not in terms.without]
        said = {"feature": called, "plan": plan_of(shop).name}
        text = _("%(feature)s is not part of the %(plan)s plan.", **said)
        if others:
            text = _(
                "%(feature)s is not part of the %(plan)s plan. It comes with %(others)s.",
                **said, others=listed(others),
            )  # fmt: skip
        raise NotInPlan(text, choose_url=choose_url(shop))


def choose_url(shop: Shop) -> str:
    """Shopify's page where the merchant chooses a plan."""
    store = shop.domain.removesuffix(".myshopify.com")
    return f"https://admin.shopify.com/store/{store}/charges/{settings().shopify_app_handle}/pricing_plans"


def _terms(handle: str) -> PlanTerms | None:
    """What the operator says of a plan; one nobody speaks of brings everything."""
    return settings().plans.get(handle)


def _name(handle: str) -> str:
    terms = _terms(handle)
    return terms.name if terms else handle.replace("-", " ").capitalize()


# Reading it.


def request(session: Session, shop_id: int) -> None:
    """Have the shop's plan read anew: it was installed, or Shopify tells that the plan changed."""
    effects.request(session, [Wanted(shop_id, EFFECT, "")])


def request_all(database: Database) -> None:
    """The same for every installed shop, for changes no webhook told."""
    for shop_id in installed_shop_ids(database):
        with database.transaction(shop_id) as session:
            request(session, shop_id)


def read(database: Database, shop_id: int, _: str) -> None:
    """Read the shop's plan from Shopify. An effect: may be repeated. While it fails the plan stays what it was."""
    with Admin.of(database, shop_id) as admin:
        active = admin.call("app_plan")["currentAppInstallation"]["activeSubscriptions"]
    found = _newest(active)
    with database.transaction(shop_id) as session:
        _keep(session, shop_id, found)


def _newest(active: list[dict[str, Any]]) -> Plan:
    if not active:
        return Plan(FREE, _name(FREE))
    told = max(active, key=lambda subscription: subscription["createdAt"])
    details = [line["plan"]["pricingDetails"] for line in told["lineItems"]]
    handle = next((found for one in details if (found := one.get("planHandle"))), None)
    ends_at = told["currentPeriodEnd"] and datetime.fromisoformat(told["currentPeriodEnd"])
    return Plan(handle or told["name"].strip().lower().replace(" ", "-"), told["name"], ends_at, told["trialDays"])


def _keep(session: Session, shop_id: int, plan: Plan) -> None:
    shop = session.scalars(sa.select(Shop).where(Shop.id == shop_id).with_for_update()).one()
    before = plan_of(shop)
    kept = plan._asdict() | {"ends_at": plan.ends_at and plan.ends_at.isoformat()}
    shop.settings = (shop.settings or {}) | {SETTING: kept}
    session.flush()
    if before.handle != plan.handle:
        told = {"from": before.handle, "to": plan.handle}
        record(session, [Happened(shop_id, "shop.plan_changed", told, clock.now(), actor="shopify")])
