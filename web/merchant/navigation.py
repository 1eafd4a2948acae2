"""The one list of the merchant's areas, in the order of the menu. An area that is built adds its entry here."""

from typing import Any, NamedTuple

from flask import Blueprint, g, request

from core.config import settings
from core.i18n import N_
from shops.pauses import WHY
from web.merchant import desk


class Entry(NamedTuple):
    """An area: the endpoint of its first page, what it is called, and the modules whose pages belong to it."""

    endpoint: str
    label: str
    path: str


ENTRIES = (
    Entry("home", N_("Home"), "/merchant"),
    Entry("members", N_("Members"), "/merchant/members"),
    Entry("program", N_("Program"), "/merchant/program"),
    Entry("referrals", N_("Referrals"), "/merchant/referrals"),
    Entry("wallet", N_("Wallet"), "/merchant/wallet"),
    Entry("staff", N_("Staff"), "/merchant/staff"),
    Entry("deliveries", N_("Deliveries"), "/merchant/deliveries"),
    Entry("moving", N_("Import and export"), "/merchant/import"),
    Entry("settings", N_("Settings"), "/merchant/settings"),
)


def offer(merchant: Blueprint) -> None:
    """Give the merchant's templates the menu and what App Bridge needs to know."""

    @merchant.context_processor
    def _shell() -> dict[str, Any]:
        return {
            "navigation": ENTRIES,
            "here": _here(),
            "said": desk.told(),
            "rests": WHY.get(g.get("shop_rests") or 0),
            "bridge_url": settings().shopify_app_bridge_url,
            "api_key": settings().shopify_api_key,
        }


def _here() -> str:
    """The path of the area that the current page belongs to: the longest that it starts with."""
    fitting = [entry.path for entry in ENTRIES if f"{request.path}/".startswith(f"{entry.path}/")]
    return max(fitting, key=len, default="")
