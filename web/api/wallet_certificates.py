"""A shop's own certificate for Apple Wallet over the API."""

import base64
import binascii
from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from core.errors import InvalidInput
from wallet_passes.apple import uploads
from wallet_passes.apple.reading import LARGEST
from wallet_passes.apple.uploads import Held, Upload
from web.api.endpoint import Call, Operation, endpoint
from web.api.shapes import Asked, Shape

# Base64 takes four characters for three bytes.
FileText = Annotated[str, StringConstraints(min_length=1, max_length=LARGEST * 4 // 3 + 4)]


class WalletCertificateUpload(Asked):
    """Files are PEM text, or Base64 of any of their kinds: PEM, DER (.cer), PKCS#12 (.p12, .pfx)."""

    certificate: Annotated[FileText, Field(description="The pass certificate. It may hold the key and the issuer too.")]
    key: Annotated[FileText | None, Field(description="Its private key, when `certificate` does not hold it.")] = None
    wwdr: Annotated[
        FileText | None, Field(description="Apple's certificate that issued it, when that is not the operator's.")
    ] = None
    password: Annotated[str | None, Field(max_length=255, description="Of the key or the PKCS#12 file.")] = None
    nfc_key: Annotated[
        str | None,
        Field(
            max_length=2000, description="The public key (P-256) of the shop's NFC terminals: PEM, or Base64 of DER."
        ),
    ] = None


class WalletCertificate(Shape):
    pass_type: str
    team: str
    expires_at: datetime
    days_left: Annotated[int, Field(description="Below zero once it has expired.")]
    nfc: Annotated[bool, Field(description="Whether Apple issued it for passes that terminals read by NFC.")]
    nfc_key: Annotated[str | None, Field(description="The public key of these terminals, as cards carry it.")]
    phones: Annotated[int, Field(description="Phones that hold a card of this pass type.")]
    warning: Annotated[str | None, Field(description="What is to be done, in a sentence; null: nothing.")]
    added_at: datetime | None
    actor: Annotated[str | None, Field(description="Who added it: `api:<key id>`. Null for the operator's.")]


class WalletSigning(Shape):
    own: Annotated[bool, Field(description="Whether the shop's own signs new cards; else the operator's does.")]
    signs: Annotated[WalletCertificate | None, Field(description="What signs new cards; null: nothing can.")]
    others: Annotated[list[WalletCertificate], Field(description="The shop's own that cards on phones still lean on.")]
    problem: Annotated[str | None, Field(description="Why nothing signs new cards.")]


@endpoint("GET", "/wallet/certificate")
def read_wallet_certificate(call: Call) -> WalletSigning:
    """Which certificate signs the shop's cards for Apple Wallet, and until when."""
    return _standing(call)


@endpoint("PUT", "/wallet/certificate", problems=(400, 413, 415, 422))
def keep_wallet_certificate(call: Call, body: WalletCertificateUpload) -> WalletSigning:
    """Sign the shop's cards with a Pass Type ID certificate of its own.

    Cards that are on phones already go on as they are; a renewed certificate takes over those of its pass type.
    `bad_certificate` says in a sentence what is wrong with the files.
    """
    upload = Upload(
        _bytes("certificate", body.certificate),
        _bytes("key", body.key),
        _bytes("wwdr", body.wwdr),
        body.password or "",
        body.nfc_key or "",
    )
    uploads.add(call.session, call.shop_id, upload, actor=call.actor)
    return _standing(call)


@endpoint("DELETE", "/wallet/certificate", problems=(404,))
def remove_wallet_certificate(call: Call) -> WalletSigning:
    """Go back to the operator's certificate, and destroy the shop's own keys.

    Phones that hold cards of the shop's own pass types are updated no more. `no_certificate` when it has none.
    """
    uploads.remove(call.session, call.shop_id, actor=call.actor)
    return _standing(call)


def _bytes(name: str, given: str | None) -> bytes:
    if given is None or "-----BEGIN" in given:
        return (given or "").encode()
    try:
        return base64.b64decode("".join(given.split()), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput(f"{name} is neither PEM text nor Base64", code="bad_certificate") from None


def _standing(call: Call) -> WalletSigning:
    found = uploads.standing(call.session, call.shop_id)
    return WalletSigning(
        own=found.own,
        signs=_told(found.signs) if found.signs else None,
        others=[_told(one) for one in found.others],
        problem=found.problem,
    )


def _told(held: Held) -> WalletCertificate:
    return WalletCertificate(**held._asdict() | {"nfc_key": held.nfc_key or None})


OPERATIONS: tuple[Operation, ...] = (read_wallet_certificate, keep_wallet_certificate, remove_wallet_certificate)
