"""Addresses of a shop's own storefront: its home, its sign-in, and a code that waits at its checkout. Pure but for the
sandbox's address.
"""

from urllib.parse import quote, urlencode

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


def sign_in(shop: Shop, back: str = PROXY) -> str:
    """Where customers sign in, and come back from. Shopify's route leads to old and new customer accounts alike.

    Source: https://shopify.dev/docs/api/liquid/objects/routes#routes-storefront_login_url
    """
    if settings().sandbox_url:
        return f"{home(shop)}/sign-in?{urlencode({'return_to': back})}"
    return f"{home(shop)}/customer_authentication/login?{urlencode({'return_to': back})}"


def join(shop: Shop) -> str:
    """Where people become customers, and so members."""
    return sign_in(shop) if settings().sandbox_url else f"{home(shop)}/account/register"


def with_code(shop: Shop, code: str, back: str = "/") -> str:
    """A link that has a discount code wait at the checkout.

    Shopify's shareable discount links: https://help.shopify.com/en/manual/discounts/managing-discount-codes
    """
    return f"{home(shop)}/discount/{quote(code, safe='')}?{urlencode({'redirect': back})}"
