"""Which certificate signs and pushes for what: the operator's, or a shop's own.

A card on a phone stays of the pass type it was added with. Types are written as `apple_registrations.pass_type` has
them: empty for the operator's, else the shop's own. A renewed certificate goes on for all cards of its type.
"""

import contextlib
import functools
from collections.abc import Collection, Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock, crypto
from core.crypto import UndecipherableSecret
from core.errors import NotAuthenticated, RapportError
from wallet_passes.apple import certificate
from wallet_passes.apple.certificate import BadCertificate, Certificate, NotSetUp, day
from wallet_passes.models import AppleCertificate

OPERATORS = ""


def signer(session: Session, shop_id: int) -> Certificate:
    """What signs the shop's new cards: its newest own that is valid, else the operator's.

    Raises NotSetUp where there is neither, BadCertificate.
    """
    own = kept(session, [shop_id])
    valid = next((row for row in own if is_valid(row)), None)
    if valid is not None:
        return opened(valid)
    try:
        return certificate.current()
    except NotSetUp:
        if own and own[0].retired_at is None:
            raise why_not(own[0]) from None
        raise


def of_type(session: Session, shop_id: int, pass_type: str) -> Certificate:
    """What signs and pushes for cards of this type. Raises NotSetUp, BadCertificate: expired or removed."""
    found = of_types(session, [(shop_id, pass_type)])[shop_id, pass_type]
    if isinstance(found, Certificate):
        return found
    raise found


def of_types(
    session: Session, wanted: Collection[tuple[int, str]]
) -> dict[tuple[int, str], Certificate | RapportError]:
    """For each shop and type what signs and pushes for its cards, or the error that says why nothing does."""
    found: dict[tuple[int, str], Certificate | RapportError] = {}
    own = kept(session, {shop_id for shop_id, pass_type in wanted if pass_type != OPERATORS})
    for shop_id, pass_type in wanted:
        rows = [row for row in own if (row.shop_id, row.pass_type) == (shop_id, pass_type)]
        try:
            found[shop_id, pass_type] = certificate.current() if pass_type == OPERATORS else _newest(rows)
        except (BadCertificate, NotSetUp) as error:
            found[shop_id, pass_type] = error
    return found


def known_type(session: Session, shop_id: int, pass_type: str) -> str:
    """The type that a phone asks for by its full name.

    Raises NotAuthenticated for one the shop never had, BadCertificate.
    """
    kind = kind_of(pass_type)
    if kind == OPERATORS or kept(session, [shop_id], pass_type):
        return kind
    # While the operator's can't be read nobody knows its type: no reason to send a phone away for good.
    with contextlib.suppress(NotSetUp):
        certificate.loaded()
    raise NotAuthenticated("this token does not open this pass")


def kind_of(pass_type: str) -> str:
    """The type of a full name."""
    try:
        return OPERATORS if pass_type == certificate.loaded().pass_type else pass_type
    except (BadCertificate, NotSetUp):
        return pass_type


def kept(session: Session, shop_ids: Iterable[int], pass_type: str | None = None) -> Sequence[AppleCertificate]:
    """The shops' own certificates, newest first, also those that have expired or were removed."""
    shops = list(shop_ids)
    if not shops:
        return []
    found = sa.select(AppleCertificate).where(AppleCertificate.shop_id.in_(shops))
    if pass_type is not None:
        found = found.where(AppleCertificate.pass_type == pass_type)
    newest = found.order_by(AppleCertificate.added_at.desc(), AppleCertificate.fingerprint)
    return session.scalars(newest.execution_options(populate_existing=True)).all()


def is_valid(row: AppleCertificate) -> bool:
    return row.retired_at is None and clock.now() < row.expires_at


def opened(row: AppleCertificate) -> Certificate:
    """A kept certificate, ready to sign. Raises BadCertificate."""
    try:
        return _opened(row.sealed, row.nfc_key)
    except UndecipherableSecret:
        raise BadCertificate("the key of your pass certificate can't be read any more: upload it again") from None


@functools.lru_cache(maxsize=256)
def _opened(sealed: bytes, nfc_key: str) -> Certificate:
    """Parsed once. Whether it has expired is not asked here, for the answer would age."""
    return certificate.load(crypto.decrypt(sealed).encode(), now=None)._replace(nfc_key=nfc_key)


def _newest(rows: Sequence[AppleCertificate]) -> Certificate:
    valid = next((row for row in rows if is_valid(row)), None)
    if valid is not None:
        return opened(valid)
    raise why_not(rows[0]) if rows else NotSetUp("there is no certificate for this pass type")


def why_not(row: AppleCertificate) -> BadCertificate:
    """Why a certificate that is not valid is not."""
    if row.retired_at is not None:
        return BadCertificate(
            f"the certificate for {row.pass_type} was removed on {day(row.retired_at)}", code="certificate_removed"
        )
    return BadCertificate(
        f"the certificate for {row.pass_type} expired on {day(row.expires_at)}: upload a new one for it",
        code="certificate_expired",
    )
