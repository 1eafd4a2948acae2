"""How shops' cards look now, what they looked like before, and the pictures they have."""

import functools
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from core import clock
from core.errors import NotFound
from core.i18n import _
from loyalty import programs
from shops.models import Shop
from wallet_passes import content
from wallet_passes.design import HEX, Design, design
from wallet_passes.designs import dressing
from wallet_passes.designs.advice import Measures
from wallet_passes.designs.document import CardDesign
from wallet_passes.designs.images import Files
from wallet_passes.designs.models import WalletDesign, WalletDraft, WalletImage, WalletRollout


class Looks:
    """The looks in force of some shops."""

    def __init__(self, shops: Iterable[Shop], documents: Mapping[int, str]) -> None:
        self._shops = {shop.id: shop for shop in shops}
        self._documents = documents

    def of(self, shop_id: int, look: str) -> Design:
        """How the cards of members of a tier (its key) look."""
        return dressed(self._documents.get(shop_id), look, self._shops[shop_id])


def looks(session: Session, shops: Sequence[Shop]) -> Looks:
    """The looks in force of these shops, by one statement. Documents are read once per process."""
    newest = (
        sa.select(WalletDesign.shop_id, sa.cast(WalletDesign.document, sa.Text))
        .ext(distinct_on(WalletDesign.shop_id))
        .where(WalletDesign.shop_id.in_(sorted(shop.id for shop in shops)))
        .order_by(WalletDesign.shop_id, WalletDesign.version.desc())
    )
    return Looks(shops, dict(session.execute(newest).all()))


def design_of(session: Session, shop: Shop, look: str) -> Design:
    """How the cards of members of a tier (its key) look: by the design in force, or one made of the shop's name."""
    return looks(session, [shop]).of(shop.id, look)


def dressed(document: str | None, look: str, shop: Shop) -> Design:
    """The look of a document (JSON text), or the one that a shop without any has."""
    colour = (shop.settings or {}).get("wallet_colour")
    chosen = colour if isinstance(colour, str) and HEX.fullmatch(colour) else None
    return _dressed(document, look, content.shortened(shop.name, content.NAME), chosen)


@functools.lru_cache(maxsize=1024)
def _dressed(document: str | None, look: str, name: str, colour: str | None) -> Design:
    if document is None:
        return design(name, colour)
    return dressing.look(CardDesign.model_validate_json(document), look, name, colour)


def in_force(session: Session, shop_id: int) -> WalletDesign | None:
    """The design in force; None for a shop that has published none."""
    newest = sa.select(WalletDesign).where(WalletDesign.shop_id == shop_id).order_by(WalletDesign.version.desc())
    return session.scalar(newest.limit(1))


def version(session: Session, shop_id: int, number: int) -> WalletDesign:
    """A published design. Raises NotFound."""
    found = session.get(WalletDesign, (shop_id, number))
    if found is None:
        raise NotFound(_("there is no card design %(number)s", number=number), code="no_design")
    return found


def versions(session: Session, shop_id: int) -> Sequence[WalletDesign]:
    """Every published design, newest first."""
    order = WalletDesign.version.desc()
    return session.scalars(sa.select(WalletDesign).where(WalletDesign.shop_id == shop_id).order_by(order)).all()


def draft(session: Session, shop_id: int) -> WalletDraft | None:
    """The draft as it is now, also where this session has seen an earlier one."""
    return session.get(WalletDraft, shop_id, populate_existing=True)


def starting_document(session: Session, shop_id: int) -> Mapping[str, object]:
    """What a first draft starts from: the design in force, or one in which nothing is said yet."""
    row = in_force(session, shop_id)
    plain: Mapping[str, object] = row.document if row else msgspec.json.decode(CardDesign().model_dump_json())
    return plain


def measures(session: Session, shop_id: int) -> Mapping[str, Measures]:
    """The shop's pictures by their digests."""
    found = sa.select(WalletImage.digest, WalletImage.width, WalletImage.height).where(WalletImage.shop_id == shop_id)
    return {digest: Measures(width, height) for digest, width, height in session.execute(found)}


def files(session: Session, shop_id: int, look: Design) -> Files:
    """The shop's own pictures of a look, by their digests: what `images.apple_files` is made with."""
    wanted = sorted(filter(None, look.pictures))
    if not wanted:
        return {}
    found = sa.select(WalletImage.digest, WalletImage.file).where(
        WalletImage.shop_id == shop_id, WalletImage.digest.in_(wanted)
    )
    return dict(session.execute(found).all())


def tiers(session: Session, shop_id: int) -> Mapping[str, str]:
    """The names of the tiers that a look may be for, by their keys: of the program in force and of those to come."""
    published, now = programs.load(session, [shop_id]), clock.now()
    if not published.of(shop_id):
        return {}
    held = published.in_force(shop_id, now)
    coming = [one for one in published.of(shop_id) if one.effective_from > now]
    return {tier.key: tier.name for one in (*reversed(coming), held) for tier in one.program.ladder.tiers}


def rollout(session: Session, shop_id: int) -> WalletRollout | None:
    """The latest change that concerned every card, and how far it has come."""
    latest = sa.select(WalletRollout).where(WalletRollout.shop_id == shop_id).order_by(WalletRollout.id.desc())
    return session.scalar(latest.limit(1))
