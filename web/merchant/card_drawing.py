"""A card of each wallet as the designer draws it: what stands where, in which colour and how large. Pure.

Drawn as SVG, for colours may not be written into the styles of a page's part.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import segno

from wallet_passes.design import WHITE, Design, mixed, text_on, written

WIDTH = 320
LOGO_HEIGHT = 30
# As much of its size as a letter is wide, about.
_LETTER = 0.56


class Said(NamedTuple):
    """A labelled text: where it stands, from which side, and in which size it fits."""

    label: str
    text: str
    x: int
    anchor: str
    size: float


class Drawn(NamedTuple):
    """One side of a card. `rows` are its labelled texts by their heights, `back` what stands behind."""

    ground: str
    ink: str
    quiet: str
    title: str
    logo: str
    logo_width: float
    picture: str
    rows: Sequence[tuple[int, Sequence[Said]]]
    code: str
    code_text: str
    back: Sequence[tuple[str, str]]


def apple(
    told: Mapping[str, Any], look: Design, labels: Mapping[str, str], pictures: Mapping[str, str], ratio: float
) -> Drawn:
    """A store card, from its `pass.json`. `ratio` is how many times as wide as high the logo is."""
    fields = {side: [{**one, "label": labels.get(one["key"], one["label"])} for one in some]
              for side, some in told["storeCard"].items() if isinstance(some, list)}  # fmt: skip
    rows = [
        (24, [_at(one, WIDTH - 16, "end", 120) for one in fields["headerFields"][:1]]),
        (204, _pair(fields["secondaryFields"])),
        (248, _pair(fields["auxiliaryFields"])),
    ]
    back = [(one["label"], one["value"]) for one in fields["backFields"]]
    (code,) = told["barcodes"]
    return Drawn(
        written(look.background), written(look.foreground), written(look.label), told.get("logoText", ""),
        pictures["logo"], min(LOGO_HEIGHT * ratio, 96), pictures["strip"], rows, qr(code["message"]), code["altText"],
        back,
    )  # fmt: skip


def google(told: Mapping[str, Any], look: Design, pictures: Mapping[str, str], language: str) -> Drawn:
    """A loyalty card, from its class and object, on a phone that speaks a language."""
    shared, own = (spoken(told[part], language) for part in ("class", "object"))
    ink = text_on(look.background)
    first = [_points(own.get("loyaltyPoints")), _labelled(shared["rewardsTierLabel"], shared.get("rewardsTier"))]
    reward = next((one for one in own["textModulesData"] if one["id"] == "reward"), None)
    second = [_points(own.get("secondaryLoyaltyPoints")), reward and _labelled(reward["header"], reward["body"])]
    texts = [(one.get("header", ""), one["body"]) for one in (*own["textModulesData"], *shared["textModulesData"])]
    links = [
        (one["description"], one["uri"])
        for one in (*own["linksModuleData"]["uris"], *shared["linksModuleData"]["uris"])
    ]
    return Drawn(
        written(look.background), written(ink), written(mixed(ink, look.background, 0.85)), shared["programName"],
        pictures["google-logo"], LOGO_HEIGHT, pictures["google-hero"],
        [(112, _pair([one for one in first if one])), (160, _pair([one for one in second if one]))],
        qr(own["barcode"]["value"]), own["barcode"]["alternateText"], [*texts, *links],
    )  # fmt: skip


def spoken(told: Any, language: str) -> Any:
    """What a phone reads: in place of a text its own language's, where there is one."""
    if isinstance(told, list):
        return [spoken(one, language) for one in told]
    if not isinstance(told, Mapping):
        return told
    read = {name: spoken(one, language) for name, one in told.items()}
    for name, one in told.items():
        if name.startswith("localized") and isinstance(one, Mapping):
            said = {text["language"]: text["value"] for text in one.get("translatedValues", ())}
            plain = name.removeprefix("localized")
            read[plain[0].lower() + plain[1:]] = said.get(language, one["defaultValue"]["value"])
    return read


def _points(told: Mapping[str, Any] | None) -> dict[str, str] | None:
    if not told:
        return None
    balance = told["balance"]
    number = balance.get("int")
    return _labelled(told["label"], f"{number:,}" if number is not None else balance["string"])


def _labelled(label: str, text: str | None) -> dict[str, str] | None:
    return {"label": label, "value": text} if text else None


def _pair(fields: Sequence[Mapping[str, str]]) -> list[Said]:
    """One field has the whole row; of two, the first begins it and the last ends it, the longer with more room."""
    room = WIDTH - 32
    if len(fields) < 2:
        return [_at(one, 16, "start", room) for one in fields]
    first, last = fields[0], fields[-1]
    lengths = [max(len(one["value"]), len(one["label"]), 8) for one in (first, last)]
    share = room * lengths[0] / sum(lengths)
    return [_at(first, 16, "start", share - 6), _at(last, WIDTH - 16, "end", room - share - 6)]


def _at(field: Mapping[str, str], x: int, anchor: str, room: float) -> Said:
    return Said(field["label"], field["value"], x, anchor, fitting(field["value"], room, 17))


def fitting(text: str, room: float, largest: float) -> float:
    """The size in which a text fits, as wallets make long ones smaller."""
    return round(max(8.0, min(largest, room / (_LETTER * max(len(text), 1)))), 1)


def qr(message: str) -> str:
    """A code as the address of a picture."""
    return str(segno.make(message, error="m", micro=False).svg_data_uri(border=2, dark="#000", light=written(WHITE)))
