"""The set-up guide: five steps from sensible defaults to a live program, the shopper's view beside each choice."""

from collections.abc import Sequence
from typing import NamedTuple

from flask import render_template, request

from core.errors import InvalidInput, NotFound
from core.i18n import N_, _
from loyalty.publishing import operations, queries
from loyalty.publishing.faults import InvalidProgram
from web.merchant.desk import Answer, Desk, go, page, post
from web.merchant.program import form_values, keep, on_form, read_form, work

# Who publishes the program that a shop has before its merchant has said anything.
BY_ITSELF = ("install",)


class Step(NamedTuple):
    """A step: its name in addresses, its title, and what it is about in a sentence."""

    key: str
    title: str
    about: str


STEPS: Sequence[Step] = (
    Step("points", N_("Points"), N_("What members earn when they buy, and for joining.")),
    Step("tiers", N_("Tiers"), N_("How your best customers climb, and what that brings them.")),
    Step("rewards", N_("Rewards"), N_("What points buy. Two or three are plenty to begin with.")),
    Step("friends", N_("Friends"), N_("What a friend gets on a first order, and who brought them.")),
    Step("live", N_("Go live"), N_("One look at the whole, then it is on. You can change everything later.")),
)


def finished(desk: Desk) -> bool:
    """Whether somebody has published a program of their own."""
    return any(row.row.actor not in BY_ITSELF for row in queries.versions(desk.session, desk.shop_id))


def _step(key: str) -> tuple[int, Step]:
    found = next(((place, step) for place, step in enumerate(STEPS) if step.key == key), None)
    if found is None:
        raise NotFound(_("there is no such step"), code="not_found")
    return found


@page("/setup")
def setup(desk: Desk) -> Answer:
    """The first step."""
    return set_up(desk, STEPS[0].key)


@page("/setup/<key>")
def set_up(desk: Desk, key: str) -> Answer:
    """A step: its choices, and what shoppers will see of them."""
    place, step = _step(key)
    values = form_values(desk, work(desk))
    return render_template("merchant/setup.html", place=place, step=step, steps=STEPS, **values)


@post("/setup/<key>")
def next_step(desk: Desk, key: str) -> Answer:
    """Keep the choices and go on; the last step publishes."""
    place, _here = _step(key)
    document = keep(desk)
    marks = on_form(desk, document, work(desk).setting)["marks"]
    if any(mark.field in request.form for mark in marks):
        return go("set_up", key=key)  # where each is said beside its field
    if place + 1 < len(STEPS):
        return go("set_up", key=STEPS[place + 1].key)
    try:
        operations.publish_draft(desk.session, desk.shop_id, actor=desk.actor, note=_("Set up"), accept_demotions=True)
    except InvalidProgram as error:
        told = _("The draft is not valid yet. %(fault)s", fault=error.faults[0].sentence)
        raise InvalidInput(told, code="bad_program") from None
    return go("home", said=_("Your program is live. Every order counts from now on."))


@post("/setup/<key>/preview")
def preview_step(desk: Desk, key: str) -> Answer:
    """What shoppers will see of the choices as they stand. Nothing is kept."""
    _step(key)
    made, told = read_form(desk)
    return render_template("merchant/setup_phone.html", **on_form(desk, made.document, told, made.rows))
