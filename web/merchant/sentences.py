"""A program's form read back: fields of sentences become parts of the document, and what they don't ask of stays.

Fields are called by the path to what they hold, with parts of lists by their keys: `rewards.10-off.cost`. A field that
is not sent, or that still says what it was opened with, leaves its value as it is.
"""

import copy
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, get_args
from zoneinfo import ZoneInfo

from pydantic import BaseModel
from werkzeug.datastructures import MultiDict

from loyalty.program import (
    Activity,
    Benefit,
    Bonus,
    Expiry,
    JoiningRule,
    Ladder,
    Limit,
    Milestone,
    OrderRule,
    Partnership,
    Program,
    Referral,
    Reward,
    Tier,
    TierBenefit,
)
from loyalty.program.document import RESERVED, time_zones
from web.merchant import fields
from web.merchant.fields import Kind, Setting, plain

Form = MultiDict[str, str]
Document = dict[str, Any]
Part = Mapping[str, Any]
# The row of a list that is there to be filled in. No key is written like this.
NEW = "+"
_TOKEN = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
# What programs hold that were published before there were kinds of benefits and of expiry.
_OLD = frozenset({"expiry_days", "friend_amount", "referrer_amount"})


@dataclass(frozen=True)
class Shape:
    """The fields that a part of the document has in the form, and the parts in it.

    `settle` gets the part as it was and as the form makes it, and puts right what follows from a choice.
    """

    model: type[BaseModel] | None
    fields: Mapping[str, Kind]
    parts: Mapping[str, "Shape"] = field(default_factory=dict)
    lists: Mapping[str, "Rows"] = field(default_factory=dict)
    settle: Callable[[Part, Document], None] = lambda before, part: None

    def default(self, name: str) -> Any:
        """What the document means where it says nothing. Its clock is then the shop's."""
        if name == "timezone":
            return None
        return _defaults(self.model).get(name) if self.model else _ACTIVITY_DEFAULTS.get(name)


class Rows(NamedTuple):
    """A list of parts. `fresh` is what the row says that waits to be filled in. `keyed` parts have their own key."""

    shape: Shape
    fresh: Document
    keyed: bool = True


class Row(NamedTuple):
    """A part of a list and what it is called in the form."""

    token: str
    part: Any


def _defaults(model: type[BaseModel]) -> Document:
    if model not in _known_defaults:
        _known_defaults[model] = {
            name: _json(held.get_default()) for name, held in model.model_fields.items() if not held.is_required()
        }
    return _known_defaults[model]


_known_defaults: dict[type[BaseModel], Document] = {}


