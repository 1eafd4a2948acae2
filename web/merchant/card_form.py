"""A card design as a form: what it shows of a document, and the document that it sends. Pure.

A draft may hold anything, so nothing here trusts its shape. What a form does not show (languages beyond ours) stays.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from loyalty.publishing.faults import Fault
from wallet_passes.designs.document import MOST_LINKS, MOST_PLACES, MOST_TEXTS

Document = dict[str, Any]

COLOURS = ("background", "foreground", "label")
PICTURES = ("logo", "icon", "strip", "hero")
LOOK_PICTURES = ("strip",)
LINES = ("name", "logo_text", "welcome", "terms")
LOOK_LINES = ("logo_text", "welcome")
# Of each kind of row: its fields, and how many there may be.
ROWS: Mapping[str, tuple[tuple[str, ...], int]] = {
    "texts": (("label", "text"), MOST_TEXTS),
    "links": (("label", "url"), MOST_LINKS),
    "locations": (("latitude", "longitude", "text"), MOST_PLACES),
}
_NUMBERS = ("latitude", "longitude", "max_distance")
# Where an empty field means "as the shop's", and not "nothing".
_FALLS_BACK = ("name", "logo_text")


class Sent(NamedTuple):
    """A form: its fields by name, the last and all of each."""

    one: Mapping[str, str]
    many: Mapping[str, Sequence[str]]


def document(sent: Sent, before: Any, tiers: Iterable[str], hideable: Iterable[str]) -> Document:
    """The design that a form says, on top of what the draft held before."""
    shown, keys = set(sent.many.get("shown", ())), list(tiers)
    said = {
        **{name: _line(sent.one.get(name, ""), name) for name in LINES},
        **({"logo_text": ""} if sent.one.get("no_logo_text") == "1" else {}),
        "colours": _colours(sent.one, ""),
        "images": _images(sent.one, "", PICTURES),
        **{kind: _rows(sent.many, kind) for kind in ROWS},
        "max_distance": _number(sent.one.get("max_distance", "")),
        "hidden": [key for key in hideable if key not in shown],
        "looks": [look for tier in keys if (look := _look(sent.one, tier, before))],
    }
    translated = _translations(sent.many, said, before, keys)
    return said | ({"translations": translated} if translated else {})


def _translations(many: Mapping[str, Sequence[str]], said: Document, before: Any, tiers: Iterable[str]) -> list[Any]:
    """The shop's words in other languages: those of the form, and those that it does not show as they were."""
    kept = _listed(before.get("translations")) if isinstance(before, Mapping) else []
    sent = [name.removeprefix("of-") for name in many if name.startswith("of-")]
    found = [one for one in kept if not isinstance(one, Mapping) or one.get("language") not in sent]
    renamed = _renamed(before, said)
    for language in sent:
        pairs = zip(many[f"of-{language}"], many.get(f"say-{language}", ()), strict=False)
        texts = {renamed.get(of := _plain(said_as), of): _plain(say) for said_as, say in pairs if say.strip()}
        named = zip(tiers, many.get(f"tier-{language}", ()), strict=False)
        names = {key: name.strip() for key, name in named if name.strip()}
        if texts or names:
            found.append({"language": language, "texts": texts} | ({"tiers": names} if names else {}))
    return found


def _renamed(before: Any, said: Document) -> dict[str, str]:
    """Lines that say something else now keep their translations, to be looked through."""
    held = readable(before)
    return {str(held[name]): said[name] for name in LINES if held[name] and said[name] and held[name] != said[name]}


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\x00", "").strip()


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def own_texts(held: Any) -> list[str]:
    """Every text of a document that can be translated, in its order, as far as it can be read."""
    told = readable(held)
    found: list[Any] = [told[name] for name in LINES]
    found += [row[name] for row in told["texts"] for name in ("label", "text")]
    found += [row["label"] for row in told["links"]] + [row["text"] for row in told["locations"]]
    looks = _listed(held.get("looks")) if isinstance(held, Mapping) else []
    found += [look.get(name) for look in looks if isinstance(look, Mapping) for name in (*LOOK_LINES, "terms")]
    return list(dict.fromkeys(text for text in found if isinstance(text, str) and text))


def translation_of(held: Any, language: str) -> tuple[Document, Document]:
    """What a document says in a language: its texts by what they translate, and its tiers' names by their keys."""
    listed = _listed(held.get("translations")) if isinstance(held, Mapping) else []
    found = next((one for one in listed if isinstance(one, Mapping) and one.get("language") == language), {})
    return _mapping(found.get("texts")), _mapping(found.get("tiers"))


def _line(text: str, name: str) -> str | None:
    said = text.replace("\r\n", "\n").strip()
    return None if not said and name in _FALLS_BACK else said


