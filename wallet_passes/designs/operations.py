"""The only writers of designs and pictures. Each takes a session, none commits.

One lock a shop makes those who save and publish take turns, so that nobody overwrites what they have not seen.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core import clock
from core.errors import Conflict
from core.events import Happened, record
from core.i18n import _
from loyalty.publishing.operations import check_storable
from wallet_passes import rollouts
from wallet_passes.designs import images, queries
from wallet_passes.designs.document import CardDesign
from wallet_passes.designs.faults import read
from wallet_passes.designs.images import Picture
from wallet_passes.designs.models import WalletDesign, WalletDraft, WalletImage

# A picture that no design uses may be waiting for the draft it was uploaded for.
UNUSED_FOR = timedelta(days=1)
MOST_UNUSED = 100
_USED = (
    "(SELECT document::text FROM wallet_designs WHERE shop_id = :shop_id "
    "UNION ALL SELECT document::text FROM wallet_design_drafts WHERE shop_id = :shop_id)"
)


class Draft(NamedTuple):
    """What a shop is working on. `edits` counts its changes and only grows; 0 while nobody has saved any."""

    document: Any
    edits: int


def draft(session: Session, shop_id: int) -> Draft:
    """The shop's draft, or what a first one starts from."""
    row = queries.draft(session, shop_id)
    return Draft(row.document, row.edits) if row else Draft(queries.starting_document(session, shop_id), 0)


def save_draft(session: Session, shop_id: int, document: Mapping[str, Any], *, edits: int, actor: str) -> Draft:
    """Keep a document as the draft, valid or not.

    `edits` is that of the draft it replaces. Raises Conflict (`draft_changed`) if that is not the draft there is,
    InvalidInput for what a database can't keep.
    """
    check_storable(document)
    _lock(session, shop_id)
    _check_seen(session, shop_id, edits)
    kept = {"document": dict(document), "edits": edits + 1, "actor": actor, "updated_at": clock.now()}
    statement = insert(WalletDraft).values(shop_id=shop_id, **kept)
    session.execute(statement.on_conflict_do_update(index_elements=["shop_id"], set_=kept))
    return Draft(document, edits + 1)


def publish(session: Session, shop_id: int, *, edits: int, actor: str, note: str | None = None) -> WalletDesign:
    """Publish the draft as the next version, and have all cards follow.

    Raises Conflict (`draft_changed`) if `edits` is not that of the draft, and InvalidDesign.
    """
    _lock(session, shop_id)
    _check_seen(session, shop_id, edits)
    return _publish(session, shop_id, draft(session, shop_id).document, actor=actor, note=note)


def roll_back(session: Session, shop_id: int, number: int, *, actor: str, note: str | None = None) -> WalletDesign:
    """Publish an old version again, as a new one. The draft stays as it is. Raises NotFound, InvalidDesign."""
    _lock(session, shop_id)
    document = queries.version(session, shop_id, number).document
    return _publish(session, shop_id, document, actor=actor, note=note or f"Version {number} again")


def candidate(session: Session, shop_id: int, document: Any) -> CardDesign:
    """The design that a document would publish. Raises InvalidDesign."""
    return read(document, queries.tiers(session, shop_id), queries.measures(session, shop_id))


def _publish(session: Session, shop_id: int, document: Any, *, actor: str, note: str | None) -> WalletDesign:
    design, now = candidate(session, shop_id, document), clock.now()
    latest = queries.in_force(session, shop_id)
    row = WalletDesign(
        shop_id=shop_id,
        version=latest.version + 1 if latest else 1,
        document=msgspec.json.decode(design.model_dump_json()),
        note=note or "",
        actor=actor,
        published_at=now,
    )
    session.add(row)
    session.flush()
    record(session, [Happened(shop_id, "wallet.design_published", {"version": row.version}, now, actor=actor)])
    rollouts.begin(session, shop_id, f"design:{row.version}")
    return row


def add_picture(session: Session, shop_id: int, data: bytes, *, actor: str) -> Picture:
    """Keep an upload for designs to use. Raises BadImage, and Conflict when too many wait to be used.

    What was uploaded long ago and is in no design, old or new, goes.
    """
    picture = images.checked(data)
    _lock(session, shop_id)
    _drop_unused(session, shop_id)
    _check_room(session, shop_id)
    kept = {"file": picture.file, "width": picture.width, "height": picture.height}
    told = {"actor": actor, "created_at": clock.now()}
    statement = insert(WalletImage).values(shop_id=shop_id, digest=picture.digest, **kept, **told)
    # Uploaded again is as good as new.
    session.execute(statement.on_conflict_do_update(index_elements=["shop_id", "digest"], set_=told))
    return picture


def _drop_unused(session: Session, shop_id: int) -> None:
    unused = sa.text(
        "DELETE FROM wallet_images i WHERE shop_id = :shop_id AND created_at < :before "
        f"AND NOT EXISTS (SELECT FROM {_USED} AS used(document) WHERE strpos(used.document, i.digest) > 0)"
    )
    session.execute(unused, {"shop_id": shop_id, "before": clock.now() - UNUSED_FOR})


def _check_room(session: Session, shop_id: int) -> None:
    recent = sa.select(sa.func.count()).where(
        WalletImage.shop_id == shop_id, WalletImage.created_at > clock.now() - UNUSED_FOR
    )
    if (session.scalar(recent) or 0) >= MOST_UNUSED:
        detail = _(
            "%(most)s pictures were uploaded within a day; publish a design with some of them, or wait",
            most=MOST_UNUSED,
        )
        raise Conflict(detail, code="too_many_images")


def _check_seen(session: Session, shop_id: int, edits: int) -> None:
    now = draft(session, shop_id).edits
    if now != edits:
        detail = _("the draft was changed meanwhile: read it again, then make your change")
        raise Conflict(detail, code="draft_changed", edits=now)


def _lock(session: Session, shop_id: int) -> None:
    name = {"name": f"wallet design:{shop_id}"}
    session.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), name)
