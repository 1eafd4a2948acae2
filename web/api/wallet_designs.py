"""How cards look, over the API: what is in force, the draft and its pictures, and the way to the next version."""

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from flask import Blueprint, Response, json
from pydantic import Field

from core.errors import InvalidInput
from shops.models import Shop
from wallet_passes.design import Design, Pictures, design, written
from wallet_passes.designs import addresses, advice, images, operations, preview, queries
from wallet_passes.designs.document import CardDesign
from wallet_passes.designs.faults import faults, schema
from wallet_passes.designs.models import WalletDesign, WalletRollout
from web.api import shapes
from web.api.endpoint import Call, Operation, endpoint
from web.api.program import Note, Number
from web.api.shapes import Asked, Shape

Document = Annotated[
    dict[str, Any], Field(description="A card design; its JSON Schema is at `/api/v1/wallet/design/schema.json`.")
]
Edits = Annotated[int, Field(ge=0, le=2**31 - 2, description="`edits` of the draft you read: nobody's change is lost.")]


class Rollout(Shape):
    """How far all cards of the shop have been brought up to a change."""

    cause: Annotated[str, Field(examples=["design:3"])]
    total: Annotated[int, Field(description="Cards to look at again.")]
    done: int
    started_at: datetime
    finished_at: datetime | None


class DesignSummary(Shape):
    version: int
    published_at: datetime
    actor: str
    note: str


class DesignVersion(DesignSummary):
    document: Document


class DesignVersions(Shape):
    items: list[DesignSummary]


class DesignInForce(Shape):
    """`version` is null for a shop that has published none: its cards are made of its name."""

    version: DesignSummary | None
    document: Document
    rollout: Annotated[Rollout | None, Field(description="The latest change of all cards; null: none yet.")]


class DesignDraft(Shape):
    """`errors` refuse a design, `warnings` don't."""

    document: Document
    edits: Annotated[int, Field(description="How often it was changed; send it with your next change.")]
    changed: Annotated[bool, Field(description="Whether it differs from what is in force.")]
    valid: bool
    errors: list[shapes.Fault]
    warnings: list[shapes.Fault]


class DesignPublished(DesignSummary):
    rollout: Rollout | None


class WalletPicture(Shape):
    digest: Annotated[str, Field(description="Name it by this in a design.", pattern="^[0-9a-f]{64}$")]
    width: int
    height: int
    url: Annotated[str, Field(description="Where anybody can see it, as a logo.")]


class LookColours(Shape):
    background: str
    foreground: str
    label: str


class DesignPreview(Shape):
    """`card` is what the wallet would be told: Apple's `pass.json`, or Google's `class` and `object`."""

    wallet: str
    tier: Annotated[str, Field(description="The key of the tier whose look it is.")]
    colours: LookColours
    images: Annotated[dict[str, str], Field(description="Addresses of the card's pictures.")]
    card: dict[str, Any]


class DesignChange(Asked):
    """The new draft, whole. It need not be valid yet."""

    document: Document
    edits: Edits


