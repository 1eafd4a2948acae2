"""The wallet designer: how cards look, both wallets drawn beside the form as one types, and the way to the phones."""

from collections.abc import Mapping
from typing import Any, NamedTuple, get_args
from urllib.parse import urlsplit

import sqlalchemy as sa
from flask import Response, render_template, request

from core import i18n
from core.errors import Conflict, InvalidInput, RapportError
from core.i18n import N_, _
from loyalty.publishing.faults import Fault
from wallet_passes import content, languages
from wallet_passes.content import Card
from wallet_passes.design import Design, design, written
from wallet_passes.designs import addresses, advice, operations, preview, queries
from wallet_passes.designs.document import CardDesign, Hideable
from wallet_passes.designs.faults import faults
from wallet_passes.designs.images import MOST_BYTES
from wallet_passes.models import Pass
from web.merchant import card_drawing, card_form
from web.merchant.desk import ID, Answer, Desk, go, page, post

_HIDEABLE: tuple[str, ...] = get_args(Hideable)
# What merchants call what can be left out.
FIELDS = {
    "tier": N_("Tier"),
    "progress": N_("To the next tier"),
    "reward": N_("Next reward"),
    "member": N_("Member’s name"),
    "latest": N_("How points were last earned"),
    "waiting": N_("Rewards waiting"),
    "pending": N_("Pending points"),
    "expiring": N_("Expiring points"),
    "referral": N_("Referral link"),
    "portal": N_("Link to the rewards page"),
    "changed": N_("When it last changed"),
    "program": N_("Program’s name"),
    "website": N_("Store’s website"),
}
PICTURES = {
    "logo": (N_("Logo"), N_("At the top left: a wide one of at least 150 pixels’ height is best.")),
    "icon": (N_("Icon"), N_("A square, for notifications and Google’s round logo.")),
    "strip": (N_("Strip"), N_("Behind the points on Apple’s card: 1125 × 432 pixels.")),
    "hero": (N_("Hero"), N_("The wide picture of Google’s card: 1032 × 336 pixels.")),
}


class Standing(NamedTuple):
    """What is wrong with a design and what is good to know, by the place in the form."""

    wrong: Mapping[str, list[str]]
    known: Mapping[str, list[str]]

    @property
    def is_valid(self) -> bool:
        return not self.wrong


@page("/wallet")
def wallet(desk: Desk) -> Answer:
    """The draft as a form, with both cards as it makes them."""
    draft = operations.draft(desk.session, desk.shop_id)
    return _designer(desk, draft.document, draft.edits)


@post("/wallet")
def save_design(desk: Desk) -> Answer:
    """Keep the draft, also one with faults."""
    edits, document = request.form.get("edits", -1, int), _sent(desk)
    try:
        operations.save_draft(desk.session, desk.shop_id, document, edits=edits, actor=desk.actor)
    except Conflict:
        raise _overtaken() from None
    return go("wallet", tier=_tier(desk), said=_("Draft saved. Cards change when you publish it."))


@post("/wallet/preview")
def preview_design(desk: Desk) -> Answer:
    """Both cards as the form says them now, and what is wrong, each at its place. Nothing is kept."""
    document = _sent(desk)
    return render_template("merchant/wallet_preview.html", **_shown(desk, document), partial=True)


@post("/wallet/pictures/<slot>")
def add_picture(desk: Desk, slot: str) -> Answer:
    """Keep a picture for the draft, or take one off the form; the form's part with it comes back."""
    prefix, name = _slot(desk, slot)
    digest, wrong = "", ""
    file = next((one for one in request.files.getlist("picture") if one.filename), None)
    if file is not None:
        try:
            # One byte more than is taken, so that what is too large is seen to be.
            data = file.stream.read(MOST_BYTES + 1)
            digest = operations.add_picture(desk.session, desk.shop_id, data, actor=desk.actor).digest
        except RapportError as error:
            digest, wrong = request.form.get(f"{prefix}image-{name}", ""), error.detail
    shown = _picture(desk, prefix, name, digest, queries.measures(desk.session, desk.shop_id))
    response = Response(render_template("merchant/wallet_picture.html", slot=shown, wrong=wrong))
    response.headers["HX-Trigger-After-Settle"] = "picture"
    return response


@page("/wallet/rows/<kind>")
def design_row(desk: Desk, kind: str) -> Answer:
    """One more empty row for a list of the form."""
    if kind not in card_form.ROWS:
        raise InvalidInput(_("There is no such list."), code="no_list")
    row = dict.fromkeys(card_form.ROWS[kind][0], "")
    return render_template("merchant/wallet_row.html", kind=kind, row=row, number=desk.now.strftime("%H%M%S%f"))


