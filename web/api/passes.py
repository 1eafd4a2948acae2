"""Members' wallet cards over the API."""

from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import Field

from core import clock
from core.db import database
from loyalty import queries
from wallet_passes import freshness, operations
from wallet_passes.adding import links
from wallet_passes.apple import certificates, routes
from wallet_passes.apple.certificate import BadCertificate, NotSetUp
from wallet_passes.apple.operations import download_link
from wallet_passes.google import account, saving
from wallet_passes.google.queries import object_of, state_of
from wallet_passes.models import Pass
from wallet_passes.queries import Device, devices, pass_of
from web.api.endpoint import Call, File, Later, Operation, endpoint
from web.api.shapes import Shape

_STATES = ["current", "stale", "removed", "unreachable"]
_GOOGLE_STATES = ["not_added", "saved", "removed"]


class PassFile(File):
    """A member's card, ready to be added to Apple Wallet."""

    media: ClassVar[str] = routes.PASS


class WalletDevice(Shape):
    """A phone that holds the card, or did."""

    state: Annotated[
        str,
        Field(
            description="`stale`: not told of the latest change. `unreachable`: it can't be told, see `problem`.",
            json_schema_extra={"enum": _STATES},
        ),
    ]
    added_at: datetime
    removed_at: datetime | None
    told_at: Annotated[datetime | None, Field(description="When it was last pushed to.")]
    asked_at: Annotated[datetime | None, Field(description="When it last asked for news.")]
    problem: Annotated[str | None, Field(description="Why it can't be told of changes.")]
    text: Annotated[str, Field(description="The same in a sentence.", examples=["iPhone last updated 2 minutes ago."])]


class AppleWallet(Shape):
    download_url: Annotated[str, Field(description="A link for this member alone; it needs no key.")]
    expires_at: Annotated[datetime, Field(description="When the link ends.")]
    changed_at: Annotated[datetime | None, Field(description="When the card last changed; null: none made yet.")]
    fetched_at: Annotated[datetime | None, Field(description="When a phone last fetched it.")]
    devices: list[WalletDevice]


class GoogleWallet(Shape):
    state: Annotated[
        str,
        Field(description="What Google last told of the card.", json_schema_extra={"enum": _GOOGLE_STATES}),
    ]
    freshness: Annotated[
        str, Field(description="`stale`: not told of the latest change.", json_schema_extra={"enum": _STATES[:2]})
    ]
    text: Annotated[str | None, Field(description="How fresh the card is, for staff and merchants; null: not added.")]
    told_at: Annotated[datetime | None, Field(description="When Google last took a change; null: it has no card.")]
    saved_at: datetime | None
    removed_at: datetime | None


class SaveLink(Shape):
    save_url: Annotated[str, Field(description="Where this member saves their card to Google Wallet.")]


class Wallet(Shape):
    add_url: Annotated[
        str, Field(description="A page that adds the card to either wallet; for this member alone, it needs no key.")
    ]
    expires_at: Annotated[datetime, Field(description="When `add_url` ends.")]
    apple: Annotated[AppleWallet | None, Field(description="Null where Apple Wallet is not set up.")]
    google: Annotated[GoogleWallet | None, Field(description="Null where Google Wallet is not set up.")]


@endpoint("GET", "/members/<id:member_id>/pass.pkpass", problems=(404,))
def download_pass(call: Call, member_id: int) -> PassFile:
    """A member's card for Apple Wallet, signed, as it is now.

    `no_apple_wallet` when this installation has no pass certificate, `no_pass` for a member who has left.
    """
    certificates.signer(call.session, call.shop_id)
    current = operations.issue(call.session, call.shop_id, member_id)
    return PassFile(lambda: routes.sent_now(current))


@endpoint("GET", "/members/<id:member_id>/wallet", problems=(404,))
def read_wallet(call: Call, member_id: int) -> Wallet:
    """Where a member can get their card, and the phones that hold it."""
    member = queries.member(call.session, call.shop_id, member_id)
    row = pass_of(call.session, call.shop_id, member.id)
    link = links.link(call.shop_id, member.id)
    return Wallet(
        add_url=link.url, expires_at=link.expires_at, apple=_apple(call, member.id, row), google=_google(call, row)
    )


def _apple(call: Call, member_id: int, row: Pass | None) -> AppleWallet | None:
    try:
        certificates.signer(call.session, call.shop_id)
    except NotSetUp:
        return None
    except BadCertificate:
        # Nothing new can be signed now; the phones that hold the card are there all the same.
        pass
    link = download_link(call.shop_id, member_id)
    return AppleWallet(
        download_url=link.url,
        expires_at=link.expires_at,
        changed_at=row.modified_at if row else None,
        fetched_at=row.fetched_at if row else None,
        devices=[_device(device) for device in devices(call.session, row)] if row else [],
    )


def _device(device: Device) -> WalletDevice:
    return WalletDevice(**device._asdict(), text=freshness.apple(device, clock.now()).text)


def _google(call: Call, row: Pass | None) -> GoogleWallet | None:
    if not account.is_set_up():
        return None
    held = object_of(call.session, row) if row else None
    phone = freshness.google(held, row.version, clock.now()) if row and held else None
    stands = state_of(row, held)
    return GoogleWallet(
        state=stands.state,
        freshness="current" if stands.fresh else "stale",
        text=phone.text if phone else None,
        told_at=stands.told_at,
        saved_at=stands.saved_at,
        removed_at=stands.removed_at,
    )


@endpoint("GET", "/members/<id:member_id>/google_wallet", problems=(404, 502))
def save_to_google(call: Call, member_id: int) -> Later[SaveLink]:
    """Where a member saves their card to Google Wallet. Google has the card by then, as it is now.

    `no_google_wallet` when this installation has no service account, `no_pass` for a member who has left,
    `google_unavailable` when Google does not answer: try again after `Retry-After`.
    """
    return Later(lambda: SaveLink(save_url=saving.save_url(database(), call.shop_id, member_id)))


OPERATIONS: tuple[Operation, ...] = (download_pass, read_wallet, save_to_google)
