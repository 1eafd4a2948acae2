"""Messages to members' cards: written with whom they reach beside them, sent, called off, and what followed."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from flask import render_template, request
from pydantic import ValidationError

from core.errors import Conflict, InvalidInput, RapportError
from core.i18n import N_, _
from loyalty.program import instant
from wallet_passes.messages import operations, queries, rules
from wallet_passes.messages.audience import Audience
from wallet_passes.messages.composing import Composed
from wallet_passes.messages.models import WalletMessage
from wallet_passes.messages.rules import Limit, Shown
from wallet_passes.messages.texts import texts
from web.merchant.desk import ID, MAX_ID, Answer, Desk, go, page, post

ROWS = 25
STATES = {
    "draft": (N_("Draft"), "plain"),
    "scheduled": (N_("Scheduled"), "warn"),
    "sending": (N_("Being sent"), "warn"),
    "sent": (N_("Sent"), "good"),
    "cancelled": (N_("Cancelled"), "plain"),
}
_NUMBERS = ("points_at_least", "points_at_most", "quiet_days")
MOST_MESSAGES, MOST_DAYS = 50, 90
FIELDS = {
    "title": N_("Title"),
    "body": N_("Text"),
    "link": N_("Where it leads"),
    "points_at_least": N_("At least so many points"),
    "points_at_most": N_("At most so many points"),
    "quiet_days": N_("No order for so many days"),
    "send_at": N_("Send at"),
    "ends_at": N_("Cards show it until"),
}


class Fault(Exception):
    """What is wrong with a message, by the form's fields."""

    def __init__(self, faults: dict[str, str]) -> None:
        super().__init__(str(faults))
        self.faults = faults


class Row(NamedTuple):
    """A message of the list with what followed."""

    message: WalletMessage
    state: str
    tone: str


@page("/wallet/messages")
def wallet_messages(desk: Desk) -> Answer:
    """Every message, newest first, and how many one member may get."""
    before = request.args.get("before", 0, int)
    rows = queries.messages(desk.session, desk.shop_id, before=before if 0 < before <= MAX_ID else None, limit=ROWS + 1)
    more = rows[ROWS - 1].id if len(rows) > ROWS else None
    return render_template(
        "merchant/messages.html", rows=[_row(row) for row in rows[:ROWS]], more=more,
        limit=queries.limit_of(desk.shop), most=(MOST_MESSAGES, MOST_DAYS),
    )  # fmt: skip


@post("/wallet/messages/limit")
def set_message_limit(desk: Desk) -> Answer:
    """How many messages one member gets at most."""
    messages, days = request.form.get("messages", 0, int), request.form.get("days", 0, int)
    if not (1 <= messages <= MOST_MESSAGES and 1 <= days <= MOST_DAYS):
        raise InvalidInput(_("Choose from 1 to 50 messages in 1 to 90 days."), code="bad_limit")
    operations.set_limit(desk.session, desk.shop_id, Limit(messages, days), actor=desk.actor)
    return go("wallet_messages", said=_("Kept. It holds at once, also for a message that is being sent."))


@page("/wallet/messages/new")
def new_message(desk: Desk) -> Answer:
    """An empty message."""
    return _form(desk, None, {"whom": "all", "when": "now"})


@post("/wallet/messages")
def create_message(desk: Desk) -> Answer:
    """Keep a new draft."""
    try:
        row = operations.draft(desk.session, desk.shop_id, _composed(), actor=desk.actor)
    except (Fault, RapportError) as error:
        return _form(desk, None, request.form.to_dict(), _faults(error)), 422
    return go("wallet_message", message_id=row.id, said=_("Draft saved. It goes out when you send it."))


@post("/wallet/messages/preview")
def preview_message(desk: Desk) -> Answer:
    """Whom the message would reach and how phones say it. Nothing is kept."""
    try:
        composed = _composed()
        _check_times(desk, composed)
        told = _reach(desk, composed)
    except (Fault, RapportError) as error:
        return render_template("merchant/message_preview.html", faults=_faults(error), names=FIELDS, reach=None)
    return render_template("merchant/message_preview.html", faults={}, **told)


@page(f"/wallet/messages/<{ID}:message_id>")
def wallet_message(desk: Desk, message_id: int) -> Answer:
    """One message: a form while it may be changed, then what followed from it."""
    row = queries.find(desk.session, desk.shop_id, message_id)
    if row.state == "draft" or (row.state == "scheduled" and request.args.get("edit")):
        return _form(desk, row, _fields(desk, row))
    said = Shown(row.id, row.title, row.body, row.link, row.ends_at, row.quiet)
    audience = Audience.model_validate(row.audience)
    reach = None
    if row.state == "scheduled":
        reach = queries.reach(desk.session, desk.shop, audience, row.send_at or desk.now)
    return render_template(
        "merchant/message.html", one=_row(row), texts=texts(said), results=queries.results(desk.session, row),
        whom=_whom(desk, audience), reach=reach,
    )  # fmt: skip


