"""Where Google calls back when somebody saves a card or removes it."""

from flask import Blueprint, Flask, request

from core.config import settings
from core.db import database
from core.errors import NotFound
from wallet_passes.apple.operations import shop_of
from wallet_passes.google import keys, receiving
from wallet_passes.google.bodies import serial_of

LARGEST = 64 * 1024  # bytes; Google's own are of one or two thousand

service = Blueprint("google_wallet", __name__, url_prefix="/wallet/google")


def register(app: Flask) -> None:
    """Give the app the door that Google calls at."""
    app.register_blueprint(service)


@service.post("/callback")
def callback() -> tuple[str, int]:
    """200 for all that is Google's, also when it is known already or about a card that is gone.

    401 for what Google did not sign for us or not for now, 422 for what can't be read, 413, and 503 while Google's keys
    can't be had.
    """
    issuer = settings().google_wallet_issuer
    if not issuer:
        raise NotFound("Google Wallet is not set up here", code="no_google_wallet")
    request.max_content_length = LARGEST
    told = keys.verified(request.get_data(), issuer)
    serial = serial_of(issuer, told.object_id) or ""
    if shop_id := shop_of(serial):
        with database().transaction(shop_id) as session:
            receiving.take(session, shop_id, serial, told)
    return "", 200
