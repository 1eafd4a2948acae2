"""What a card says: one description for every wallet, made of what is known of a member. Pure.

Texts are in the card's language; each fits its place, for a phone cuts what does not in the middle of a word. Which
wallet shows a field where is the wallet's own business; `place` is only how prominent it is.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from wallet_passes import languages
from wallet_passes.design import Design, Words
from wallet_passes.languages import Catalogue, catalogue

Place = Literal["header", "primary", "secondary", "auxiliary", "back"]

# Characters that fit on a small phone: a tier's name, a sentence beside two others, a name, a text on the back.
TIER = 16
FRONT = 36
NAME = 30
BACK = 500
TERMS = 5000
# So many codes are listed; the rest is counted.
MOST_WAITING = 5
# What is left of a name when the sentence around it takes all the room.
SHORTEST = 6

_JOINER = "\u200d"
# Marks that change the direction of what stands around them, and everything else that shows nothing.
_INVISIBLE = re.compile(
    r"[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
# Not every space: French and German numbers are held together by unbreakable ones.
_SPACES = re.compile(r" {2,}")
_ISOLATED = "\u2068{}\u2069"


class NextTier(msgspec.Struct, frozen=True):
    """The tier above and what is missing to it: minor units, points or orders, as `metric` says."""

    name: str
    metric: str
    remaining: int


class Offer(msgspec.Struct, frozen=True):
    """A reward that the member can have now, or could with more points."""

    name: str
    cost: int


class Waiting(msgspec.Struct, frozen=True):
    """A reward that was redeemed and not used yet, the code it is used with, and until when."""

    name: str
    code: str
    ends_at: datetime | None = None


class Expiring(msgspec.Struct, frozen=True):
    """Points that expire before long, and when."""

    points: int
    at: datetime


class Latest(msgspec.Struct, frozen=True):
    """The latest change of the balance: a posting's kind, the points as the member sees them, its order's name."""

    kind: str
    points: int
    order: str | None = None


class Facts(msgspec.Struct, frozen=True):
    """What is known of a member, in points and minor units. `ended`: the card is of no use any more.

    `latest` is the latest change in English, `last` the same for the other languages. `changed_at` is when any of this
    last changed, never the present moment: that alone would make a new card of every look. `zone` is the shop's.
    """

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
    message_title: str | None = None
    message_link: str | None = None
    # Whether the message is to be shown and not announced.
    message_quiet: bool = False
    last: Latest | None = None
    waiting: tuple[Waiting, ...] = ()
    expiring: Expiring | None = None
    referral_code: str | None = None
    referral_url: str | None = None
    portal_url: str | None = None
    changed_at: datetime | None = None
    zone: str = "UTC"


class Field(msgspec.Struct, frozen=True):
    """A labelled text. `change` is what the phone announces when it changes, with `%@` for the new text.

    `link` is an `https` address that the text leads to, `moment` what the text tells, for wallets that write times
    themselves.
    """

    key: str
    label: str
    text: str
    place: Place
    change: str | None = None
    link: str | None = None
    moment: datetime | None = None


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


def card(facts: Facts, code: str, code_text: str, language: str = languages.ENGLISH) -> Card:
    """The card of a member, in one of `languages.LANGUAGES`."""
    shop = shortened(facts.shop, NAME)
    about = catalogue(language).about.format(shop=embedded(shop, language))
    if facts.ended:
        return Card(shop, about, (), code, code_text, ended=True, language=language)
    fields = tuple(field for field in _fields(facts, language) if field.text)
    return Card(
        shop, about, fields, code, code_text, look=facts.look, points=facts.points,
        tier=shortened(facts.tier, TIER), member=shortened(facts.member or "", NAME), language=language,
    )  # fmt: skip


def fields(card: Card, design: Design) -> tuple[Field, ...]:
    """All that a card says in a design: less what the shop hides, and with what the shop says itself."""
    words, spoken = design.spoken(card.language), catalogue(card.language)
    own = (_titled(field, words) for field in card.fields if field.key not in design.hidden)
    return (*own, *_merchants(words, spoken)) if not card.ended else ()


def announcement(key: str, points: int, language: str) -> str | None:
    """What a phone announces when a field changes, in a language; None for fields that change in silence."""
    return catalogue(language).changes.get("point" if key == "points" and points == 1 else key)


def _titled(field: Field, words: Words) -> Field:
    named = {"program": shortened(words.title, BACK), "tier": shortened(words.tier, TIER)}.get(field.key)
    return msgspec.structs.replace(field, text=named) if named else field


def _merchants(words: Words, spoken: Catalogue) -> Iterator[Field]:
    for number, text in enumerate(words.texts):
        yield Field(f"text-{number}", shortened(text.label, NAME), paragraphs(text.text, BACK), "back")
    for number, link in enumerate(words.links):
        label = shortened(link.label, NAME)
        yield Field(f"link-{number}", label, link.url, "back", link=link.url)
    if words.terms:
        yield Field("terms", spoken.labels["terms"], paragraphs(words.terms, TERMS), "back")


def _fields(facts: Facts, language: str) -> Iterator[Field]:
    yield from _front(facts, language)
    yield from _news(facts, language)
    yield from _standing_texts(facts, language)


def _front(facts: Facts, language: str) -> Iterator[Field]:
    labels = catalogue(language).labels
    told = {key: announcement(key, facts.points, language) for key in ("points", "tier")}
    yield Field("points", labels["points"], languages.number(facts.points, language), "header", told["points"])
    yield Field("tier", labels["tier"], shortened(facts.tier, TIER), "secondary", told["tier"])
    yield Field("progress", labels["progress"], progress(facts, language), "secondary")
    yield Field("reward", labels["reward"], next_reward(facts.points, facts.offers, language), "auxiliary")


def _news(facts: Facts, language: str) -> Iterator[Field]:
    """What changes, for the back: what the shop says, how points came, what can be used and until when."""
    said = None if facts.message_quiet else announcement("message", facts.points, language)
    message = _back("message", _message(facts), language, _secure(facts.message_link))
    yield msgspec.structs.replace(message, change=said)
    yield _back("latest", _latest(facts, language), language)
    yield _back("waiting", _waiting(facts, language), language)
    yield _back("pending", _pending(facts.pending, language), language)
    yield _back("expiring", _expiring(facts, language), language)


def _standing_texts(facts: Facts, language: str) -> Iterator[Field]:
    """What stays, for the back."""
    yield _back("referral", _referral(facts, language), language, _secure(facts.referral_url))
    portal = _secure(facts.portal_url)
    yield _back("portal", catalogue(language).open if portal else "", language, portal)
    yield _back("member", shortened(facts.member or "", NAME), language)
    yield _back("program", shortened(facts.program, BACK), language)
    yield _back("website", facts.website or "", language, _secure(facts.website))
    changed = facts.changed_at
    text = languages.day_and_time(changed, ZoneInfo(facts.zone), language) if changed else ""
    yield msgspec.structs.replace(_back("changed", text, language), moment=changed)


def _back(key: str, text: str, language: str, link: str | None = None) -> Field:
    return Field(key, catalogue(language).labels[key], text, "back", link=link)


def _secure(url: str | None) -> str | None:
    """Only `https` is followed from a card."""
    return url if url and url.startswith("https://") else None


def progress(facts: Facts, language: str = languages.ENGLISH) -> str:
    """How far the next tier is: "$120.00 to Advocate"; empty on the top one."""
    ahead = facts.next_tier
    if ahead is None:
        return ""
    if ahead.metric == "eligible_spend":
        amount = embedded(languages.money(ahead.remaining, facts.currency, language), language)
    else:
        amount = languages.counted(ahead.remaining, "points" if ahead.metric == "points" else "orders", language)
    return _fitted(catalogue(language).ahead, ahead.name, language, amount=amount)


def next_reward(points: int, offers: Sequence[Offer], language: str = languages.ENGLISH) -> str:
    """The next reward and how far it is: "75 points to $5 off", or the best one that is ready."""
    ahead = min((offer for offer in offers if offer.cost > points), key=lambda offer: offer.cost, default=None)
    if ahead is not None:
        amount = languages.counted(ahead.cost - points, "points", language)
        return _fitted(catalogue(language).ahead, ahead.name, language, amount=amount)
    ready = max(offers, key=lambda offer: offer.cost, default=None)
    return _fitted(catalogue(language).ready, ready.name, language) if ready else ""


def _message(facts: Facts) -> str:
    title, body = (shortened(text or "", BACK) for text in (facts.message_title, facts.message))
    return shortened(f"{title} · {body}", BACK) if title and body else title or body


def _latest(facts: Facts, language: str) -> str:
    """The whole sentence is told in English alone."""
    if language == languages.ENGLISH or facts.last is None:
        return shortened(facts.latest or "", BACK)
    last = facts.last
    why = catalogue(language).whys.get(last.kind, "").format(order=embedded(last.order or "", language)).strip()
    points = embedded(f"{'+' if last.points > 0 else ''}{languages.number(last.points, language)}", language)
    return " · ".join(part for part in (points, why) if part)


def _waiting(facts: Facts, language: str) -> str:
    lines = [_ready(one, facts.zone, language) for one in facts.waiting[:MOST_WAITING]]
    rest = len(facts.waiting) - len(lines)
    return "\n".join([*lines, f"+ {languages.number(rest, language)}"] if rest else lines)


def _ready(reward: Waiting, zone: str, language: str) -> str:
    parts = [embedded(shortened(reward.name, NAME), language), embedded(reward.code, language)]
    if reward.ends_at:
        parts.append(catalogue(language).until.format(day=languages.day(reward.ends_at, ZoneInfo(zone), language)))
    return " · ".join(parts)


def _pending(points: int, language: str) -> str:
    if not points:
        return ""
    return catalogue(language).pending.format(points=languages.counted(points, "points", language))


def _expiring(facts: Facts, language: str) -> str:
    soon = facts.expiring
    if soon is None:
        return ""
    points, until = languages.counted(soon.points, "points", language), ZoneInfo(facts.zone)
    return catalogue(language).expiring.format(points=points, day=languages.day(soon.at, until, language))


def _referral(facts: Facts, language: str) -> str:
    code = shortened(facts.referral_code or "", NAME)
    told = catalogue(language).code.format(code=embedded(code, language)) if code else ""
    return "\n".join(line for line in (told, facts.referral_url or "") if line)


def _fitted(phrase: str, name: str, language: str, *, amount: str = "") -> str:
    """A phrase about a name on the front. When it is too long, the name gives way: numbers are never cut."""
    room = FRONT - len(phrase.format(amount=amount, name=embedded("", language)))
    short = embedded(shortened(name, max(room, SHORTEST)), language)
    return cut(phrase.format(amount=amount, name=short), FRONT)


# Direction.


def embedded(text: str, language: str) -> str:
    """A text as a part of a sentence: set apart when it runs, or may run, the other way.

    Otherwise "$5 off" in an Arabic sentence, or an Arabic name in an English one, would pull its neighbours along:
    Unicode's bidirectional algorithm (UAX 9) has isolates for that.
    """
    runs = {unicodedata.bidirectional(character) for character in text}
    strangers = runs & ({"L"} if language in languages.RIGHT_TO_LEFT else {"R", "AL"})
    numeric = language in languages.RIGHT_TO_LEFT and runs & {"ET", "ES", "ON"} and runs & {"EN"}
    return _ISOLATED.format(text) if strangers or numeric else text


# Cutting.


def shortened(text: str, most: int) -> str:
    """At most so many characters on one line, ending in an ellipsis when cut, at a word's end where there is one.

    Invisible controls go. What belongs to one visible character (accents, emoji of several parts) is never parted.
    """
    return cut(_SPACES.sub(" ", _INVISIBLE.sub(" ", unicodedata.normalize("NFC", text))).strip(), most)


def paragraphs(text: str, most: int) -> str:
    """The same for a text of several lines, which are kept; empty ones are not."""
    lines = (shortened(line, most) for line in text.splitlines())
    return cut("\n".join(line for line in lines if line), most)


def cut(text: str, most: int) -> str:
    """At most so many characters; see `shortened`."""
    if len(text) <= most:
        return text
    end = most - 1
    while end > 0 and _inside(text, end):
        end -= 1
    kept = text[:end]
    word = kept.rsplit(" ", 1)[0] if not text[end].isspace() else kept
    return (word if len(word) > most * 2 // 3 else kept).rstrip(" ,.;:-\n") + "…"


def visible_length(text: str) -> int:
    """How many characters are seen: an accent or an emoji of several parts counts once."""
    return sum(1 for place in range(len(text)) if not place or not _inside(text, place))


def _inside(text: str, place: int) -> bool:
    """Whether a cut here would part one visible character."""
    before, after = text[place - 1], text[place]
    return (
        before == _JOINER
        or after == _JOINER
        or bool(unicodedata.combining(after))
        or unicodedata.category(after) in ("Mn", "Me", "Mc")
        or "\U0001f3fb" <= after <= "\U0001f3ff"
        or "\U000e0020" <= after <= "\U000e007f"
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
