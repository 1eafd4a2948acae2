"""Who looks at a page for friends: a person or a robot, and by a signed cookie the same browser as before.

The cookie holds a random id, the last code looked at and the claim made here; nothing of the person. Our tables hold
only keyed hashes of the id.
"""

import re
import secrets
from typing import NamedTuple

from flask import Response, request
from itsdangerous import BadSignature, URLSafeTimedSerializer

from core import crypto
from core.config import settings

COOKIE = "rapport_ref"
LIVES = 365 * 24 * 3600  # seconds, at most: the window of a program is the cookie's own
FORM_LIVES = 24 * 3600  # seconds

# Whatever fetches pages by itself: crawlers, the previews of messengers and networks, scanners of mail, monitors, and
# libraries. A person inside WhatsApp's or Facebook's own browser does not say these words; Cubot makes phones.
_ROBOT = re.compile(
    r"(?<!cu)bot(?![a-z])|crawl|spider|slurp|preview|scanner|monitor|lighthouse|facebookexternalhit|facebookcatalog"
    r"|meta-external|^whatsapp/|embedly|vkshare|bitly|google-|googleother|feedfetcher|proxy|curl|wget|python|httpx"
    r"|aiohttp|okhttp|go-http|java/|libwww|node-fetch|axios",
    re.IGNORECASE,
)


class Visitor(NamedTuple):
    """A browser of one shop. `code` is the key of the last code it looked at, `claim` the claim made in it, or 0."""

    id: str
    code: str = ""
    claim: int = 0

    @property
    def hash(self) -> str:
        return crypto.blind_index(f"visitor:{self.id}")


def is_person() -> bool:
    """Whether the current request is somebody's look. Prefetching looks in nobody's name, and HEAD at nothing."""
    agent = request.headers.get("User-Agent", "")
    ahead = " ".join(request.headers.get(name, "") for name in ("Sec-Purpose", "Purpose", "X-Moz", "X-Purpose"))
    if request.method == "HEAD" or re.search("prefetch|prerender|preview", ahead):
        return False
    return bool(agent) and not _ROBOT.search(agent)


def known(shop_id: int) -> Visitor | None:
    """The visitor by their cookie; None without one of ours, of this shop."""
    try:
        owner, *told = _cookies().loads(request.cookies.get(COOKIE, ""), max_age=LIVES)
        return Visitor(*told) if owner == shop_id else None
    except (BadSignature, TypeError, ValueError):
        return None


def fresh() -> Visitor:
    """Somebody who was not here before."""
    return Visitor(secrets.token_urlsafe(12))


def keep(response: Response, shop_id: int, who: Visitor, *, path: str, days: int) -> None:
    """Remember the visitor under a path for so many days."""
    response.set_cookie(
        COOKIE,
        _cookies().dumps([shop_id, *who]),
        max_age=days * 24 * 3600,
        path=path,
        secure=settings().app_url.startswith("https:"),
        httponly=True,
        samesite="Lax",
    )


def form_token(who: Visitor) -> str:
    """What a form of ours carries, so that no other site's can be sent in the visitor's name."""
    return _forms().dumps(who.id)


def sent_by(who: Visitor, token: str) -> bool:
    """Whether a form came from a page of ours that this visitor saw, within a day."""
    try:
        told: object = _forms().loads(token, max_age=FORM_LIVES)
    except BadSignature:
        return False
    return told == who.id


def _cookies() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings().secret_key.get_secret_value(), salt="friends' visitor")


def _forms() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings().secret_key.get_secret_value(), salt="friends' form")
