"""What a card would look like: as the wallets would be told, for a member or for anybody. Nothing is kept."""

from typing import Any

import msgspec
from sqlalchemy.orm import Session

from core import clock
from core.errors import NotFound
from core.i18n import _
from loyalty import programs, queries
from loyalty.program import Program, Tier
from shops.models import Shop
from wallet_passes import barcode, content, facts, languages
from wallet_passes.apple import package
from wallet_passes.apple.package import Identity
from wallet_passes.content import Card, Facts, NextTier, Offer
from wallet_passes.design import Design
from wallet_passes.designs import addresses
from wallet_passes.google import bodies
from wallet_passes.google.bodies import Addresses
from wallet_passes.models import Pass
from wallet_passes.queries import pass_of

_NOBODY = "0" * barcode.HANDLE
_SERIAL = "preview"
# Of the card that is nobody's.
_POINTS = 250


def apple(card: Card, design: Design) -> dict[str, Any]:
    """The `pass.json` of a card, but for what is of one phone."""
    told: dict[str, Any] = msgspec.json.decode(package.pass_json(card, design, Identity("", "", _SERIAL, "", "")))
    own = ("webServiceURL", "authenticationToken", "passTypeIdentifier", "teamIdentifier")
    return {name: value for name, value in told.items() if name not in own}


def google(card: Card, design: Design, shop_id: int) -> dict[str, Any]:
    """The class and the object of a card."""
    logo, hero = (addresses.address(shop_id, design, kind) for kind in ("google-logo", "google-hero"))
    shown = Addresses(logo, hero, callback="")
    return {
        "class": bodies.loyalty_class(f"{_SERIAL}-{card.look}", card, design, shown),
        "object": bodies.loyalty_object(_SERIAL, f"{_SERIAL}-{card.look}", card, design.hidden, account=""),
    }


def card_of(session: Session, shop: Shop, member_id: int, language: str | None) -> Card:
    """The card of a member as it is now, whether they have one or not. Raises NotFound."""
    member = queries.member(session, shop.id, member_id)
    kept = pass_of(session, shop.id, member.id)
    row = Pass(
        shop_id=shop.id,
        member_id=member.id,
        handle=kept.handle if kept else _NOBODY,
        generation=kept.generation if kept else 0,
        language=language or (kept.language if kept else None),
    )
    (card,) = facts.cards(session, [row], {(shop.id, member.id): member}, {shop.id: shop}, clock.now())
    return card


def card_of_nobody(session: Session, shop: Shop, tier: str | None, language: str | None) -> Card:
    """A card as a member of a tier (its key; by default the lowest) might have it. Raises NotFound."""
    program = programs.load(session, [shop.id]).in_force(shop.id, clock.now()).program
    code = barcode.write(facts.keys(), shop.id, _NOBODY, 0)
    shown = _facts(shop, program, _place(program, tier))
    return content.card(shown, code, barcode.grouped(code), languages.chosen(language))


def _place(program: Program, tier: str | None) -> int:
    keys = [one.key for one in program.ladder.tiers]
    if tier is not None and tier not in keys:
        raise NotFound(_("the program has no such tier"), code="no_tier")
    return keys.index(tier) if tier else 0


def _facts(shop: Shop, program: Program, place: int) -> Facts:
    held, ahead = program.ladder.tiers[place], program.ladder.tiers[place + 1 : place + 2]
    return Facts(
        shop=shop.name,
        program=program.name,
        member=None,
        points=_POINTS,
        tier=held.name,
        look=held.key,
        next_tier=_half_way(held, ahead[0], program.ladder.metric) if ahead else None,
        offers=tuple(Offer(reward.name, reward.cost) for reward in program.rewards),
        currency=shop.currency,
        website=shop.public_url,
    )


def _half_way(held: Tier, ahead: Tier, metric: str) -> NextTier:
    return NextTier(ahead.name, metric, (ahead.threshold - held.threshold + 1) // 2)
