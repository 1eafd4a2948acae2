"""The forms of the rewards pages. Each does one thing and goes back to a page that says so.

What is refused leaves everything as it was and shows why. Doing a thing twice (a double tap, the back button, a form
sent again after a dropped connection) does it once: rewards by the key in their form, all else by its own nature.
"""

import re
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

import msgspec
from flask import Response, g, redirect, request

from core import clock
from core.errors import InvalidInput, NotFound, RapportError
from core.i18n import _
from loyalty import operations as members
from loyalty.activities import operations as activities
from loyalty.activities.operations import NotEarned
from loyalty.operations import Customer
from loyalty.rewards import operations as rewards
from web.faces import forms
from web.portal import pages, sessions
from web.portal.mounts import address, mount
from web.portal.visits import Visit, opened
from webhooks import wishes

_KEY = re.compile(r"[A-Za-z0-9_-]{16,64}")
_SELF_REPORTED = frozenset({"social", "community"})
LONGEST_COMMENT = 500


def _then(name: str, anchor: str = "", **values: Any) -> Response:
    """On to a page, so that reloading it does nothing again.

    Shopify follows redirects by itself, to our address and without a signature, or hands on the signed one. So inside a
    theme it is a page that leads on, which reaches the browser as it is.
    """
    where = address(name, _anchor=anchor, **values)
    if mount().inside:
        g.as_it_is = True
        return Response(pages.page("onward", where=where))
    answer: Any = redirect(where, HTTPStatus.SEE_OTHER)
    return answer


def _kindly(act: Callable[[], Response]) -> Callable[[], Response]:
    """Refusals that a member can understand stand on their page; the rest goes where every error goes."""

    @wraps(act)
    def wrapped() -> Response:
        try:
            return act()
        except RapportError as error:
            if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.code in ("no_member", "no_shop", "no_program"):
                raise
            return pages.refused(error)

    return wrapped


def _actor(visit: Visit) -> str:
    return f"member:{visit.signed_in().id}"


@_kindly
def redeem() -> Response:
    """Spend points on a reward. The form's key makes it one, however often it arrives."""
    key, reward = request.form.get("key", ""), request.form.get("reward", "")[:60]
    if not _KEY.fullmatch(key):
        raise InvalidInput(_("This form is incomplete. Load the page again and have another go."), code="no_key")
    with opened() as visit:
        member = visit.signed_in()
        row = rewards.redeem(
            visit.session, visit.shop.id, member.id, reward, points=_number("points"), channel="online",
            actor=_actor(visit), key=f"portal:{member.id}:{key}",
        )  # fmt: skip
    return _then("home", "got", got=row.id)


@_kindly
def give_back() -> Response:
    """Return a reward unused."""
    with opened() as visit:
        member = visit.signed_in()
        rewards.give_back(
            visit.session, visit.shop.id, member.id, forms.number(request.form.get("id", "")), actor=_actor(visit)
        )
    return _then("home", done="returned")


@_kindly
def answer() -> Response:
    """Answer one of the program's questions."""
    with opened() as visit:
        member, text = visit.signed_in(), request.form.get("answer", "")[:1000]
        kept = activities.answer(
            visit.session, visit.shop.id, member.id, _rule(), text, at=clock.now(), actor=_actor(visit)
        )
    return _then("home", "earn", done="earned" if kept.earned else "kept")


@_kindly
def consent() -> Response:
    """Say that the shop may write, or may no longer."""
    given, earned = request.form.get("given") == "1", False
    with opened() as visit:
        member, channel = visit.signed_in(), request.form.get("channel", "")[:20]
        kept = activities.consent(
            visit.session, visit.shop.id, member.id, channel, given=given, source="portal", at=clock.now(),
            actor=_actor(visit),
        )  # fmt: skip
        earned = kept.earned is not None
    return _then(*_back(), done="earned" if earned else "kept")


