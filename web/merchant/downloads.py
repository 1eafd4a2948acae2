"""Files that merchants take away. A browser fetches them without our scripts, so their addresses are signed: for one
shop, one file and one minute.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from flask import Response, request, url_for
from itsdangerous import BadSignature, URLSafeTimedSerializer

from core import clock
from core.config import settings
from core.db import database
from core.errors import NotFound
from core.i18n import _
from shops.models import Shop
from web.merchant import access
from web.merchant.access import Visitor
from web.merchant.desk import Answer, Desk, merchant, page

LIVES = 60  # seconds
# A cell that begins so is taken for a formula by spreadsheets.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class File(NamedTuple):
    """What is taken away: how it is called, of what kind it is, and its content."""

    name: str
    media: str
    content: str


Maker = Callable[[Desk, Mapping[str, str]], File]
_makers: dict[str, Maker] = {}


def offers(name: str) -> Callable[[Maker], Maker]:
    """Declare who makes the file of this name: `(desk, what the address asks for) -> File`."""

    def declare(maker: Maker) -> Maker:
        _makers[name] = maker
        return maker

    return declare


def address(name: str, **asked: Any) -> str:
    """Where a page's link asks for a signed address of this file."""
    return url_for("merchant.prepare", name=name, **asked)


@page("/downloads/<name>")
def prepare(desk: Desk, name: str) -> Answer:
    """The signed address of a file, for the script that was asked for it."""
    if name not in _makers:
        raise NotFound(_("There is no such file."), code="no_file")
    asked = {key: value for key, value in request.args.items() if key not in ("shop", "host", "embedded", "id_token")}
    signed = _signer().dumps([desk.shop_id, desk.visitor.user, name, asked])
    return Response(json.dumps({"url": url_for("merchant.file", signed=signed)}), mimetype="application/json")


@merchant.get("/files/<signed>")
def file(signed: str) -> Response:
    """The file that a signed address is for."""
    try:
        shop_id, user, name, asked = _signer().loads(signed, max_age=LIVES)
    except BadSignature:
        raise NotFound(_("This download is over. Go back to its page and ask for it again."), code="no_file") from None
    with database().transaction(shop_id) as session:
        shop = session.get_one(Shop, shop_id)
        made = _makers[name](Desk(session, shop, Visitor(shop_id, shop.domain, user)), asked)
    disposition = f'attachment; filename="{made.name}"'
    return Response(made.content, mimetype=made.media, headers={"Content-Disposition": disposition})


access.BY_LINK.add("file")


def table(name: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> File:
    """A spreadsheet of today, with a line of names. Words that look like formulas are kept from being run."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(head)
    writer.writerows([_plain(cell) for cell in row] for row in rows)
    return File(f"{name}-{clock.now():%Y-%m-%d}.csv", "text/csv", "\ufeff" + text.getvalue())


def _plain(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings().secret_key.get_secret_value(), salt="merchant's download")
