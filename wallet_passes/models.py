"""Members' cards, and the phones that hold them."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.db import TIMESTAMP, Base

# Passes are numbered by their latest change across all shops: a phone asks for "what changed since" by this number.
TAGS = sa.Sequence("pass_tags", metadata=Base.metadata)


class Pass(Base):
    """A member's card. Unique on the member (one card each) and on the handle in its barcode.

    `version` counts changes of what it shows, `digest` tells whether there is one. `tag` and `modified_at` (whole
    seconds) only ever grow. `generation` is the barcode's: redemptions move it on. `carried` of it are of before the
    card became its present member's, whose redemptions are counted on from there.
    """

    __tablename__ = "passes"
    __table_args__ = (sa.UniqueConstraint("shop_id", "member_id"), sa.UniqueConstraint("shop_id", "handle"))

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    serial: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    member_id: Mapped[int] = mapped_column(sa.BigInteger)
    handle: Mapped[str] = mapped_column(sa.Text)
    # Of the person, as far as it is known (`fr`, `pt-BR`); the shop's own otherwise.
    language: Mapped[str | None] = mapped_column(sa.Text)
    generation: Mapped[int] = mapped_column(sa.Integer, server_default="0")
    carried: Mapped[int] = mapped_column(sa.Integer, server_default="0")
    version: Mapped[int] = mapped_column(sa.Integer, server_default="0")
    digest: Mapped[str] = mapped_column(sa.Text, server_default="")
    # What it shows, as `content.Card` in JSON: a phone that fetches it need not wait for it to be worked out again.
    card: Mapped[bytes | None] = mapped_column(sa.LargeBinary, deferred=True)
    tag: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    modified_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    ended_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    # When phones were last told of a change: the next telling gathers what happens until shortly after.
    told_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    fetched_version: Mapped[int] = mapped_column(sa.Integer, server_default="0")
    fetched_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)


class AppleFile(Base):
    """The signed file of a pass at one version, so that fetching it again costs no signature.

    `pass_type` is empty for the operator's own: see `AppleCertificate`.
    """

    __tablename__ = "apple_files"

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    serial: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    pass_type: Mapped[str] = mapped_column(sa.Text, primary_key=True, server_default="")
    version: Mapped[int] = mapped_column(sa.Integer)
    # What it was signed with: another certificate needs another file.
    signer: Mapped[str] = mapped_column(sa.Text)
    file: Mapped[bytes] = mapped_column(sa.LargeBinary)


class AppleDevice(Base):
    """A phone or watch and where to push to it. Push tokens change, and are not unique."""

    __tablename__ = "apple_devices"
    __table_args__ = (sa.Index("ix_apple_devices_token", "shop_id", "push_token"),)

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    device: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    push_token: Mapped[str] = mapped_column(sa.Text)
    token_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    # The last time the device asked what has changed.
    asked_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)


class AppleRegistration(Base):
    """A pass on a device. Removed ones are kept for the merchant to see.

    `pass_type` is empty for the operator's own. A phone keeps the type it was given, whatever the shop
    signs with later.

    Indexes: the devices of a pass; the shops a device has passes of (across shops, for the device's own question).
    """

    __tablename__ = "apple_registrations"
    __table_args__ = (
        sa.Index("ix_apple_registrations_serial", "shop_id", "serial"),
        sa.Index("ix_apple_registrations_device", "device", postgresql_where=sa.text("removed_at IS NULL")),
    )

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    device: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    serial: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    pass_type: Mapped[str] = mapped_column(sa.Text, primary_key=True, server_default="")
    registered_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    removed_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    # The version that the push service has last taken a push for, and when.
    told_version: Mapped[int] = mapped_column(sa.Integer, server_default="0")
    told_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)


class AppleCertificate(Base):
    """A shop's own pass certificate, in place of the operator's. `sealed` holds its three PEM files, encrypted.

    The newest that is valid signs new cards. Older ones go on for the phones that hold their cards, until they expire.
    Of a retired one the key is gone: the row says only why its phones are told nothing.
    """

    __tablename__ = "apple_certificates"

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    pass_type: Mapped[str] = mapped_column(sa.Text)
    team: Mapped[str] = mapped_column(sa.Text)
    sealed: Mapped[bytes] = mapped_column(sa.LargeBinary)
    # Whether Apple issued it for passes that a terminal can read by NFC.
    nfc: Mapped[bool] = mapped_column(sa.Boolean, server_default="false")
    # The public key of the shop's terminals, as `pass.json` has it; empty without any.
    nfc_key: Mapped[str] = mapped_column(sa.Text, server_default="")
    expires_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    actor: Mapped[str] = mapped_column(sa.Text)
    added_at: Mapped[datetime] = mapped_column(TIMESTAMP)
    retired_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
    warned_at: Mapped[datetime | None] = mapped_column(TIMESTAMP)