@_kindly
def did() -> Response:
    """Say that one followed, shared or joined: nobody can prove it, and it counts once."""
    with opened() as visit:
        member = visit.signed_in()
        rule = activities.rule_of(visit.version, _rule())
        if rule.kind not in _SELF_REPORTED:
            raise InvalidInput(_("This one is counted by itself."), code="not_reported")
        try:
            activities.act(
                visit.session, visit.shop.id, member.id, rule.key, fact=None, data={}, at=clock.now(),
                actor=_actor(visit),
            )  # fmt: skip
        except NotEarned as refused:
            if refused.code != "already_done":
                raise
    return _then("home", "earn", done="earned")


@_kindly
def nps() -> Response:
    """How likely one is to recommend the shop, and why."""
    score = _number("score")
    if score is None:
        raise InvalidInput(_("Please choose a number from 0 to 10."), code="bad_score")
    comment = request.form.get("comment", "").replace("\x00", "").strip()[:LONGEST_COMMENT] or None
    with opened() as visit:
        member = visit.signed_in()
        try:
            activities.nps(visit.session, visit.shop.id, member.id, score, comment, at=clock.now(), actor=_actor(visit))
        except NotEarned as refused:
            if refused.code != "too_soon":
                raise
    return _then("home", "earn", done="earned")


def birthday() -> Response:
    """Tell one's birthday; the year may be left out."""
    month, day, year = (_number(name) for name in ("month", "day", "year"))
    try:
        if month is None or day is None:
            raise InvalidInput(_("Please choose a month and a day."), code="bad_birthday")
        with opened() as visit:
            member = visit.signed_in()
            activities.set_birthday(visit.session, visit.shop.id, member.id, month, day, year, at=clock.now())
    except RapportError as error:
        if error.code not in ("bad_birthday", "birthday_fixed"):
            raise
        return Response(pages.preferences(wrong=error.detail), int(error.status))
    return _then(*_back(), done="birthday")


def join() -> Response:
    """Become a member: for a customer of the shop whom no order and no news has made one yet."""
    customer = mount().customer_id
    if customer is None:
        raise NotFound(_("nobody is signed in"), code="no_member")
    with opened() as visit:
        if visit.member is None:
            person = Customer(visit.shop.id, customer, None, False, None, clock.now())
            enrolled = members.enrol(visit.session, [person], visit.published)
            if not enrolled.new:
                # Erased, or about to be: who has left comes back through the shop alone.
                return Response(pages.page("forgotten"), HTTPStatus.CONFLICT)
    return _then("home", done="joined")


# What we keep.


def export() -> Response:
    """All that we keep of the member, as a file."""
    with opened() as visit:
        member = visit.signed_in()
        document = wishes.export(visit.session, visit.shop.id, member, actor=_actor(visit))
    response = Response(msgspec.json.format(msgspec.json.encode(document)), mimetype="application/json")
    response.headers["Content-Disposition"] = 'attachment; filename="my-rewards.json"'
    return response


def delete() -> Response:
    """Forget the member, once they have said so twice."""
    if request.form.get("sure") != "1":
        return Response(pages.preferences(not_sure=True), HTTPStatus.UNPROCESSABLE_ENTITY)
    with opened() as visit:
        member = visit.signed_in()
        wishes.ask_to_be_forgotten(visit.session, visit.shop.id, member.id, actor=_actor(visit))
    answer = _then("home", done="deleted")
    if not mount().inside:
        sessions.forget(answer, mount().domain)
    return answer


def leave() -> Response:
    """Sign out of a session of ours."""
    answer = _then("home", done="out")
    sessions.forget(answer, mount().domain)
    return answer


# Fields.


def _number(name: str) -> int | None:
    """A whole number that a form holds, None for nothing. What is no number is none that we know."""
    text = request.form.get(name, "").strip()
    if not text:
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else -1


def _rule() -> str:
    return request.form.get("rule", "")[:60]


def _back() -> tuple[str, str]:
    """The page that the form stood on."""
    return ("preferences", "") if request.form.get("from") == "preferences" else ("home", "earn")