@post(f"/wallet/messages/<{ID}:message_id>")
def change_message(desk: Desk, message_id: int) -> Answer:
    """Keep a change of a draft, or of a message that is scheduled."""
    edits = request.form.get("edits", 0, int)
    row = queries.find(desk.session, desk.shop_id, message_id)
    try:
        changed = operations.edit(desk.session, desk.shop_id, row.id, _composed(), edits=edits, actor=desk.actor)
    except (Fault, InvalidInput) as error:
        return _form(desk, row, request.form.to_dict(), _faults(error)), 422
    except Conflict as error:
        raise _told(error) from None
    said = _("Changed. It goes out at its time.") if changed.state == "scheduled" else _("Draft saved.")
    return go("wallet_message", message_id=row.id, said=said)


@post(f"/wallet/messages/<{ID}:message_id>/send")
def send_message(desk: Desk, message_id: int) -> Answer:
    """Have a draft sent, now or at its time."""
    edits = request.form.get("edits", 0, int)
    try:
        row = operations.send(desk.session, desk.shop_id, message_id, edits=edits, actor=desk.actor)
    except Conflict as error:
        raise _told(error) from None
    later = row.send_at is not None and row.send_at > desk.now
    return go("wallet_message", message_id=message_id, said=_("Scheduled.") if later else _("On its way to the cards."))


@post(f"/wallet/messages/<{ID}:message_id>/cancel")
def cancel_message(desk: Desk, message_id: int) -> Answer:
    """Send it no further, and take it off the cards."""
    operations.cancel(desk.session, desk.shop_id, message_id, actor=desk.actor)
    return go("wallet_message", message_id=message_id, said=_("Cancelled. It leaves the cards that show it, silently."))


@post(f"/wallet/messages/<{ID}:message_id>/delete")
def delete_message(desk: Desk, message_id: int) -> Answer:
    """Forget a message that nobody got."""
    operations.delete(desk.session, desk.shop_id, message_id)
    return go("wallet_messages", said=_("Deleted."))


def _told(error: Conflict) -> Conflict:
    said = {
        "nobody": _("Nobody with a card is in this audience."),
        "message_changed": _("Somebody else changed this message meanwhile. Load the page again to see it."),
        "message_state": _("This message can’t be changed any more."),
    }
    return Conflict(said.get(error.code, error.detail), code=error.code)


def _row(row: WalletMessage) -> Row:
    label, tone = STATES[row.state]
    return Row(row, _(label), tone)


# What the form says.


def _composed() -> Composed:
    """The message that the form says. Raises Fault."""
    form = request.form
    told: dict[str, Any] = {name: form.get(name, "").replace("\x00", "") for name in ("title", "body")}
    told |= {"link": form.get("link", "").strip() or None, "quiet": form.get("quiet") == "1"}
    told["send_at"] = _moment("send_at") if form.get("when") == "later" else None
    told["ends_at"] = _moment("ends_at")
    if form.get("when") == "later" and not told["send_at"]:
        raise Fault({"send_at": _("Say when it is to be sent.")})
    try:
        return Composed.model_validate(told | {"audience": _audience()})
    except ValidationError as error:
        raise Fault({_place(one["loc"]): _plain(one) for one in reversed(error.errors())}) from None


def _place(path: tuple[Any, ...]) -> str:
    place = [str(step) for step in path if isinstance(step, str)]
    return place[1] if place[0] == "audience" and len(place) > 1 else place[0]


def _plain(fault: Any) -> str:
    if fault["type"] == "audience" and "say whom" in fault["msg"]:
        return _("Choose at least one condition, or everybody with a card.")
    if fault["type"].startswith("string_too_short"):
        return _("Write something here.")
    return str(fault["msg"]).removeprefix("Value error, ")


def _audience() -> dict[str, Any]:
    form = request.form
    if form.get("whom") != "some":
        return {"all": True}
    told: dict[str, Any] = {"tiers": form.getlist("tiers") or None, "wallet": form.get("wallet") or None}
    return told | {name: _number(name) for name in _NUMBERS}


def _number(name: str) -> int | None:
    text = request.form.get(name, "").strip()
    try:
        return int(text) if text else None
    except ValueError:
        raise Fault({name: _("Write a whole number.")}) from None


def _moment(name: str) -> datetime | None:
    text = request.form.get(name, "").strip()
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        raise Fault({name: _("Choose a day and a time.")}) from None


def _check_times(desk: Desk, composed: Composed) -> None:
    """Raises Fault for moments that sending would refuse."""
    try:
        rules.sending_time(instant(composed.send_at, desk.zone), instant(composed.ends_at, desk.zone), desk.now)
    except rules.BadTime as bad:
        raise Fault({_time_of(str(bad)): _time_words(str(bad))}) from None