def _json(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return list(value) if isinstance(value, tuple | frozenset) else value


_KINDS: dict[str, type[BaseModel]] = {
    kind: model for model in get_args(get_args(Activity)[0]) for kind in get_args(model.model_fields["kind"].annotation)
}
_ACTIVITY_DEFAULTS = {name: value for model in _KINDS.values() for name, value in _defaults(model).items()}
ACTIVITIES = tuple(_KINDS)


# What follows from a choice.


def _keep_only(kinds: Mapping[str, Sequence[str]]) -> Callable[[Part, Document], None]:
    """With another kind, what says how much for kinds that it is not goes."""

    def settle(before: Part, part: Document) -> None:
        if part.get("kind") != before.get("kind") and isinstance(part.get("kind"), str):
            for name, fitting in kinds.items():
                if part["kind"] not in fitting:
                    part.pop(name, None)

    return settle


def _fits_kind(before: Part, part: Document) -> None:
    """An activity gets nothing that its kind does not have."""
    model = _KINDS.get(str(part.get("kind")))
    if model:
        for name in [name for name in part if name not in model.model_fields and name not in before]:
            del part[name]


def _falls(before: Part, part: Document) -> None:
    """Only years have an end at which tiers are lost, and to keep them a measure of its own."""
    if part.get("period") in ("rolling", "lifetime") and part.get("period") != before.get("period", "rolling"):
        part.pop("grace_days", None)
        part.pop("demotion", None)
        for row in rows_of(part.get("tiers")):
            if isinstance(row.part, dict):
                row.part.pop("keep", None)


_AMOUNTS = ("amount_off", "store_credit", "commission")
_BENEFIT_SAYS = {
    "amount": _AMOUNTS,
    "percentage": ("percentage", "commission"),
    "points": ("points",),
    "minimum_order": ("amount_off", "percentage", "free_shipping"),
    "valid_days": ("amount_off", "percentage", "free_shipping"),
}
_REWARD_SAYS = {
    "amount": ("amount_off", "store_credit", "gift_card", "free_product", "variable"),
    "percentage": ("percentage",),
    "maximum": ("percentage",),
    "step": ("variable",),
    "most_points": ("variable",),
}

# The shapes, from the smallest up.

_SPAN: dict[str, Kind] = {"tiers": fields.MANY, "starts_at": fields.MOMENT, "ends_at": fields.MOMENT}
_LIMIT = Shape(Limit, dict.fromkeys(Limit.model_fields, fields.WHOLE))
_BENEFIT = Shape(
    Benefit,
    {
        "kind": fields.TEXT, "amount": fields.SOME_MONEY, "percentage": fields.EXACT, "points": fields.WHOLE,
        "minimum_order": fields.SOME_MONEY, "valid_days": fields.WHOLE,
    },
    settle=_keep_only(_BENEFIT_SAYS),
)  # fmt: skip
_ORDERS = Shape(
    OrderRule,
    {
        "points_per_unit": fields.EXACT, "available": fields.TEXT, "waiting_days": fields.WHOLE,
        "include_tax": fields.FLAG, "include_shipping": fields.FLAG, **_SPAN,
    },
    {"limit": _LIMIT},
)  # fmt: skip
_JOINING = Shape(JoiningRule, {"points": fields.WHOLE, "starts_at": fields.MOMENT, "ends_at": fields.MOMENT})
_BONUS = Shape(
    Bonus,
    {
        "name": fields.TEXT, "multiplier": fields.EXACT, "points": fields.SOME, "per": fields.TEXT,
        "minimum_spend": fields.SOME_MONEY, "order_number": fields.WHOLE, "channel": fields.TEXT,
        "products": fields.IDS, "variants": fields.IDS, "collections": fields.IDS, "vendors": fields.LINES,
        "tags": fields.WORDS, **_SPAN,
    },
    {"limit": _LIMIT},
)  # fmt: skip
_ACTIVITY = Shape(
    None,
    {
        "name": fields.TEXT, "kind": fields.TEXT, "points": fields.WHOLE, "days_before": fields.WHOLE,
        "question": fields.TEXT, "choices": fields.LINES, "network": fields.TEXT, "action": fields.TEXT,
        "url": fields.TEXT, "photo_points": fields.WHOLE, "every_days": fields.WHOLE, "description": fields.AREA,
        **_SPAN,
    },
    {"limit": _LIMIT},
    settle=_fits_kind,
)  # fmt: skip
_TIER = Shape(
    Tier,
    {
        "name": fields.TEXT, "threshold": fields.MEASURE, "keep": fields.MEASURE, "multiplier": fields.EXACT,
        "perks": fields.MANY, "entry_gift": fields.WHOLE, "birthday_boost": fields.EXACT,
    },
)  # fmt: skip
_LADDER = Shape(
    Ladder,
    {
        "metric": fields.TEXT, "period": fields.TEXT, "window_days": fields.WHOLE, "grace_days": fields.WHOLE,
        "demotion": fields.TEXT,
    },
    lists={"tiers": Rows(_TIER, {"multiplier": "2"})},
    settle=_falls,
)  # fmt: skip
_REWARD = Shape(
    Reward,
    {
        "name": fields.TEXT, "kind": fields.TEXT, "cost": fields.WHOLE, "amount": fields.SOME_MONEY,
        "percentage": fields.EXACT, "maximum": fields.MONEY, "step": fields.WHOLE, "most_points": fields.WHOLE,
        "products": fields.IDS, "variants": fields.IDS, "description": fields.AREA,
        "minimum_order": fields.SOME_MONEY, "valid_days": fields.WHOLE, "combines_with": fields.MANY,
        "stock": fields.WHOLE, "per_member": fields.WHOLE, "channel": fields.TEXT, **_SPAN,
    },
    settle=_keep_only(_REWARD_SAYS),
)  # fmt: skip
_NOTHING: Document = {"kind": "none"}
_REFERRAL = Shape(
    Referral,
    {
        "enabled": fields.FLAG, "friend_minimum": fields.MONEY, "holding_days": fields.WHOLE,
        "window_days": fields.WHOLE, "monthly_limit": fields.WHOLE, "clawback": fields.FLAG,
        "review_score": fields.WHOLE, "block_score": fields.WHOLE, "minimum_payout": fields.MONEY,
    },
    {"friend": _BENEFIT, "referrer": _BENEFIT},
    {
        "tiers": Rows(
            Shape(TierBenefit, {"tier": fields.TEXT}, {"referrer": _BENEFIT}),
            {"referrer": {"kind": "amount_off"}}, keyed=False,
        ),
        "milestones": Rows(
            Shape(Milestone, {"friends": fields.WHOLE}, {"benefit": _BENEFIT}),
            {"benefit": {"kind": "amount_off"}}, keyed=False,
        ),
        "partnerships": Rows(
            Shape(
                Partnership,
                {
                    "name": fields.TEXT, "kind": fields.TEXT, "friend_minimum": fields.SOME_MONEY,
                    "every_order": fields.FLAG, "landing_title": fields.TEXT, "landing_text": fields.AREA,
                },
                {"friend": _BENEFIT, "referrer": _BENEFIT},
            ),
            {"kind": "influencer", "friend": {"kind": "amount_off"}, "referrer": {"kind": "commission"}},
        ),
    },
)  # fmt: skip
_EXPIRY = Shape(
    Expiry,
    {"kind": fields.TEXT, "months": fields.WHOLE, "days": fields.WHOLE, "notice_days": fields.WHOLE},
)
NEVER = "never"
_NEVER: Document = {"kind": NEVER, "months": 12, "notice_days": 30}
PROGRAM = Shape(
    Program,
    {
        "name": fields.TEXT, "timezone": fields.TEXT, "stacking": fields.TEXT, "clawback": fields.TEXT,
        "reward_refunds": fields.TEXT,
    },
    {
        "orders": _ORDERS, "joining": _JOINING, "ladder": _LADDER, "referral": _REFERRAL, "expiry": _EXPIRY,
    },
    {
        "bonuses": Rows(_BONUS, {"multiplier": "2"}),
        "activities": Rows(_ACTIVITY, {"kind": "birthday", "points": 50}),
        "rewards": Rows(_REWARD, {"kind": "amount_off"}),
    },
)  # fmt: skip


# What stands in the form.


class Place(NamedTuple):
    """A field of the form: its name, the path to what it holds by the keys of parts, and what it says."""

    name: str
    keys: tuple[str, ...]
    says: Sequence[str]


Rewritten = Mapping[str, Sequence[Row]]


def places(document: Part, setting: Setting, rows: Rewritten | None = None) -> Iterator[Place]:
    """Every field of the form. `rows` are those of lists whose parts the form calls otherwise than the document."""
    return _places(PROGRAM, document, setting, "", (), rows or {})


def _places(
    shape: Shape, part: Part, setting: Setting, at: str, keys: tuple[str, ...], rows: Rewritten
) -> Iterator[Place]:
    for name, kind in shape.fields.items():
        yield Place(at + name, (*keys, name), kind.show(part.get(name, shape.default(name)), setting))
    for name, inner in shape.parts.items():
        yield from _places(inner, _inner(shape, part, name), setting, f"{at}{name}.", (*keys, name), rows)
    for name, listed in shape.lists.items():
        for number, row in enumerate(rows.get(at + name) or rows_of(part.get(name)), start=1):
            called = (*keys, name, _called(row.part, number))
            held = row.part if isinstance(row.part, Mapping) else {}
            yield from _places(listed.shape, held, setting, f"{at}{name}.{row.token}.", called, rows)
        if not any(row.token == NEW for row in rows.get(at + name, ())):
            yield from _places(listed.shape, listed.fresh, setting, f"{at}{name}.{NEW}.", (*keys, name, NEW), rows)


def _called(part: Any, number: int) -> str:
    """As faults call a part: by its key, else its name, else its tier, else its number."""
    named = [part.get(name) for name in ("key", "name", "tier")] if isinstance(part, Mapping) else []
    return next((name for name in named if isinstance(name, str) and name), f"no. {number}")


def _inner(shape: Shape, part: Part, name: str) -> Part:
    """A part within a part, or what is meant where there is none."""
    if shape is PROGRAM and name == "expiry" and part.get(name, ()) is None:
        return _NEVER
    held = part.get(name, shape.default(name))
    return held if isinstance(held, Mapping) else {}


def rows_of(parts: Any) -> list[Row]:
    """The parts of a list by what the form calls them: their keys where these tell them apart, else their positions."""
    listed = parts if isinstance(parts, Sequence) and not isinstance(parts, str) else ()
    keys = [part.get("key") if isinstance(part, Mapping) else None for part in listed]
    return [
        Row(key if isinstance(key, str) and _TOKEN.fullmatch(key) and keys.count(key) == 1 else f"{place}_", part)
        for place, (key, part) in enumerate(zip(keys, listed, strict=True))
    ]


def setting_of(document: Part, currency: str, timezone: str) -> Setting:
    """What a document's values are to be understood by."""
    named = document.get("timezone", timezone)
    zone = ZoneInfo(named if isinstance(named, str) and named in time_zones() else "UTC")
    ladder = document.get("ladder")
    metric = ladder.get("metric", "eligible_spend") if isinstance(ladder, Mapping) else "eligible_spend"
    return Setting(currency, zone, metric == "eligible_spend")


# What the form makes of the document.


class Made(NamedTuple):
    """The document a form makes, and the rows of its lists by what the form calls them."""

    document: Document
    rows: Rewritten


def applied(document: Part, form: Form, setting: Setting) -> Made:
    """The document with what the form says."""
    rows: dict[str, list[Row]] = {}
    meant = setting._replace(by_money=_by_money(form, setting))
    reading = _Reading(form, setting, meant, rows, _taken(document))
    return Made(reading.part(PROGRAM, copy.deepcopy(dict(document)), ""), rows)


def _taken(document: Part) -> dict[str, set[str]]:
    """The keys there are, by the lists in which each must be one of its own."""
    ladder, referral = (document.get(name) for name in ("ladder", "referral"))
    orders, joining = (document.get(name) for name in ("orders", "joining"))
    lists = {
        "rules": (*rows_of(document.get("bonuses")), *rows_of(document.get("activities")), *rows_of([orders, joining])),
        "rewards": rows_of(document.get("rewards")),
        "ladder.tiers": rows_of(ladder.get("tiers") if isinstance(ladder, Mapping) else ()),
        "referral.partnerships": rows_of(referral.get("partnerships") if isinstance(referral, Mapping) else ()),
    }
    return {
        name: {str(row.part["key"]) for row in rows if isinstance(row.part, Mapping) and "key" in row.part}
        for name, rows in lists.items()
    }


def _by_money(form: Form, setting: Setting) -> bool:
    """What tiers go by is part of the same form as what they take."""
    return form["ladder.metric"] == "eligible_spend" if "ladder.metric" in form else setting.by_money


class _Reading(NamedTuple):
    """A form being read: how its values were shown, how they are meant, and the rows found on the way."""

    form: Form
    shown: Setting
    meant: Setting
    rows: dict[str, list[Row]]
    taken: dict[str, set[str]]

    def part(self, shape: Shape, held: Document, at: str) -> Document:
        """The part with what the form says of it."""
        made = dict(held)
        for name, kind in shape.fields.items():
            self._field(shape, made, name, kind, at)
        for name, inner in shape.parts.items():
            before = _inner(shape, held, name)
            after = self.part(inner, dict(before), f"{at}{name}.")
            if after != before:
                made[name] = None if after.get("kind") == NEVER else after
        for name, listed in shape.lists.items():
            if parts := self._list(listed, held.get(name), at + name):
                made[name] = [row.part for row in parts]
            elif held.get(name) and rows_of(held[name]):
                made[name] = []
        shape.settle(held, made)
        return made

    def _field(self, shape: Shape, made: Document, name: str, kind: Kind, at: str) -> None:
        if at + name not in self.form:
            return
        given, default = self.form.getlist(at + name), shape.default(name)
        said = kind.core(kind.show(made.get(name, default), self.shown))
        measured_anew = kind is fields.MEASURE and self.shown != self.meant
        if kind.core(given) == said and not measured_anew:
            return
        value = kind.read(given, self.meant)
        if value is None and (not default or default == [""]):
            made.pop(name, None)
        else:
            # Nothing where something is needed is told as a fault of its own, not filled in silently.
            made[name] = value

    def _list(self, listed: Rows, parts: Any, at: str) -> list[Row]:
        """The rows that stay, in their order, and the new one if something was written into it."""
        made = []
        for token, held in rows_of(parts):
            if self.form.get(f"{at}.{token}.gone") == "1":
                continue
            changed = self.part(listed.shape, held, f"{at}.{token}.") if isinstance(held, dict) else held
            made.append(Row(token, changed))
        fresh = self.part(listed.shape, copy.deepcopy(listed.fresh), f"{at}.{NEW}.")
        if fresh != listed.fresh:
            part = {"key": self._key(fresh.get("name"), at), **fresh} if listed.keyed else fresh
            made.insert(_rung(made, part) if listed.shape is _TIER else len(made), Row(NEW, part))
        self.rows[at] = made
        return made

    def _key(self, name: Any, at: str) -> str:
        """A key that no other part has, and none had that goes: rules of all lists share the ledger's words."""
        space = self.taken["rules" if at in ("bonuses", "activities") else at]
        space.add(key := key_of(name, space))
        return key


def _rung(rows: Sequence[Row], tier: Part) -> int:
    """Where a new tier belongs: below the first that takes more."""
    begins = tier.get("threshold")
    for place, row in enumerate(rows):
        held = row.part.get("threshold") if isinstance(row.part, Mapping) else None
        if isinstance(begins, int) and isinstance(held, int) and held > begins:
            return max(place, 1)
    return len(rows)


def key_of(name: Any, taken: Iterable[Any]) -> str:
    """A key that says what it is of, and stays when the part is renamed."""
    plain_name = unicodedata.normalize("NFKD", plain(str(name or ""))).encode("ascii", "ignore").decode().lower()
    key = re.sub(r"[^a-z0-9]+", "-", plain_name).strip("-")[:32].strip("-") or "part"
    used = {*taken, *RESERVED, "order-points", "joining"}
    number, found = 1, key
    while found in used:
        number += 1
        found = f"{key}-{number}"
    return found


def of_today(document: Part) -> Document:
    """The document as programs are written now: a version of long ago says some things otherwise."""
    referral = document.get("referral")
    if not _OLD & {*document, *(referral if isinstance(referral, Mapping) else ())}:
        return dict(document)
    return Program.model_validate(document).model_dump(mode="json")
