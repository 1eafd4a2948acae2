"""Which mails members get, to whom they go, how they look, and a test of each."""

from typing import Any, NamedTuple

from flask import render_template, request

from core import i18n, mail
from core.errors import InvalidInput
from core.i18n import N_, _
from shops import mailings
from web.mailing import operations, testing
from web.merchant.desk import Answer, Desk, go, page, post

# By kind: what it is called, and when it goes out.
_KINDS = {
    mailings.REWARD: (N_("Reward ready"), N_("With its code and how to use it, as soon as it is made.")),
    mailings.EXPIRING: (N_("Points expire soon"), N_("30 days and 7 days ahead, at most one a week.")),
    mailings.REACHED: (N_("Tier reached"), N_("With what brought them there and what it brings them.")),
    mailings.ENDING: (N_("Tier about to end"), N_("30 days ahead, with what it takes to stay.")),
    mailings.FRIEND: (N_("Friend has ordered"), N_("With the reward for the member who invited them.")),
}


class Kind(NamedTuple):
    """A kind of mail as the page shows it."""

    key: str
    name: str
    text: str
    on: bool
    service: bool
    preview: str
    counts: dict[str, int]


@page("/settings/mails")
def member_mails(desk: Desk) -> Answer:
    """All kinds, each with its switch."""
    return _shown(desk)


@post("/settings/mails")
def switch_mails(desk: Desk) -> Answer:
    """Send these from now on, and to whom."""
    on = [kind for kind in request.form.getlist("on") if kind in mailings.KINDS]
    everyone = request.form.get("everyone") == "1"
    mailings.switch(desk.session, desk.shop_id, on, everyone=everyone, actor=desk.actor)
    return go("member_mails", said=_("Saved. It holds for what happens from now on."))


@post("/settings/mails/test")
def test_mail(desk: Desk) -> Answer:
    """Send one of them to an address of the merchant's own, with examples in it."""
    form = request.form
    kind, language, to = form.get("kind", ""), form.get("language", ""), form.get("to", "")[:300]
    try:
        testing.ask(desk.session, desk.shop_id, kind, language, to)
    except InvalidInput as error:
        if error.code != "bad_email":
            raise
        return _shown(desk, chosen=kind, language=language, to=to, wrong=error.detail), 422
    return go("member_mails", said=_("The test is on its way to %(address)s.", address=i18n.isolated(to.strip())))


def _shown(desk: Desk, **told: Any) -> str:
    held, counts = mailings.of(desk.shop.settings), operations.lately(desk.session, desk.shop_id)
    spoken = i18n.language()
    kinds = [
        Kind(
            key, _(name), _(text), key in held.since, key in mailings.SERVICE,
            testing.preview_link(desk.shop, key, spoken), counts.get(key, {}),
        )
        for key, (name, text) in _KINDS.items()
    ]  # fmt: skip
    shown = {"kinds": kinds, "everyone": held.everyone, "server": mail.is_on(), "chosen": "", "language": spoken}
    languages = [(code, language.name) for code, language in i18n.LANGUAGES.items()]
    return render_template("merchant/member_mails.html", **(shown | {"to": "", "choices": languages} | told))
