"""Where Stripe tells its news, and the pages by which a payee goes to Stripe and comes back.

Looking at a page changes nothing, so previews and scanners of mail may look. Only a pressed button, a POST, opens an
account.
"""

import json
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, redirect, render_template, request, url_for
from stripe import SignatureVerificationError, WebhookSignature

from core import logs
from core.config import settings
from core.db import database
from core.errors import NotFound, RapportError, Unavailable
from referrals.payouts import accounts, links, queries, receiving, rules, stripe
from shops.models import Shop

LARGEST = 1024 * 1024  # bytes
TOLERANCE = 300  # seconds; Stripe signs each try anew

news = Blueprint("stripe_news", __name__)
pages = Blueprint("payouts", __name__, url_prefix=links.PATH)
log = logs.logger(__name__)


class Forged(RapportError):
    """Not signed by Stripe for us, or too long ago."""

    status = HTTPStatus.BAD_REQUEST
    code = "bad_signature"


def register(app: Flask) -> None:
    """Give the app the door for Stripe's news, and the pages of payees."""
    app.register_blueprint(news)
    app.register_blueprint(pages)


@news.post("/webhooks/stripe")
def hear() -> tuple[str, int]:
    """200 for all that is Stripe's, also when it is known already or not about a payee of ours.

    400 for what Stripe did not sign in the last five minutes or can't be read, 413, 404 where payouts are not set up.
    """
    if not stripe.is_set_up():
        raise stripe.NotSetUp("payouts are not set up here")
    request.max_content_length = LARGEST
    raw = request.get_data()
    _verify(raw, request.headers.get("Stripe-Signature", ""))
    try:
        receiving.take(database(), json.loads(raw))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Forged("this is no event of Stripe's", code="bad_event") from None
    return "", 200


def _verify(raw: bytes, header: str) -> None:
    """By Stripe's own library, on the bytes as they came, against each secret that is listed."""
    secrets = settings().stripe_webhook_secrets.get_secret_value().split(",")
    if not any(_signed(raw, header, secret.strip()) for secret in secrets if secret.strip()):
        raise Forged("Stripe did not sign this for us, or too long ago")


def _signed(raw: bytes, header: str, secret: str) -> bool:
    try:
        return bool(header.isascii() and WebhookSignature.verify_header(raw, header, secret, TOLERANCE))
    except (SignatureVerificationError, UnicodeDecodeError):
        return False


# Pages.


@pages.get("/<signed>")
def invite(signed: str) -> str:
    """What comes next, before somebody is sent to Stripe."""
    return _page(links.opened(signed), signed, "invite")


@pages.post("/<signed>")
def leave(signed: str) -> Any:
    """On to Stripe, with an account that is opened at first asking."""
    link = links.opened(signed)
    here = f"{settings().app_url.rstrip('/')}{url_for('.invite', signed=signed)}"
    url = accounts.onboarding(
        database(), link.shop_id, link.payee_id, country=link.country, again=here, back=f"{here}/back"
    )  # fmt: skip
    return redirect(url, 303)


@pages.get("/<signed>/back")
def back(signed: str) -> str:
    """Stripe sends people here when they are through, or when they leave: which, only its news tells."""
    link = links.opened(signed)
    with database().transaction(link.shop_id) as session:
        accounts.ask(session, queries.payee(session, link.shop_id, link.payee_id))
    return _page(link, signed, "back")


def _page(link: links.Opened, signed: str, name: str) -> str:
    if not stripe.is_set_up():
        raise stripe.NotSetUp("payouts are not set up here")
    with database().transaction(link.shop_id) as session:
        payee, shop = queries.payee(session, link.shop_id, link.payee_id), session.get_one(Shop, link.shop_id)
    needs = [rules.WORDS.get(key, rules.WORDS["more"]) for key in payee.needs]
    return render_template(f"payouts/{name}.html", shop=shop, state=payee.state, needs=needs, signed=signed)


_SORRY = {
    "link_expired": ("This link is too old", "Ask the shop for a new one: each works for seven days."),
    "link_broken": ("This link is not whole", "Open it once more from the message it came in."),
    "account_closed": (
        "Stripe has closed this account",
        "It can't be opened again from here. Stripe's support can say why.",
    ),
    "gone": ("There is nothing here any more", "Ask the shop whether it still pays commission."),
    "away": ("We couldn't reach Stripe just now", "Nothing was changed. Try again in a minute."),
}


@pages.errorhandler(RapportError)
def _refused(error: RapportError) -> Response:
    """What went wrong, kindly, and what to do."""
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("a payee could not go to stripe", code=error.code, detail=error.detail)
    known = error.code if error.code in _SORRY else "gone" if isinstance(error, NotFound) else "away"
    title, text = _SORRY[known]
    shown = render_template("payouts/sorry.html", title=title, text=text, again=known == "away")
    response = Response(shown, int(error.status))
    if isinstance(error, Unavailable):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


@pages.after_request
def _strict(response: Response) -> Response:
    """The address is a key, so it is told to nobody; the button leads to Stripe."""
    stripes = urlsplit(settings().stripe_url)
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action 'self' https://connect.stripe.com {stripes.scheme}://{stripes.netloc}"
    )
    return response
