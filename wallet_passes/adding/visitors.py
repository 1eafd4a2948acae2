"""Which phone a page is seen on, and so which wallet comes first. Pure."""

import re
from typing import NamedTuple

APPLE, GOOGLE = "apple", "google"
WALLETS = (APPLE, GOOGLE)

# An iPad has no Wallet, and says that it is a Mac.
_IPHONE = re.compile(r"\((iPhone|iPod)\b")
_ANDROID = re.compile(r"\bAndroid\b")
# Windows' phones once claimed to be both.
_NEITHER = re.compile(r"\bWindows Phone\b|\bCrOS\b")


class Visitor(NamedTuple):
    """`wallet` is the one of this phone, None on a computer or a tablet without one.

    `inside_app`: an app shows the page in a view of its own, which on an iPhone can't add a card.
    """

    wallet: str | None
    inside_app: bool = False


def visitor(user_agent: str, platform: str = "") -> Visitor:
    """Who is asking, by `User-Agent` and the client hint `Sec-CH-UA-Platform`, which Chromium's browsers send.

    The hint goes first, for a phone that asks for a page's desktop version sends a computer's `User-Agent`.
    """
    if _NEITHER.search(user_agent):
        return Visitor(None)
    if _IPHONE.search(user_agent):
        return Visitor(APPLE, inside_app="Safari/" not in user_agent)
    if platform.strip('" ').casefold() == "android" or _ANDROID.search(user_agent):
        return Visitor(GOOGLE)
    return Visitor(None)
