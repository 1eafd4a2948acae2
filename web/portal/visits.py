"""A request to the rewards pages, opened: the shop of its address, its look, the program in force, and the member."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import sqlalchemy as sa
from flask import g
from sqlalchemy.orm import Session, aliased

from core import clock, i18n
from core.db import database, open_shops
from core.errors import NotFound
from core.i18n import _
from loyalty import programs
from loyalty.models import Member
from loyalty.program import Program
from loyalty.programs import Programs, Version
from shops.appearance import Appearance, Texts, appearance_of
from shops.models import Shop
from wallet_passes.designs.queries import design_of
from web.portal import look
from web.portal.mounts import Mount, mount


class Visit(NamedTuple):
    """All that a page starts from. `member` is None for who is not signed in, or has not joined yet."""

    session: Session
    shop: Shop
    member: Member | None
    published: Programs
    version: Version

    @property
    def program(self) -> Program:
        return self.version.program

    def signed_in(self) -> Member:
        """The member. Raises NotFound (`no_member`)."""
        if self.member is None:
            raise NotFound(_("nobody is signed in"), code="no_member")
        return self.member


@contextmanager
def opened() -> Iterator[Visit]:
    """A transaction for the shop of the address. Raises NotFound (`no_shop`, `no_program`)."""
    here = mount()
    with database().transaction() as session:
        shop = session.scalar(sa.select(Shop).where(Shop.domain == here.domain, Shop.uninstalled_at.is_(None)))
        if shop is None:
            raise NotFound(_("no such shop has installed the app"), code="no_shop")
        open_shops(session, [shop.id])
        published = programs.load(session, [shop.id])
        member = _member(session, shop.id, here)
        _dress(session, shop, member)
        # A page that says what went wrong is made once the transaction is over.
        session.expunge(shop)
        yield Visit(session, shop, member, published, published.in_force(shop.id, clock.now()))


def _member(session: Session, shop_id: int, here: Mount) -> Member | None:
    """Who is signed in; whoever was merged is whom they became, and whoever has left is nobody."""
    if here.customer_id is None and here.member_id is None:
        return None
    named = aliased(Member)
    wanted = named.customer_id == here.customer_id if here.customer_id else named.id == here.member_id
    survivor = sa.select(sa.func.coalesce(named.merged_into, named.id)).where(named.shop_id == shop_id, wanted)
    return session.scalar(
        sa.select(Member).where(
            Member.shop_id == shop_id,
            Member.id == survivor.scalar_subquery(),
            Member.erased_at.is_(None),
            Member.closed_at.is_(None),
        )
    )


def _dress(session: Session, shop: Shop, member: Member | None) -> None:
    """What every page of the request is drawn with, also one that says what went wrong."""
    g.appearance = appearance_of(shop.settings)
    g.design = design_of(session, shop, member.tier_key if member else "")
    g.dress = look.of(g.design, g.appearance)
    g.shop = shop
    g.known = member is not None


def texts() -> Texts:
    """The shop's own words in the language spoken now."""
    chosen: Appearance = g.appearance
    return chosen.spoken(i18n.language())
