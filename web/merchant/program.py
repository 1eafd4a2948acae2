"""The program as sentences: a draft with its preview, what it would change, publishing, and the versions there were."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from flask import render_template, request

from core.errors import InvalidInput
from core.i18n import _, day, money
from core.money import minor_digits
from loyalty.models import ProgramDraft
from loyalty.program import demo_program
from loyalty.publishing import operations, queries
from loyalty.publishing.faults import Fault, InvalidProgram
from loyalty.publishing.preview import preview
from web.merchant import examples, sentences
from web.merchant.desk import ID, Answer, Desk, go, page, post
from web.merchant.fields import Setting, is_moment
from web.merchant.sentences import Document, Made, Place, Rewritten, Row
from web.merchant.timeline import who


class Work(NamedTuple):
    """What is being worked on: the draft, or the version in force where there is none; and how its values are shown."""

    document: Document
    draft: ProgramDraft | None
    setting: Setting

    @property
    def seen(self) -> str:
        """Tells the draft from one that somebody else saved meanwhile."""
        return self.draft.updated_at.isoformat() if self.draft else ""


def work(desk: Desk) -> Work:
    """The draft, else what is in force, else the program every shop starts from."""
    draft = queries.draft(desk.session, desk.shop_id)
    if draft is not None and isinstance(draft.document, dict):
        document = dict(draft.document)
    elif desk.programs.of(desk.shop_id):
        document = sentences.of_today(queries.in_force(desk.session, desk.shop_id).row.document)
    else:
        document = demo_program(desk.shop.name[:80]).model_dump(mode="json")
    return Work(document, draft, sentences.setting_of(document, desk.shop.currency, desk.shop.timezone))


def shown(desk: Desk, document: Mapping[str, Any]) -> dict[str, Any]:
    """What the preview beside a form shows: faults, or sentences, examples and the shopper's view."""
    seen = preview(desk.session, desk.shop_id, document)
    currency = desk.shop.currency
    told: dict[str, Any] = {
        "preview": seen,
        "summary": [],
        "examples": [],
        "program": seen.program,
        "currency": currency,
        "marks": [Mark(fault.sentence, None) for fault in seen.errors],
    }
    if seen.program is not None:
        told["summary"] = examples.summary(seen.program, currency)
        told["examples"] = examples.examples(seen.program, currency, desk.now)
    return told


class Mark(NamedTuple):
    """What is wrong, and the name of the field it is marked on; None for what the form does not ask."""

    sentence: str
    field: str | None


def marks(errors: Sequence[Fault], places: Iterable[Place]) -> list[Mark]:
    """Each fault with the field it is about: the field itself, else the first of the part it is about."""
    named: dict[tuple[str, ...], str] = {}
    for place in places:
        for length in range(len(place.keys), 0, -1):
            named.setdefault(place.keys[:length], place.name)
    return [Mark(fault.sentence, _nearest(fault.path, named)) for fault in errors]


def _nearest(keys: tuple[str, ...], named: Mapping[tuple[str, ...], str]) -> str | None:
    return next((named[keys[:length]] for length in range(len(keys), 0, -1) if keys[:length] in named), None)


def on_form(desk: Desk, document: Document, setting: Setting, rows: Rewritten | None = None) -> dict[str, Any]:
    """What `shown` says, with each fault on its field. `rows` are called as the form that is open calls them."""
    told = shown(desk, document)
    seen, places = told["preview"], list(sentences.places(document, setting, rows))
    return told | {"marks": marks(seen.errors, places), "hints": marks(seen.warnings, places)}


def form_values(desk: Desk, held: Work) -> dict[str, Any]:
    """What the fields of a program's form need, and what `on_form` says."""
    currency, told = desk.shop.currency, on_form(desk, held.document, held.setting)
    wrong: dict[str, list[str]] = {}
    for mark in told["marks"]:
        if mark.field:
            wrong.setdefault(mark.field, []).append(mark.sentence)
    return told | {
        "document": held.document,
        "values": {place.name: list(place.says) for place in sentences.places(held.document, held.setting)},
        "wrong": {name: " ".join(said) for name, said in wrong.items()},
        "rows": lambda name: _rows(held.document, name),
        "is_moment": is_moment,
        "seen": held.seen,
        "draft": held.draft,
        "one_unit": money(10 ** minor_digits(currency), currency),
        "shop_zone": desk.shop.timezone,
    }


def _rows(document: Mapping[str, Any], name: str) -> list[Row]:
    """The rows that the form has of a list; of what is no part there is none."""
    found: Any = document
    for step in name.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return [row for row in sentences.rows_of(found) if isinstance(row.part, Mapping)]


@page("/program")
def program(desk: Desk) -> Answer:
    """The program as a form that reads as sentences."""
    return render_template("merchant/program.html", **form_values(desk, work(desk)))


