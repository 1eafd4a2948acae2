"""The pages that are looked at: home, history, preferences, and the ways in and out of a session of ours."""

from http import HTTPStatus
from typing import Any

from babel.dates import get_month_names
from flask import Response, abort, g, redirect, render_template, request

from core import clock, i18n
from core.errors import RapportError
from loyalty.activities import queries as activities
from loyalty.activities.operations import MAILS
from loyalty.rewards.models import MemberReward
from shops import mailings
from wallet_passes import content
from wallet_passes.designs.addresses import address as picture
from web import storefronts
from web.faces import forms
from web.portal import sessions, view, words
from web.portal.mounts import address, mount
from web.portal.visits import Visit, opened, texts

# What a redirect after a form may say it did; anything else in the address says nothing.
_DONE = {
    "returned": i18n.N_("We're taking it back. Your points are back in a few seconds."),
    "earned": i18n.N_("Thank you. Your points are there."),
    "kept": i18n.N_("Thank you. It's saved."),
    "birthday": i18n.N_("Your birthday is saved."),
    "joined": i18n.N_("Welcome. You're in."),
    "out": i18n.N_("You're signed out."),
    "deleted": i18n.N_("Your data is deleted. Thank you for having been with us."),
}


def home() -> Any:
    """The member's page, or the program for who is not signed in."""
    with opened() as visit:
        return _home(visit)


def _home(visit: Visit, **more: Any) -> str:
    if visit.member is None:
        said = texts()
        shown = view.outside(visit, (said.headline, said.intro))
        return page("outside", outside=shown, joining=mount().customer_id is not None, done=done(), **more)
    return page("home", home=view.home(visit), got=_got(visit), done=done(), welcome=texts().welcome, **more)


def _got(visit: Visit) -> view.Mine | None:
    """The reward that was just redeemed, if it is this member's."""
    row = visit.session.get(MemberReward, (visit.shop.id, forms.number(request.args.get("got", ""))))
    return view.mine(visit, row) if row and visit.member and row.member_id == visit.member.id else None


def refused(error: RapportError) -> Response:
    """The home page with why something was not done, which left everything as it was."""
    with opened() as visit:
        visit.signed_in()
        return Response(_home(visit, why_not=error.detail), int(error.status))


def history() -> str:
    """All that happened to the member's points, a page at a time."""
    before = request.args.get("before", "")
    start = forms.number(before) if before else None
    with opened() as visit:
        visit.signed_in()
        lines, more = view.history(visit, start, view.LINES)
        return page("history", lines=lines, more=more, first=start is None)


def preferences(**more: Any) -> str:
    """Birthday, consents, language, and what we keep."""
    with opened() as visit:
        member, session = visit.signed_in(), visit.session
        told = activities.birthday(session, visit.shop.id, member.id)
        given = {row.channel: row.given for row in activities.consents(session, visit.shop.id, member.id)}
        kinds = {rule.kind for rule in visit.program.activities}
        channels = [one for one in ("newsletter", "sms") if one in kinds or one in given]
        # The program's own mails come until a member says otherwise.
        own = [(MAILS, given.get(MAILS, True))] if mailings.of(visit.shop.settings).since else []
        shown = {
            "birthday": told,
            "months": months(),
            "years": range(clock.now().year, clock.now().year - 110, -1),
            "consents": own + [(one, given.get(one, False)) for one in channels],
            "points": member.available,
            "email": member.email,
        }
        return page("preferences", done=done(), **shown | more)


def months() -> list[tuple[int, str]]:
    """The months' names, as they stand alone."""
    names = get_month_names("wide", "stand-alone", locale=i18n.locale())
    return [(number, names[number]) for number in range(1, 13)]


def enter(signed: str) -> Any:
    """A link from a mail: this browser is the member's from here on."""
    with opened() as visit:
        member_id = sessions.opened(visit.shop.id, signed)
        answer: Any = redirect(address("home"), HTTPStatus.SEE_OTHER)
        sessions.remember(answer, visit.shop, member_id)
        return answer


def nowhere(rest: str) -> Any:
    """An address of ours that leads nowhere is told in the shop's look."""
    with opened():
        abort(HTTPStatus.NOT_FOUND)


def done() -> str:
    """What was just done, in words."""
    said = _DONE.get(request.args.get("done", ""))
    return i18n.gettext(said) if said else ""


# How a page is drawn.


def page(name: str, **shown: Any) -> str:
    return render_template(f"portal/{name}.html", **shown)


def for_templates() -> dict[str, Any]:
    """What every page of the portal has, also one that says what went wrong."""
    here, shop = g.get("mount"), g.get("shop")
    return {
        "layout": "portal/inside.html" if here and here.inside else "portal/alone.html",
        "inside": bool(here and here.inside),
        "to": address,
        "dress": g.get("dress"),
        "shop": content.shortened(shop.name, content.NAME) if shop else "",
        "store": storefronts.home(shop) if shop else "",
        "sign_in": storefronts.sign_in(shop) if shop else "",
        "logo": picture(shop.id, g.design, "icon") if shop and g.appearance.logo else "",
        "known": g.get("known", False),
        "price": words.price,
        "months": months,
    }