def _faults(error: Exception) -> dict[str, str]:
    if isinstance(error, Fault):
        return error.faults
    assert isinstance(error, RapportError)
    if error.code == "bad_time":
        return {_time_of(error.detail): _time_words(error.detail)}
    return {"whom" if error.code in ("unknown_tiers", "unknown_members") else "other": error.detail}


def _time_of(detail: str) -> str:
    return "ends_at" if detail.startswith("ends_at") else "send_at"


def _time_words(detail: str) -> str:
    if detail.startswith("ends_at must come"):
        return _("It must come after the message is sent.")
    if "has passed" in detail:
        return _("That time has passed.")
    return _("A year ahead is the most.")


# What the form shows.


def _form(desk: Desk, row: WalletMessage | None, fields: dict[str, Any], faults: dict[str, str] | None = None) -> str:
    chosen = request.form.getlist("tiers") if request.method == "POST" else fields.get("tiers", [])
    try:
        told = _reach(desk, _kept(row)) if row and not faults else {"reach": None}
    except RapportError as error:
        told, faults = {"reach": None}, _faults(error)
    tiers = [(tier.key, tier.name) for tier in desk.version.program.ladder.tiers]
    soonest = desk.now.astimezone(desk.zone) + timedelta(minutes=5)
    return render_template(
        "merchant/message_form.html", row=row, fields=fields, chosen=chosen, faults=faults or {}, tiers=tiers,
        title_most=rules.TITLE, body_most=rules.BODY, soonest=soonest.strftime("%Y-%m-%dT%H:%M"), zone=str(desk.zone),
        **told,
    )  # fmt: skip


def _kept(row: WalletMessage) -> Composed:
    """A message as it was composed; its end may have passed since."""
    return Composed.model_construct(
        title=row.title, body=row.body, link=row.link, quiet=row.quiet, send_at=row.send_at, ends_at=row.ends_at,
        audience=Audience.model_validate(row.audience),
    )  # fmt: skip


def _fields(desk: Desk, row: WalletMessage) -> dict[str, Any]:
    audience = row.audience
    told: dict[str, Any] = {"title": row.title, "body": row.body, "link": row.link or "", "quiet": row.quiet}
    told |= {"whom": "all" if audience.get("all") else "some", "when": "later" if row.send_at else "now"}
    told |= {name: _written(desk, getattr(row, name)) for name in ("send_at", "ends_at")}
    return (
        told | {name: audience.get(name, "") for name in (*_NUMBERS, "wallet")} | {"tiers": audience.get("tiers", [])}
    )


def _written(desk: Desk, moment: datetime | None) -> str:
    """As the field for a moment takes it, on the shop's clock."""
    return moment.astimezone(desk.zone).strftime("%Y-%m-%dT%H:%M") if moment else ""


def _reach(desk: Desk, composed: Composed) -> dict[str, Any]:
    operations.check_audience(desk.session, desk.shop_id, composed.audience)
    at = instant(composed.send_at, desk.zone)
    said = Shown(0, composed.title, composed.body, composed.link, quiet=composed.quiet)
    reach = queries.reach(desk.session, desk.shop, composed.audience, max(at or desk.now, desk.now))
    names = {tier.key: tier.name for tier in desk.version.program.ladder.tiers}
    sample = [(member, names.get(member.tier_key, member.tier_key)) for member in reach.sample]
    return {
        "reach": reach,
        "nobody": "" if reach.members else _nobody(desk),
        "texts": texts(said),
        "sample": sample,
        "title": composed.title,
        "shop_name": desk.shop.name,
    }


def _nobody(desk: Desk) -> str:
    """Why a message would reach nobody."""
    if queries.any_card(desk.session, desk.shop_id):
        return _("Nobody with a card is in this audience, so nobody would get this.")
    return _("Nobody has a card yet, so nobody would get this. Members add theirs from their rewards page.")


def _whom(desk: Desk, audience: Audience) -> list[str]:
    """The audience in words."""
    if audience.all:
        return [_("Everybody with a card")]
    names = {tier.key: tier.name for tier in desk.version.program.ladder.tiers}
    wallets = {
        "apple": _("Card in Apple Wallet"),
        "google": _("Card in Google Wallet"),
        "any": _("Card in a wallet now"),
    }
    told = [
        audience.tiers and ", ".join(names.get(key, key) for key in audience.tiers),
        audience.points_at_least is not None and _("At least %(points)s points", points=audience.points_at_least),
        audience.points_at_most is not None and _("At most %(points)s points", points=audience.points_at_most),
        audience.quiet_days and _("No order for %(days)s days", days=audience.quiet_days),
        audience.wallet and wallets[audience.wallet],
        audience.members and _("Members chosen by the API"),
    ]
    return [text for text in told if text]
