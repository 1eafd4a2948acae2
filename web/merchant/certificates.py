"""The certificate that signs a shop's cards for Apple Wallet: which it is, another one, and back to the operator's."""

from typing import Any

from flask import render_template, request

from core.errors import RapportError
from core.i18n import _
from wallet_passes.apple import uploads
from wallet_passes.apple.reading import LARGEST
from web.merchant.desk import Answer, Desk, go, page, post

_FILES = ("certificate", "key", "wwdr")


@page("/wallet/certificate")
def certificate(desk: Desk) -> Answer:
    """What signs the shop's cards, until when, and the form for another one."""
    return _shown(desk)


@post("/wallet/certificate")
def keep_certificate(desk: Desk) -> Answer:
    """Sign the shop's cards with a certificate of its own."""
    files = [_file(name) for name in _FILES]
    password, nfc_key = request.form.get("password", "")[:255], request.form.get("nfc_key", "")[:2000].strip()
    upload = uploads.Upload(files[0], files[1], files[2], password, nfc_key)
    try:
        if not upload.certificate:
            return _shown(desk, wrong=_("Choose the certificate’s file.")), 422
        uploads.add(desk.session, desk.shop_id, upload, actor=desk.actor)
    except RapportError as error:
        return _shown(desk, wrong=error.detail, nfc_key=upload.nfc_key), int(error.status)
    return go("certificate", said=_("From now on your own certificate signs your cards."))


@post("/wallet/certificate/remove")
def remove_certificate(desk: Desk) -> Answer:
    """Go back to the operator's."""
    if request.form.get("sure") != "1":
        return go("certificate", said=_("Nothing was removed: tick the box to confirm it."))
    uploads.remove(desk.session, desk.shop_id, actor=desk.actor)
    return go("certificate", said=_("Removed. New cards are signed as before you had one of your own."))


def _file(name: str) -> bytes:
    """An upload's content, cut where it is too large: what is left is refused as no certificate."""
    file = request.files.get(name)
    return file.stream.read(LARGEST + 1) if file else b""


def _shown(desk: Desk, **typed: Any) -> str:
    standing = uploads.standing(desk.session, desk.shop_id)
    return render_template("merchant/certificate.html", standing=standing, **typed)
