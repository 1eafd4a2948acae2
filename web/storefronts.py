"""Addresses of a shop's own storefront: beside its home its sign-in, and a code that waits at its checkout. Pure but
for the sandbox's address.
"""

from urllib.parse import quote, urlencode

from core.config import settings
from shops.models import Shop
from shops.storefronts import PROXY as PROXY
from shops.storefronts import home as home


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
