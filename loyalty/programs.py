"""Published programs of the shops at hand, compiled once: which version was in force when, and its terms and ladder."""

import functools
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock
from core.errors import NotFound
from loyalty.models import ProgramVersion
from loyalty.program import Program, demo_program
from loyalty.rules import Policy, Terms


@dataclass(frozen=True, eq=False)
class Version:
    """A published version, ready for use. Compared by identity: each is compiled once per process."""

    number: int
    effective_from: datetime
    program: Program

    @functools.cached_property
    def policy(self) -> Policy:
        rule = self.program.orders
        return Policy(rule.include_tax, rule.include_shipping)

    @functools.cached_property
    def waiting(self) -> timedelta:
        return timedelta(days=self.program.orders.waiting_days)

    def terms(self, tier_key: str, multiplier: Fraction) -> Terms:
        """The terms for an order whose member held this tier when it was placed."""
        rule = self.program.orders
        return Terms(
            self.number, rule.key, self.program.rate, tier_key, multiplier, self.policy, self.waiting, rule.starts_at
        )


class Programs:
    """The versions of several shops, each in order of when it came into force."""

    def __init__(self, versions: dict[int, list[Version]]) -> None:
        self._versions = versions

    def in_force(self, shop_id: int, moment: datetime) -> Version:
        """The version in force at a moment; before the first, the first. Raises NotFound for a shop without one."""
        versions = self._versions.get(shop_id)
        if not versions:
            raise NotFound("this shop has published no program yet", code="no_program")
        place = bisect_right(versions, moment, key=lambda version: version.effective_from)
        return versions[max(0, place - 1)]

    def of(self, shop_id: int) -> list[Version]:
        """All versions of a shop, oldest first."""
        return self._versions.get(shop_id, [])

    def numbered(self, shop_id: int, number: int) -> Version:
        """A version by its number. Raises NotFound."""
        found = next((v for v in self._versions.get(shop_id, ()) if v.number == number), None)
        if found is None:
            raise NotFound(f"program version {number} does not exist", code="no_program")
        return found


@functools.lru_cache(maxsize=4096)
def _compiled(shop_id: int, number: int, effective_from: datetime, document: str) -> Version:
    return Version(number, effective_from, Program.model_validate_json(document))


def load(session: Session, shop_ids: Iterable[int]) -> Programs:
    """The published versions of these shops. Documents are parsed once per process: a version never changes."""
    rows = session.execute(
        sa.select(
            ProgramVersion.shop_id,
            ProgramVersion.version,
            ProgramVersion.effective_from,
            sa.cast(ProgramVersion.document, sa.Text),
        )
        .where(ProgramVersion.shop_id.in_(sorted(set(shop_ids))))
        .order_by(ProgramVersion.shop_id, ProgramVersion.effective_from, ProgramVersion.version)
    )
    versions: dict[int, list[Version]] = {}
    for shop_id, number, effective_from, document in rows:
        versions.setdefault(shop_id, []).append(_compiled(shop_id, number, effective_from, document))
    return Programs(versions)


def publish_first(session: Session, shop_id: int) -> None:
    """The program every new shop starts from. What was bought before the shop came to us earns nothing."""
    if not load(session, [shop_id]).of(shop_id):
        program = demo_program()
        orders = program.orders.model_copy(update={"starts_at": clock.now()})
        first = program.model_copy(update={"orders": orders})
        publish(session, shop_id, first, effective_from=clock.now(), actor="install")


def publish(session: Session, shop_id: int, program: Program, *, effective_from: datetime, actor: str) -> int:
    """Publish the next version of a shop's program and return its number."""
    number = 1 + (
        session.scalar(sa.select(sa.func.max(ProgramVersion.version)).where(ProgramVersion.shop_id == shop_id)) or 0
    )
    session.add(
        ProgramVersion(
            shop_id=shop_id,
            version=number,
            document=msgspec.json.decode(program.model_dump_json()),
            effective_from=effective_from,
            published_at=clock.now(),
            actor=actor,
        )
    )
    session.flush()
    return number