class Upload(Asked):
    """A PNG, JPEG or WebP picture of at most 5 MB."""

    body_limit: ClassVar[int] = images.MOST_BYTES * 3 // 2

    data: Annotated[
        str, Field(min_length=1, max_length=images.MOST_BYTES * 4 // 3 + 4, description="The file, in base64.")
    ]


class DesignPublication(Asked):
    edits: Edits
    note: Note = None


class DesignRollback(Asked):
    version: Number
    note: Note = None


class PreviewQuery(Asked):
    wallet: Annotated[Literal["apple", "google"], Field(description="Whose card.")] = "apple"
    member: Annotated[shapes.Id | None, Field(description="Whose points. Without one: somebody made up.")] = None
    tier: Annotated[
        str | None,
        Field(
            description="The look of this tier. Without one: the member's, or the lowest.", pattern="^[a-z0-9-]{1,40}$"
        ),
    ] = None
    version: Annotated[Number | None, Field(description="A published design. Without one: the draft.")] = None
    language: Annotated[
        str | None, Field(description="Such as fr or pt-BR. Without one: the member's.", pattern="^[A-Za-z-]{2,20}$")
    ] = None


@endpoint("GET", "/wallet/design")
def read_card_design(call: Call) -> DesignInForce:
    """How cards look now, and how far they have followed the latest change."""
    row = queries.in_force(call.session, call.shop_id)
    return DesignInForce(
        version=DesignSummary(**_summary(row)) if row else None,
        document=dict(queries.starting_document(call.session, call.shop_id)),
        rollout=_rollout(queries.rollout(call.session, call.shop_id)),
    )


@endpoint("GET", "/wallet/design/versions")
def list_card_designs(call: Call) -> DesignVersions:
    """Every published design, newest first."""
    found = queries.versions(call.session, call.shop_id)
    return DesignVersions(items=[DesignSummary(**_summary(row)) for row in found])


@endpoint("GET", "/wallet/design/versions/<id:version>", problems=(404,))
def read_card_design_version(call: Call, version: int) -> DesignVersion:
    """One published design with its document."""
    row = queries.version(call.session, call.shop_id, version)
    return DesignVersion(**_summary(row), document=row.document)


@endpoint("GET", "/wallet/design/draft")
def read_card_design_draft(call: Call) -> DesignDraft:
    """The draft, what is wrong with it, and what to know before publishing it. Before the first: what is in force."""
    return _draft(call, operations.draft(call.session, call.shop_id))


@endpoint("PUT", "/wallet/design/draft", problems=(400, 409, 413, 415, 422))
def save_card_design_draft(call: Call, body: DesignChange) -> DesignDraft:
    """Keep a document as the draft, valid or not.

    409 with the code `draft_changed` says that somebody was faster: read it again.
    """
    saved = operations.save_draft(call.session, call.shop_id, body.document, edits=body.edits, actor=call.actor)
    return _draft(call, saved)


@endpoint("POST", "/wallet/design/draft/images", status=201, problems=(400, 409, 413, 415, 422))
def upload_card_image(call: Call, body: Upload) -> WalletPicture:
    """Check and keep a picture for designs to use.

    It is redrawn: upright, in sRGB, without metadata. One that no design uses is gone after a day or later.
    """
    kept = operations.add_picture(call.session, call.shop_id, _decoded(body.data), actor=call.actor)
    shown = design("")._replace(pictures=Pictures(logo=kept.digest))
    url = addresses.address(call.shop_id, shown, "logo")
    return WalletPicture(digest=kept.digest, width=kept.width, height=kept.height, url=url)


@endpoint("POST", "/wallet/design/publish", status=201, problems=(400, 409, 413, 415, 422))
def publish_card_design(call: Call, body: DesignPublication) -> DesignPublished:
    """Publish the draft as the next version. All cards follow; `rollout` says how far they have come."""
    row = operations.publish(call.session, call.shop_id, edits=body.edits, actor=call.actor, note=body.note)
    return _published(call, row)


@endpoint("POST", "/wallet/design/rollback", status=201, problems=(400, 404, 409, 413, 415, 422))
def roll_card_design_back(call: Call, body: DesignRollback) -> DesignPublished:
    """Publish an old version again, as a new one. The draft stays as it is."""
    row = operations.roll_back(call.session, call.shop_id, body.version, actor=call.actor, note=body.note)
    return _published(call, row)


@endpoint("GET", "/wallet/design/preview", problems=(404, 422))
def preview_card_design(call: Call, query: PreviewQuery) -> DesignPreview:
    """A card as the wallet would show it. Nothing is kept, and no phone hears of it."""
    session, shop = call.session, call.session.get_one(Shop, call.shop_id)
    document = operations.candidate(session, shop.id, _document(call, query.version)).model_dump_json()
    if query.member:
        card = preview.card_of(session, shop, shapes.within_range(query.member) or 0, query.language)
    else:
        card = preview.card_of_nobody(session, shop, query.tier, query.language)
    tier = query.tier or card.look
    look = queries.dressed(document, tier, shop)
    told = preview.apple(card, look) if query.wallet == "apple" else preview.google(card, look, shop.id)
    return DesignPreview(
        wallet=query.wallet, tier=tier, colours=_colours(look), images=_images(shop.id, look, query.wallet), card=told
    )


def _document(call: Call, version: int | None) -> Any:
    if version is None:
        return operations.draft(call.session, call.shop_id).document
    return queries.version(call.session, call.shop_id, version).document


def _colours(look: Design) -> LookColours:
    return LookColours(**{name: written(getattr(look, name)) for name in LookColours.model_fields})


def _images(shop_id: int, look: Design, wallet: str) -> dict[str, str]:
    kinds = ("icon", "logo", "strip") if wallet == "apple" else ("google-logo", "google-hero")
    return {kind.removeprefix("google-"): addresses.address(shop_id, look, kind) for kind in kinds}


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput("data: must be base64", code="bad_image") from None


def _draft(call: Call, found: operations.Draft) -> DesignDraft:
    tiers, pictures = queries.tiers(call.session, call.shop_id), queries.measures(call.session, call.shop_id)
    wrong = faults(found.document, tiers, pictures)
    known = advice.advice(CardDesign.model_validate(found.document), pictures, tiers) if not wrong else ()
    return DesignDraft(
        document=found.document,
        edits=found.edits,
        changed=_differs(call, found.document) if not wrong else True,
        valid=not wrong,
        errors=[shapes.Fault(field=fault.field, message=fault.reason) for fault in wrong],
        warnings=[shapes.Fault(field=fault.field, message=fault.reason) for fault in known],
    )


def _differs(call: Call, document: Any) -> bool:
    held = queries.starting_document(call.session, call.shop_id)
    return CardDesign.model_validate(document) != CardDesign.model_validate(held)


def _summary(row: WalletDesign) -> dict[str, Any]:
    return {"version": row.version, "published_at": row.published_at, "actor": row.actor, "note": row.note}


def _published(call: Call, row: WalletDesign) -> DesignPublished:
    return DesignPublished(**_summary(row), rollout=_rollout(queries.rollout(call.session, call.shop_id)))


def _rollout(row: WalletRollout | None) -> Rollout | None:
    if row is None:
        return None
    return Rollout(**{name: getattr(row, name) for name in Rollout.model_fields})


def publish_schema(blueprint: Blueprint) -> None:
    """Serve the document's JSON Schema to anybody, so that editors can read it."""
    text = json.dumps(schema())
    blueprint.add_url_rule(
        "/wallet/design/schema.json", "design_schema", lambda: Response(text, mimetype="application/schema+json")
    )


OPERATIONS: tuple[Operation, ...] = (
    read_card_design,
    list_card_designs,
    read_card_design_version,
    read_card_design_draft,
    save_card_design_draft,
    upload_card_image,
    publish_card_design,
    roll_card_design_back,
    preview_card_design,
)