@post("/wallet/publish")
def publish_design(desk: Desk) -> Answer:
    """Publish the draft; all cards follow."""
    edits, note = request.form.get("edits", -1, int), _note()
    try:
        row = operations.publish(desk.session, desk.shop_id, edits=edits, actor=desk.actor, note=note)
    except Conflict:
        raise _overtaken() from None
    return go("wallet", said=_("Version %(number)s is published. Cards follow now.", number=row.version))


@page("/wallet/rollout")
def design_rollout(desk: Desk) -> Answer:
    """How far the cards have followed the latest change."""
    return render_template("merchant/wallet_rollout.html", rollout=queries.rollout(desk.session, desk.shop_id))


@page("/wallet/history")
def design_history(desk: Desk) -> Answer:
    """Every published design, with the way back to it."""
    rows = queries.versions(desk.session, desk.shop_id)
    return render_template("merchant/wallet_history.html", rows=rows, who=_who)


@post(f"/wallet/history/<{ID}:number>")
def restore_design(desk: Desk, number: int) -> Answer:
    """Publish an old version again, as a new one."""
    if number > 2**31 - 1:
        raise InvalidInput(_("There is no such version."), code="no_design")
    note = _("Version %(number)s again", number=number)
    row = operations.roll_back(desk.session, desk.shop_id, number, actor=desk.actor, note=note)
    return go("design_history", said=_("Version %(number)s is published. Cards follow now.", number=row.version))


def _overtaken() -> Conflict:
    return Conflict(
        _("Somebody else changed this draft meanwhile. Load the page again to see it."), code="draft_changed"
    )


def _note() -> str:
    return request.form.get("note", "").replace("\x00", "").strip()[:200]


def _who(actor: str) -> str:
    return _("Your team") if actor.startswith("merchant:") else _("The API") if actor.startswith("api:") else actor


def _sent(desk: Desk) -> card_form.Document:
    """The design that the form says."""
    form = request.form
    sent = card_form.Sent(form.to_dict(), {name: form.getlist(name) for name in form})
    held = operations.draft(desk.session, desk.shop_id).document
    return card_form.document(sent, held, queries.tiers(desk.session, desk.shop_id), _HIDEABLE)


def _tier(desk: Desk) -> str:
    """The tier whose look is asked for: the lowest where none is."""
    asked, keys = request.values.get("tier", ""), [tier.key for tier in desk.version.program.ladder.tiers]
    return asked if asked in keys else keys[0]


def _language() -> str:
    """The language that the drawn phones speak: the shop's page's own where none is asked for."""
    asked = request.values.get("language", "")
    return asked if asked in i18n.LANGUAGES else i18n.language()


def _designer(desk: Desk, document: Any, edits: int) -> Answer:
    session, shop_id = desk.session, desk.shop_id
    shown = _shown(desk, document)
    latest = queries.in_force(session, shop_id)
    cards = session.scalar(sa.select(sa.func.count()).where(Pass.shop_id == shop_id, Pass.ended_at.is_(None))) or 0
    return render_template(
        "merchant/wallet.html", **shown, edits=edits, held=card_form.readable(document), fields=FIELDS, latest=latest,
        looks=_looks(desk, document), spoken=_spoken(desk, document), pictures=_pictures(desk, document),
        rollout=queries.rollout(session, shop_id),
        on_phones=cards, changed=edits > 0 and _differs(desk, document), ground=_ground(desk, document),
    )  # fmt: skip


def _shown(desk: Desk, document: Any) -> dict[str, Any]:
    """What the preview draws and says. Where a design has faults, nothing is drawn of it."""
    standing = _standing(desk, document)
    tiers = [(tier.key, tier.name) for tier in desk.version.program.ladder.tiers]
    told: dict[str, Any] = {"standing": standing, "tiers": tiers, "tier": _tier(desk), "places": _places(tiers)}
    told |= {"languages": i18n.LANGUAGES, "language": _language()}
    if not standing.is_valid:
        return told | {"apple": None, "google": None}
    card = preview.card_of_nobody(desk.session, desk.shop, told["tier"], told["language"])
    look = queries.dressed(CardDesign.model_validate(document).model_dump_json(), told["tier"], desk.shop)
    return told | _drawn(desk, card, look)


def _drawn(desk: Desk, card: Card, look: Design) -> dict[str, Any]:
    kinds = ("logo", "strip", "google-logo", "google-hero")
    pictures = {kind: urlsplit(addresses.address(desk.shop_id, look, kind)).path for kind in kinds}
    measured = queries.measures(desk.session, desk.shop_id).get(look.pictures.logo)
    ratio = measured.width / measured.height if measured else 1.0
    labels = languages.catalogue(card.language).labels
    told = preview.google(card, look, desk.shop_id)
    return {
        "apple": card_drawing.apple(preview.apple(card, look), look, labels, pictures, ratio),
        "google": card_drawing.google(told, look, pictures, card.language),
        "shop_name": content.shortened(desk.shop.name, content.NAME),
    }


