"""What goes into a shop's theme is read as Liquid there, and what people typed must stay what they typed. Pure.

Shopify renders an answer of `application/liquid` with the shop's own objects in reach, so a member whose name is
`{{ shop.email }}` would be shown the shop's address. Our pages hold no Liquid of their own: every opening is made text.
Source: https://shopify.dev/docs/apps/build/online-store/app-proxies/authenticate-app-proxies
"""

import re

MIMETYPE = "application/liquid"
_OPENS = re.compile(r"\{(?=[{%])")


def inert(html: str) -> str:
    """The page with every `{{` and `{%` as text. Style sheets and scripts in it must hold neither."""
    return _OPENS.sub("&#123;", html)
