"""Where a shop's own storefront is, and the rewards pages in it. Pure but for the sandbox's address."""

from core.config import settings
from shops.models import Shop

PROXY = "/apps/rewards"


def home(shop: Shop) -> str:
    """Where shoppers enter, without a slash at the end."""
    if settings().sandbox_url:
        return f"{settings().sandbox_url}/{shop.domain}"
    return (shop.public_url or f"https://{shop.domain}").rstrip("/")


def rewards(shop: Shop) -> str:
    """The rewards page inside the shop's theme."""
    return home(shop) + PROXY
