"""Members' wallet cards over the API."""

from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import Field

from loyalty import queries
from wallet_passes import operations
from wallet_passes.apple import certificate, routes
from wallet_passes.apple.certificate import NotSetUp
from wallet_passes.apple.operations import download_link
from wallet_passes.queries import devices, pass_of
from web.api.endpoint import Call, File, Operation, endpoint
from web.api.shapes import Shape

_STATES = ["current", "stale", "removed"]


class PassFile(File):
    """A member's card, ready to be added to Apple Wallet."""

    media: ClassVar[str] = routes.PASS


class WalletDevice(Shape):
    """A phone that holds the card, or did."""

    state: Annotated[
        str, Field(description="`stale`: not told of the latest change.", json_schema_extra={"enum": _STATES})
    ]
    added_at: datetime
    removed_at: datetime | None
    told_at: Annotated[datetime | None, Field(description="When it was last pushed to.")]
    asked_at: Annotated[datetime | None, Field(description="When it last asked for news.")]


class AppleWallet(Shape):
    download_url: Annotated[str, Field(description="A link for this member alone; it needs no key.")]
    expires_at: Annotated[datetime, Field(description="When the link ends.")]
    changed_at: Annotated[datetime | None, Field(description="When the card last changed; null: none made yet.")]
    fetched_at: Annotated[datetime | None, Field(description="When a phone last fetched it.")]
    devices: list[WalletDevice]


class Wallet(Shape):
    apple: Annotated[AppleWallet | None, Field(description="Null where Apple Wallet is not set up.")]


@endpoint("GET", "/members/<id:member_id>/pass.pkpass", problems=(404,))
def download_pass(call: Call, member_id: int) -> PassFile:
    """A member's card for Apple Wallet, signed, as it is now.

    `no_apple_wallet` when this installation has no pass certificate, `no_pass` for a member who has left.
    """
    certificate.current()
    current = operations.issue(call.session, call.shop_id, member_id)
    return PassFile(lambda: routes.sent_now(current))


@endpoint("GET", "/members/<id:member_id>/wallet", problems=(404,))
def read_wallet(call: Call, member_id: int) -> Wallet:
    """Where a member can get their card, and the phones that hold it."""
    member = queries.member(call.session, call.shop_id, member_id)
    try:
        certificate.current()
    except NotSetUp:
        return Wallet(apple=None)
    link = download_link(call.shop_id, member.id)
    row = pass_of(call.session, call.shop_id, member.id)
    return Wallet(
        apple=AppleWallet(
            download_url=link.url,
            expires_at=link.expires_at,
            changed_at=row.modified_at if row else None,
            fetched_at=row.fetched_at if row else None,
            devices=[WalletDevice(**device._asdict()) for device in devices(call.session, row)] if row else [],
        )
    )


OPERATIONS: tuple[Operation, ...] = (download_pass, read_wallet)
