"""What a shop sets once: how its rewards pages look, what it is connected with, keys of the API, its plan, its past."""

from typing import Any

import sqlalchemy as sa
from flask import render_template, request

from core.errors import InvalidInput, RapportError
from core.events import Event
from core.i18n import N_, _
from loyalty import privacy
from loyalty.models import Member
from shops import connections, keys, operations, plans
from shops.appearance import Appearance, appearance_of
from shops.models import ApiKey
from web.merchant import timeline
from web.merchant.desk import ID, Answer, Desk, go, page, post

MOST_NAME = 60
FONTS = {
    "theme": N_("As your theme"),
    "system": N_("As the phone"),
    "serif": N_("With serifs"),
    "rounded": N_("Rounded"),
    "mono": N_("Typewriter"),
}
CORNERS = {"square": N_("Square"), "soft": N_("Soft"), "round": N_("Round")}
_TEXTS = ("headline", "intro", "welcome")


@page("/settings")
def settings(desk: Desk) -> Answer:
    """Everything that is set."""
    return _shown(desk)


@post("/settings/appearance")
def set_appearance(desk: Desk) -> Answer:
    """How the rewards pages look from now on. Translations, which no form shows, stay."""
    form = request.form
    held = appearance_of(desk.shop.settings).model_dump(mode="json")
    given = held | {
        "accent": form.get("accent", "") if form.get("own_accent") == "1" else None,
        "font": form.get("font", ""),
        "corner": form.get("corner", ""),
        "logo": form.get("logo") == "1",
        "texts": {name: form.get(name, "") for name in _TEXTS},
    }
    try:
        operations.set_appearance(desk.session, desk.shop_id, given, actor=desk.actor)
    except InvalidInput as error:
        faults = {field.removeprefix("texts."): text for field, text in error.extra.get("faults", {}).items()}
        return _shown(desk, look=given, faults=faults), 422
    return go("settings", said=_("Your rewards pages look like this from now on."))


@post("/settings/keys")
def create_key(desk: Desk) -> Answer:
    """Make a key of the API; its token is shown by this answer and never again."""
    name = " ".join(request.form.get("name", "").replace("\x00", "").split())
    if not 0 < len(name) <= MOST_NAME:
        return _shown(desk, wrong_key=_("Give the key a name of at most 60 characters.")), 422
    return _shown(desk, token=keys.create(desk.session, desk.shop_id, name, actor=desk.actor))


@post(f"/settings/keys/<{ID}:key_id>/revoke")
def revoke_key(desk: Desk, key_id: int) -> Answer:
    """End a key for good."""
    if not keys.revoke(desk.session, desk.shop_id, key_id, actor=desk.actor):
        raise InvalidInput(_("There is no such key in use."), code="no_key")
    return go("settings", said=_("Revoked. Whatever used this key is refused from now on."))


@post("/settings/at-risk")
def set_at_risk(desk: Desk) -> Answer:
    """After how many days without an order a member is at risk."""
    try:
        operations.set_quiet_days(desk.session, desk.shop_id, request.form.get("days", 0, int), actor=desk.actor)
    except InvalidInput:
        said = _("Choose from %(least)s to %(most)s days.", least=operations.QUIET_LEAST, most=operations.QUIET_MOST)
        return _shown(desk, quiet=request.form.get("days", "")[:9], wrong_quiet=said), 422
    return go("settings", said=_("Kept. It holds from the next look on, within the hour."))


@post("/settings/connections/<channel>")
def connect(desk: Desk, channel: str) -> Answer:
    """Tell Shopify Flow or Klaviyo what happens, or tell it nothing more."""
    if channel not in connections.CHANNELS:
        raise InvalidInput(_("There is no such connection."), code="no_channel")
    if request.form.get("off") == "1":
        connections.disconnect(desk.session, desk.shop_id, channel, actor=desk.actor)
        return go("settings", said=_("Disconnected. Nothing more is told."))
    try:
        if channel == connections.FLOW:
            connections.connect_flow(desk.session, desk.shop_id, actor=desk.actor)
        else:
            connections.connect_klaviyo(desk.session, desk.shop_id, request.form.get("key", "")[:100], actor=desk.actor)
    except RapportError as error:
        if error.code != "bad_klaviyo_key":
            raise
        return _shown(desk, wrong_klaviyo=_("A private API key of Klaviyo begins with pk_.")), 422
    return go("settings", said=_("Connected. It is told what happens from now on."))


@post("/settings/past")
def decide_past(desk: Desk) -> Answer:
    """A shop that came back goes on where it left, or begins anew."""
    if request.form.get("past") == "keep":
        operations.keep_past(desk.session, desk.shop_id, actor=desk.actor)
        return go("settings", said=_("Your program goes on where you left."))
    if request.form.get("past") != "afresh" or request.form.get("sure") != "1":
        return go("settings", said=_("Nothing was changed: tick the box to confirm it."))
    privacy.start_afresh(desk.session, desk.shop_id, actor=desk.actor)
    return go("settings", said=_("Everything of before is gone. You begin anew."))


def _shown(desk: Desk, **told: Any) -> str:
    session, shop, shop_id = desk.session, desk.shop, desk.shop_id
    known = sa.select(ApiKey).where(ApiKey.shop_id == shop_id, ApiKey.revoked_at.is_(None)).order_by(ApiKey.id)
    members = sa.select(sa.func.count()).where(Member.shop_id == shop_id, Member.merged_into.is_(None))
    look: Appearance = appearance_of(shop.settings)
    shown = {
        "look": look.model_dump(),
        "keys": session.scalars(known).all(),
        "makers": _makers(desk),
        "plan": plans.standing(shop, session.scalar(members) or 0),
        "returning": operations.returning(shop),
        "channels": {name: name in (shop.settings or {}) for name in connections.CHANNELS},
        "quiet": operations.quiet_days(shop),
        "quiet_range": (operations.QUIET_LEAST, operations.QUIET_MOST),
        "fonts": FONTS,
        "corners": CORNERS,
        "faults": {},
    }
    return render_template("merchant/settings.html", **(shown | told))


def _makers(desk: Desk) -> dict[int, str]:
    """Who made each key, in words."""
    made = sa.select(Event).where(Event.shop_id == desk.shop_id, Event.kind == "api_key.created")
    return {row.data["key_id"]: timeline.who(desk, row.actor) for row in desk.session.scalars(made)}