@post("/program/preview")
def preview_program(desk: Desk) -> Answer:
    """What the form would mean as it stands. Nothing is kept."""
    made, told = read_form(desk)
    return render_template("merchant/program_preview.html", again=True, **on_form(desk, made.document, told, made.rows))


@post("/program")
def save_program(desk: Desk) -> Answer:
    """Keep the form as the draft."""
    keep(desk)
    return go("program", said=_("Saved as a draft. Nothing is live until you publish it."))


def read_form(desk: Desk) -> tuple[Made, Setting]:
    """What the request's form makes of the draft, and how its values are shown."""
    held = work(desk)
    made = sentences.applied(held.document, request.form, held.setting)
    operations.check_storable(made.document)
    return made, sentences.setting_of(made.document, desk.shop.currency, desk.shop.timezone)


def keep(desk: Desk) -> Document:
    """Save what the request's form makes of the draft, unless somebody else has saved one meanwhile."""
    document = read_form(desk)[0].document
    seen = _moment(request.form.get("seen", ""))
    operations.save_draft(desk.session, desk.shop_id, document, seen=seen, actor=desk.actor)
    return document


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        raise InvalidInput(_("This page is of another time. Load it again, please."), code="bad_draft") from None


@page("/program/review")
def review_program(desk: Desk) -> Answer:
    """What the draft would change, in words, before it is published."""
    draft = queries.known_draft(desk.session, desk.shop_id)
    told = shown(desk, draft.document)
    return render_template("merchant/program_review.html", draft=draft, zone=desk.zone, **told)


@post("/program/publish")
def publish_program(desk: Desk) -> Answer:
    """Make the draft the next version, now or at a moment to come."""
    at = _moment(request.form.get("at", "").strip()) if request.form.get("when") == "at" else None
    try:
        made = operations.publish_draft(
            desk.session, desk.shop_id, actor=desk.actor, at=at,
            note=request.form.get("note", "").replace("\x00", "").strip()[:500] or None,
            seen=_moment(request.form.get("seen", "")), accept_demotions=request.form.get("accept") == "1",
        )  # fmt: skip
    except InvalidProgram as error:
        raise InvalidInput(
            _("The draft is not valid yet. %(fault)s", fault=error.faults[0].sentence), code="bad_program"
        ) from None
    said = _("Version %(version)s is live.", version=made.version)
    if made.effective_from > desk.now:
        said = _("Version %(version)s is scheduled.", version=made.version)
    return go("program_history", said=said)


@post("/program/discard")
def discard_program(desk: Desk) -> Answer:
    """Forget the draft."""
    operations.discard_draft(desk.session, desk.shop_id)
    return go("program", said=_("The draft is gone. This is what is live."))


@page("/program/history")
def program_history(desk: Desk) -> Answer:
    """Every version there was or will be, newest first."""
    listed = queries.versions(desk.session, desk.shop_id)
    told = [(one, in_force_when(desk, one), who(desk, one.row.actor)) for one in reversed(listed)]
    return render_template("merchant/program_history.html", versions=told)


def in_force_when(desk: Desk, listed: queries.Listed) -> str:
    """In which days a version was, is or will be in force. What an app starts with holds for all that came before."""
    start, until = listed.row.effective_from, listed.until
    days = {"start": day(start, desk.zone), "until": day(until, desk.zone) if until else ""}
    if start >= desk.shop.installed_at:
        return _("%(start)s to %(until)s", **days) if until else _("from %(day)s", day=days["start"])
    return _("from the beginning until %(until)s", **days) if until else _("from the beginning")


@page(f"/program/versions/<{ID}:version>")
def program_version(desk: Desk, version: int) -> Answer:
    """An old version, and what going back to it would change."""
    found = queries.version(desk.session, desk.shop_id, version)
    told = shown(desk, found.row.document) | {"when": in_force_when(desk, found), "by": who(desk, found.row.actor)}
    return render_template("merchant/program_version.html", listed=found, **told)


@post(f"/program/versions/<{ID}:version>/again")
def roll_program_back(desk: Desk, version: int) -> Answer:
    """Publish an old version again, as the next one."""
    made = operations.roll_back(
        desk.session, desk.shop_id, version, actor=desk.actor, accept_demotions=request.form.get("accept") == "1"
    )
    return go("program_history", said=_("Version %(version)s is live.", version=made.version))


@post(f"/program/versions/<{ID}:version>/withdraw")
def withdraw_program(desk: Desk, version: int) -> Answer:
    """Take back a version that is scheduled."""
    operations.withdraw(desk.session, desk.shop_id, version, actor=desk.actor)
    return go("program_history", said=_("It was taken back and will not come."))