def _colours(one: Mapping[str, str], prefix: str) -> Document:
    """Colours count where they are chosen: a field for colours always holds one."""
    if one.get(f"{prefix}own_colour") != "1":
        return {}
    found: Document = {"background": one.get(f"{prefix}background", "")}
    if one.get(f"{prefix}own_text") == "1":
        found |= {name: one.get(f"{prefix}{name}", "") for name in ("foreground", "label")}
    return found


def _images(one: Mapping[str, str], prefix: str, names: Iterable[str]) -> Document:
    return {name: digest for name in names if (digest := one.get(f"{prefix}image-{name}", ""))}


def _rows(many: Mapping[str, Sequence[str]], kind: str) -> list[Document]:
    names, most = ROWS[kind]
    columns = [many.get(f"{kind}-{name}", ()) for name in names]
    rows = [dict(zip(names, map(str.strip, row), strict=True)) for row in zip(*columns, strict=False)]
    return [_typed(row) for row in rows if any(row.values())][: most + 1]


def _typed(row: Mapping[str, str]) -> Document:
    return {name: _number(text) if name in _NUMBERS else text.replace("\r\n", "\n") for name, text in row.items()}


def _number(text: str) -> Any:
    """A number, or what was written in its place: its fault is told like any other."""
    try:
        number = float(text.replace(",", ".")) if text.strip() else None
    except ValueError:
        return text
    return int(number) if number is not None and number.is_integer() else number


def _look(one: Mapping[str, str], tier: str, before: Any) -> Document | None:
    """A tier's look, where it differs from all cards. Its terms and pictures that no form shows stay."""
    prefix = f"look-{tier}-"
    held = look_of(before, tier)
    said = {name: text for name in LOOK_LINES if (text := one.get(f"{prefix}{name}", "").strip())}
    pictures = {name: held["images"][name] for name in held["images"] if name not in LOOK_PICTURES}
    pictures |= _images(one, prefix, LOOK_PICTURES)
    terms = {"terms": held["terms"]} if held.get("terms") else {}
    found = {"colours": _colours(one, prefix), "images": pictures, **said, **terms}
    return {"tier": tier, **found} if any(found.values()) else None


# What a form shows.


def look_of(held: Any, tier: str) -> Document:
    """What a document says of a tier's look, as far as it can be read."""
    looks = held.get("looks") if isinstance(held, Mapping) else None
    listed = looks if isinstance(looks, list | tuple) else ()
    found = next((look for look in listed if isinstance(look, Mapping) and look.get("tier") == tier), {})
    return {**found, "images": _mapping(found.get("images")), "colours": _mapping(found.get("colours"))}


def _mapping(value: Any) -> Document:
    return {key: item for key, item in value.items() if item} if isinstance(value, Mapping) else {}


def readable(held: Any) -> Document:
    """A document with everything that a form shows, whatever it held."""
    found = dict(held) if isinstance(held, Mapping) else {}
    told: Document = {name: _text(found.get(name)) for name in (*LINES, "max_distance")}
    told["no_logo_text"] = found.get("logo_text") == ""
    told |= {part: _mapping(found.get(part)) for part in ("colours", "images")}
    hidden = found.get("hidden")
    told["hidden"] = [key for key in hidden if isinstance(key, str)] if isinstance(hidden, list | tuple) else []
    for kind, (names, most) in ROWS.items():
        rows = found.get(kind)
        listed = rows if isinstance(rows, list | tuple) else ()
        told[kind] = [_row(row, names) for row in listed if isinstance(row, Mapping)][: most + 1]
    return told


def _row(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, str]:
    return {name: _text(row.get(name)) for name in names}


def _text(value: Any) -> str:
    return "" if value is None else str(value)


# Where faults are told.

PLACES = (*LINES, *COLOURS, *PICTURES, *ROWS, "max_distance", "hidden", "translations")


def placed(faults: Iterable[Fault], tiers: Mapping[str, str]) -> dict[str, list[str]]:
    """Faults by the place in the form they belong to (`background`, `look-gold`), and `other` for what has none."""
    found: dict[str, list[str]] = {}
    for fault in faults:
        found.setdefault(_place(fault.path, tiers), []).append(fault.sentence)
    return found


def _place(path: Sequence[str], tiers: Mapping[str, str]) -> str:
    head, *rest = path or ("other",)
    if head in ("colours", "images") and rest and rest[0] in PLACES:
        return rest[0]
    if head == "looks" and rest:
        key = next((key for key, name in tiers.items() if rest[0] in (key, name)), None)
        return f"look-{key}" if key else "other"
    return head if head in PLACES else "other"
