"""Pictures of cards at public addresses, for wallets that fetch them: a name never changes what it shows."""

import functools

from flask import Blueprint, Flask, Response, request

from core.db import database
from core.errors import NotFound
from wallet_passes.design import Design
from wallet_passes.designs import addresses, images, queries

_A_YEAR = 365 * 24 * 3600  # seconds

wallet_images = Blueprint("wallet_images", __name__)


class Gone(Exception):
    """The picture is kept no more: no design in force has it."""


def register(app: Flask) -> None:
    app.register_blueprint(wallet_images)


@wallet_images.get("/wallet/images/<int:shop_id>/<name>/<kind>.png")
def show(shop_id: int, name: str, kind: str) -> Response:
    """A picture as PNG. Names are signed: see `designs.addresses`."""
    made_of = addresses.read(shop_id, name, kind)
    if made_of is None:
        raise NotFound("there is no such picture", code="no_image")
    try:
        response = Response(_made(shop_id, made_of, kind), mimetype="image/png")
    except Gone:
        raise NotFound("this picture is kept no more", code="no_image") from None
    response.headers["Cache-Control"] = f"public, max-age={_A_YEAR}, immutable"
    response.add_etag()
    response.make_conditional(request)
    return response


@functools.lru_cache(maxsize=128)
def _made(shop_id: int, made_of: Design, kind: str) -> bytes:
    with database().transaction(shop_id) as session:
        files = queries.files(session, shop_id, made_of)
    if any(made_of.pictures) and not files:
        raise Gone
    return images.KINDS[kind](made_of, files)