def _standing(desk: Desk, document: Any) -> Standing:
    tiers, pictures = queries.tiers(desk.session, desk.shop_id), queries.measures(desk.session, desk.shop_id)
    wrong = faults(document, tiers, pictures)
    known: tuple[Fault, ...] = ()
    if not wrong:
        known = advice.advice(CardDesign.model_validate(document), pictures, tiers)
    return Standing(card_form.placed(wrong, tiers), card_form.placed(known, tiers))


def _places(tiers: list[tuple[str, str]]) -> list[str]:
    return [*card_form.PLACES, *(f"look-{key}" for key, _name in tiers), "other"]


def _differs(desk: Desk, document: Any) -> bool:
    """Whether a draft would change anything; one with faults is not finished, and so it would."""
    try:
        held = queries.starting_document(desk.session, desk.shop_id)
        return CardDesign.model_validate(document) != CardDesign.model_validate(held)
    except ValueError:
        return True


class Look(NamedTuple):
    """A tier's part of the form."""

    key: str
    name: str
    held: card_form.Document
    strip: "Picture"


class Spoken(NamedTuple):
    """A language's part of the form: each text with what it is there, and each tier's name."""

    key: str
    name: str
    texts: list[tuple[str, str]]
    tiers: list[tuple[str, str]]

    @property
    def done(self) -> int:
        return sum(bool(said) for _of, said in self.texts)


class Picture(NamedTuple):
    """A picture's part of the form: `slot` names it in addresses, `address` is where the one it has can be seen."""

    slot: str
    field: str
    name: str
    label: str
    hint: str
    digest: str
    address: str
    size: str


def _ground(desk: Desk, document: Any) -> dict[str, str]:
    """The colours that cards have now, for the fields to begin with."""
    held = card_form.readable(document)["colours"]
    plain = queries.dressed(None, "", desk.shop)
    made = {name: written(getattr(plain, name)) for name in card_form.COLOURS}
    return made | {name: str(colour) for name, colour in held.items() if name in made}


def _pictures(desk: Desk, document: Any) -> list[Picture]:
    held, known = card_form.readable(document)["images"], queries.measures(desk.session, desk.shop_id)
    return [_picture(desk, "", name, str(held.get(name, "")), known) for name in card_form.PICTURES]


def _looks(desk: Desk, document: Any) -> list[Look]:
    known = queries.measures(desk.session, desk.shop_id)
    found = []
    for tier in desk.version.program.ladder.tiers:
        held = card_form.look_of(document, tier.key)
        strip = _picture(desk, f"look-{tier.key}-", "strip", str(held["images"].get("strip", "")), known)
        found.append(Look(tier.key, tier.name, held, strip))
    return found


def _spoken(desk: Desk, document: Any) -> list[Spoken]:
    """The languages that phones are spoken to in. Translations of what is said no more stay until they are emptied."""
    own, ladder = card_form.own_texts(document), desk.version.program.ladder.tiers
    found = []
    for key, language in i18n.LANGUAGES.items():
        texts, tiers = card_form.translation_of(document, key)
        every = [(of, str(texts.get(of, ""))) for of in dict.fromkeys((*own, *map(str, texts)))]
        found.append(Spoken(key, language.name, every, [(tier.name, str(tiers.get(tier.key, ""))) for tier in ladder]))
    return found


def _picture(desk: Desk, prefix: str, name: str, digest: str, known: Mapping[str, advice.Measures]) -> Picture:
    label, hint = PICTURES[name]
    address = size = ""
    if digest in known:
        shown = design("")._replace(pictures=design("").pictures._replace(logo=digest))
        address = urlsplit(addresses.address(desk.shop_id, shown, "logo")).path
        size = f"{known[digest].width} × {known[digest].height}"
    return Picture(f"{prefix}{name}", f"{prefix}image-{name}", name, _(label), _(hint), digest, address, size)


def _slot(desk: Desk, slot: str) -> tuple[str, str]:
    """The prefix and name of a picture's field. Raises InvalidInput."""
    slots = {name: ("", name) for name in card_form.PICTURES}
    for tier in desk.version.program.ladder.tiers:
        slots |= {f"look-{tier.key}-{name}": (f"look-{tier.key}-", name) for name in card_form.LOOK_PICTURES}
    if slot not in slots:
        raise InvalidInput(_("There is no such picture."), code="no_picture")
    return slots[slot]
