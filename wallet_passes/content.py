"""What a card says: one description for every wallet, made of what is known of a member. Pure.

Fields are kept short, for a phone cuts what does not fit in the middle of a word. Which wallet shows a field where is
the wallet's own business; `place` is only how prominent it is.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from core.money import money_text

Place = Literal["header", "primary", "secondary", "auxiliary", "back"]

# Characters that fit beside the other fields of the same row on a small phone.
FRONT = 24
LABEL = 20
NAME = 30
BACK = 500

_JOINER = "\u200d"
# Marks that change the direction of what stands around them, and everything else that shows nothing.
_INVISIBLE = re.compile(r"[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


class NextTier(msgspec.Struct, frozen=True):
    """The tier above and what is missing to it: minor units, points or orders, as `metric` says."""

    name: str
    metric: str
    remaining: int


class Offer(msgspec.Struct, frozen=True):
    """A reward that the member can have now, or could with more points."""

    name: str
    cost: int


class Facts(msgspec.Struct, frozen=True):
    """What is known of a member, in points and minor units. `ended`: the card is of no use any more."""

    shop: str
    program: str
    member: str | None
    points: int
    tier: str
    next_tier: NextTier | None
    offers: tuple[Offer, ...]
    currency: str
    pending: int = 0
    latest: str | None = None
    message: str | None = None
    website: str | None = None
    ended: bool = False
    # The key of the tier.
    look: str = ""


class Field(msgspec.Struct, frozen=True):
    """A labelled text. `change` is what the phone announces when it changes, with `%@` for the new text."""

    key: str
    label: str
    text: str
    place: Place
    change: str | None = None


class Card(msgspec.Struct, frozen=True):
    """A whole card. `code` is what its barcode holds, `look` the key of the tier whose look it has.

    `points`, `tier` and `member` are also among the fields; some wallets have a place of their own for them.
    """

    shop: str
    description: str
    fields: tuple[Field, ...]
    code: str
    code_text: str
    ended: bool = False
    look: str = ""
    points: int = 0
    tier: str = ""
    member: str = ""
    language: str = "en"


def card(facts: Facts, code: str, code_text: str) -> Card:
    """The card of a member."""
    shop = shortened(facts.shop, NAME)
    about = f"{shop} membership card"
    if facts.ended:
        return Card(shop, about, (), code, code_text, ended=True)
    fields = tuple(field for field in _fields(facts) if field.text)
    return Card(
        shop, about, fields, code, code_text, look=facts.look, points=facts.points,
        tier=shortened(facts.tier, FRONT), member=shortened(facts.member or "", NAME),
    )  # fmt: skip


def _fields(facts: Facts) -> Iterable[Field]:
    balance = f"{facts.points:,}"
    yield Field("points", "POINTS", balance, "header", "You have %@ points now.")
    yield Field("tier", "TIER", shortened(facts.tier, FRONT), "primary", "You are now %@.")
    yield Field("progress", "NEXT TIER", shortened(progress(facts), FRONT + 12), "secondary")
    yield Field("reward", "NEXT REWARD", shortened(next_reward(facts.points, facts.offers), FRONT + 12), "secondary")
    yield Field("member", "MEMBER", shortened(facts.member or "", NAME), "auxiliary")
    yield Field("message", "MESSAGE", shortened(facts.message or "", BACK), "back", "%@")
    yield Field("latest", "LATEST", shortened(facts.latest or "", BACK), "back")
    yield Field("pending", "ON THEIR WAY", _pending(facts.pending), "back")
    yield Field("program", "PROGRAM", shortened(facts.program, BACK), "back")
    yield Field("website", "SHOP", facts.website or "", "back")


def progress(facts: Facts) -> str:
    """How far the next tier is: "$120.00 to Advocate"; empty on the top one."""
    ahead = facts.next_tier
    if ahead is None:
        return ""
    if ahead.metric == "eligible_spend":
        return f"{money_text(ahead.remaining, facts.currency)} to {ahead.name}"
    noun = "point" if ahead.metric == "points" else "order"
    return f"{_counted(ahead.remaining, noun)} to {ahead.name}"


def next_reward(points: int, offers: Sequence[Offer]) -> str:
    """The next reward and how far it is: "75 points to $5 off", or the best one that is ready."""
    ahead = min((offer for offer in offers if offer.cost > points), key=lambda offer: offer.cost, default=None)
    if ahead is not None:
        return f"{_counted(ahead.cost - points, 'point')} to {ahead.name}"
    ready = max(offers, key=lambda offer: offer.cost, default=None)
    return f"{ready.name} is ready" if ready else ""


def _pending(points: int) -> str:
    return f"{_counted(points, 'point')} once your orders are complete." if points else ""


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def shortened(text: str, most: int) -> str:
    """At most so many characters on one line, ending in an ellipsis when cut, at a word's end where there is one.

    Invisible controls go. What belongs to one visible character (accents, emoji of several parts) is never parted.
    """
    plain = " ".join(_INVISIBLE.sub(" ", unicodedata.normalize("NFC", text)).split())
    if len(plain) <= most:
        return plain
    end = most - 1
    while end > 0 and _inside(plain, end):
        end -= 1
    kept = plain[:end]
    word = kept.rsplit(" ", 1)[0] if not plain[end].isspace() else kept
    return (word if len(word) > most * 2 // 3 else kept).rstrip(" ,.;:-") + "…"


def _inside(text: str, place: int) -> bool:
    """Whether a cut here would part one visible character."""
    before, after = text[place - 1], text[place]
    return (
        before == _JOINER
        or after == _JOINER
        or bool(unicodedata.combining(after))
        or unicodedata.category(after) in ("Mn", "Me", "Mc")
        or "\U0001f3fb" <= after <= "\U0001f3ff"
        or (_regional(after) and _flags_before(text, place) % 2 == 1)
    )


def _flags_before(text: str, place: int) -> int:
    """How many halves of flags stand right before a place: an odd one waits for its other half."""
    count = 0
    while count < place and _regional(text[place - 1 - count]):
        count += 1
    return count


def _regional(character: str) -> bool:
    """Half of a flag."""
    return "\U0001f1e6" <= character <= "\U0001f1ff"
