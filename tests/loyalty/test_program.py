"""Programs that can't be: what is wrong with each, word for word. And what the published schema says of those that can.

Each row of the table changes the demo program in one place and names the field and the reason that come back.
"""

import copy
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jsonschema_rs
import msgspec
import pytest

from core.errors import problem
from loyalty.earning.rules import target
from loyalty.program import Program, demo_program, instant
from loyalty.programs import Version
from loyalty.publishing.faults import InvalidProgram, faults, read
from loyalty.publishing.schema import schema
from loyalty.rules import eligible_spend
from tests.web.stores import NOW, order_state

DEMO: dict[str, Any] = msgspec.json.decode(demo_program().model_dump_json())
WEEKEND = {"key": "weekend", "name": "Weekend", "multiplier": "2"}
BIRTHDAY = {"key": "birthday", "kind": "birthday", "name": "Birthday", "points": 100}
CREATORS = {
    "key": "creators",
    "name": "Creators",
    "kind": "influencer",
    "friend": {"kind": "none"},
    "referrer": {"kind": "commission", "percentage": "10"},
}
NAMES = "must be of small letters, digits and hyphens, at most 40, such as double-points"
DATE = "must be a date, such as 2026-11-27T09:00"
YEARS = "it needs a period that ends, such as calendar_year"


def changed(path: str, value: Any) -> dict[str, Any]:
    """The demo program with one value changed; numbers in the path are positions, "-" in front of it takes it away."""
    document = copy.deepcopy(DEMO)
    *way, last = (int(step) if step.isdigit() else step for step in path.removeprefix("-").split("."))
    part: Any = document
    for step in way:
        part = part[step]
    if path.startswith("-"):
        del part[last]
    else:
        part[last] = value
    return document


QUESTION = {"key": "taste", "kind": "question", "name": "Taste", "points": 5, "question": "Espresso?"}
PERCENT = {"key": "share", "kind": "percentage", "name": "Share", "cost": 5}
BAD: list[tuple[str, Any, str, str]] = [
    # Fields that are called as a kind.
    ("activities", [QUESTION | {"question": ""}], "activities › taste › question", "must not be empty"),
    ("activities", [QUESTION | {"limit": {"times_ever": 0}}], "activities › taste › limit › times_ever",
     "must be at least 1"),
    ("rewards", [PERCENT], "rewards › share › percentage", "is missing: say how much is off"),
    # Contradictions.
    ("ladder.tiers.1.threshold", 200_000, "ladder › tiers › ambassador › threshold",
     "must be more than that of Advocate"),
    ("ladder.tiers.1.threshold", 0, "ladder › tiers › advocate › threshold", "must be more than that of Insider"),
    ("ladder.tiers.0.threshold", 1, "ladder › tiers › insider › threshold",
     "must be 0, so that every member has a tier"),
    ("ladder.tiers.2.key", "advocate", "ladder › tiers › advocate › key",
     "must be a key of its own: 'advocate' is used in tiers already"),
    ("ladder.tiers.1.keep", 60_000, "ladder › tiers › advocate › keep", "must not be more than the threshold"),
    ("ladder.tiers.1.keep", 40_000, "ladder › tiers › advocate › keep", f"must be the threshold or null: {YEARS}"),
    ("ladder.tiers.0.entry_gift", 5, "ladder › tiers › insider › entry_gift",
     "must be 0: every member starts here, so give points for joining instead"),
    ("ladder.grace_days", 30, "ladder › grace_days", f"must be 0: {YEARS}"),
    ("ladder.demotion", "one_step", "ladder › demotion", f"must be 'earned': {YEARS}"),
    ("rewards.1.key", "5-off", "rewards › 5-off › key", "must be a key of its own: '5-off' is used in rewards already"),
    ("bonuses", [WEEKEND | {"key": "joining"}], "bonuses › joining › key",
     "must be a key of its own: 'joining' is used in joining already"),
    ("activities", [BIRTHDAY | {"key": "order-points"}], "activities › order-points › key",
     "must be a key of its own: 'order-points' is used in orders already"),
    ("bonuses", [WEEKEND | {"key": "expiry"}], "bonuses › expiry › key",
     "must not be 'expiry', which has a meaning of its own"),
    ("activities", [BIRTHDAY, BIRTHDAY | {"key": "again"}], "activities › again",
     "must not be 'birthday' twice: one such rule is all"),
    ("rewards.1.cost", 0, "rewards › 10-off › cost", "must be at least 1"),
    ("rewards.1.amount", 0, "rewards › 10-off › amount", "must be more than 0: say what the reward is worth"),
    ("rewards.1.percentage", "10", "rewards › 10-off › percentage",
     "has a meaning for rewards of the kind 'percentage' only"),
    ("rewards.1.step", 10, "rewards › 10-off › step", "has a meaning for rewards of the kind 'variable' only"),
    ("rewards.1.kind", "percentage", "rewards › 10-off › percentage", "is missing: say how much is off"),
    ("rewards.1.kind", "free_product", "rewards › 10-off › products", "must not be empty: say which product is free"),
    ("rewards.1", {"key": "any", "name": "Any", "kind": "variable", "cost": 1, "step": 1, "amount": 10**13},
     "rewards › any › amount", "is too much: 10,000,000 points would be worth more than a reward may be"),
    ("rewards.1.kind", "variable", "rewards › 10-off › step", "is missing: say in which steps points are taken"),
    ("rewards.1", {"key": "any", "name": "Any", "kind": "variable", "cost": 150, "step": 100, "amount": 100},
     "rewards › any › cost", "must be a whole number of steps of 100"),
    ("rewards.1", {"key": "any", "name": "Any", "kind": "variable", "cost": 200, "step": 100, "amount": 100,
                   "most_points": 150},
     "rewards › any › most_points", "must be at least the cost, in whole steps of 100"),
    ("rewards.0.tiers", ["gold"], "rewards › 5-off › tiers", "must be tiers of the ladder, which has no 'gold'"),
    ("orders.tiers", ["gold"], "orders › tiers", "must be tiers of the ladder, which has no 'gold'"),
    ("joining.tiers", ["insider"], "joining › tiers", "must be empty: new members have no tier yet"),
    ("joining.limit", {"times_ever": 1}, "joining › limit", "must be empty: a member joins only once"),
    ("bonuses", [WEEKEND | {"starts_at": "2026-11-30", "ends_at": "2026-11-27"}], "bonuses › weekend › ends_at",
     "must come after the start"),
    ("bonuses", [WEEKEND | {"starts_at": "2026-11-27T00:00", "ends_at": "2026-11-30T00:00Z"}],
     "bonuses › weekend › ends_at", "must have an offset if the start has one, and none if it has none"),
    ("bonuses", [WEEKEND | {"points": 5}], "bonuses › weekend", "must have either points or a multiplier"),
    ("bonuses", [{"key": "weekend", "name": "W"}], "bonuses › weekend", "must have either points or a multiplier"),
    ("bonuses", [WEEKEND | {"multiplier": "0.5"}], "bonuses › weekend › multiplier", "must be more than 1"),
    ("expiry", {}, "expiry", "must have either months or days"),
    ("expiry", {"months": 12, "days": 365}, "expiry", "must have either months or days"),
    ("referral.friend", {"kind": "amount_off"}, "referral › friend › amount", "is missing: say how much it brings"),
    ("referral.friend", {"kind": "points"}, "referral › friend › points", "is missing: say how much it brings"),
    ("referral.friend.kind", "points", "referral › friend › points", "is missing: say how much it brings"),
    ("referral.friend.kind", "free_shipping", "referral › friend › amount",
     "has no meaning for the kind 'free_shipping'"),
    ("referral.referrer.points", 5, "referral › referrer › points", "has no meaning for the kind 'amount_off'"),
    ("referral.referrer", {"kind": "commission"}, "referral › referrer › amount",
     "must be a commission of either an amount or a percentage"),
    ("referral.referrer", {"kind": "commission", "amount": 5, "percentage": 5}, "referral › referrer › amount",
     "must be a commission of either an amount or a percentage"),
    ("referral.friend", {"kind": "commission", "amount": 5}, "referral › friend › kind",
     "must not be a commission: friends are thanked in the shop"),
    ("referral.partnerships", [CREATORS | {"friend": {"kind": "commission", "percentage": 5}}],
     "referral › partnerships › creators › friend › kind",
     "must not be a commission: friends are thanked in the shop"),
    ("referral.partnerships", [CREATORS, CREATORS], "referral › partnerships › creators › key",
     "must be a key of its own: 'creators' is used in partnerships already"),
    ("referral.review_score", 90, "referral › review_score", "must not be above the score that is refused"),
    ("referral.tiers", [{"tier": "gold", "referrer": {"kind": "none"}}], "referral › tiers › gold › tier",
     "must be a tier of the ladder, which has no 'gold'"),
    ("referral.tiers", [{"tier": "insider", "referrer": {"kind": "none"}}] * 2, "referral › tiers › insider › tier",
     "must not be 'insider' twice"),
    ("referral.milestones", [{"friends": 5, "benefit": {"kind": "none"}}] * 2,
     "referral › milestones › no. 2 › friends", "must not be 5 twice"),
    # Beyond all bounds.
    ("referral.friend", {"kind": "percentage", "percentage": 101}, "referral › friend › percentage",
     "must be at most 100"),
    ("referral.friend.amount", -1, "referral › friend › amount", "must be at least 0"),
    ("referral.window_days", 366, "referral › window_days", "must be at most 365"),
    ("referral.monthly_limit", 0, "referral › monthly_limit", "must be at least 1"),
    ("referral.block_score", 101, "referral › block_score", "must be at most 100"),
    ("bonuses", [WEEKEND | {"multiplier": 10**9}], "bonuses › weekend › multiplier", "must be at most 100"),
    ("ladder.tiers.1.multiplier", 1e9, "ladder › tiers › advocate › multiplier", "must be at most 100"),
    ("ladder.tiers.1.multiplier", "1.23456", "ladder › tiers › advocate › multiplier", "must have at most 4 decimals"),
    ("orders.points_per_unit", "-1", "orders › points_per_unit", "must be at least 0"),
    ("orders.limit.points_per_day", -1, "orders › limit › points_per_day", "must be at least 1"),
    ("rewards.0.stock", -1, "rewards › 5-off › stock", "must be at least 0"),
    ("rewards.0.maximum", -1, "rewards › 5-off › maximum", "must be at least 1"),
    ("joining.points", 2**31, "joining › points", "must be at most 1000000"),
    ("ladder.tiers", [], "ladder › tiers", "must have at least 1"),
    ("name", "n" * 81, "name", "must have at most 80 characters"),
    # Not what belongs there.
    ("timezone", "Mars/Olympus", "timezone", "must be a time zone, such as Europe/Berlin"),
    ("rewards.0.cost", "cheap", "rewards › 5-off › cost", "must be a whole number"),
    ("rewards.0.cost", True, "rewards › 5-off › cost", "must be a whole number"),
    ("rewards.0.cost", 9.5, "rewards › 5-off › cost", "must be a whole number"),
    ("rewards.0.cost", None, "rewards › 5-off › cost", "must be a whole number"),
    ("orders.points_per_unit", "lots", "orders › points_per_unit", "must be a number, such as 1.25"),
    ("orders.points_per_unit", "NaN", "orders › points_per_unit", "must be a number, such as 1.25"),
    ("orders.points_per_unit", [], "orders › points_per_unit", "must be a number, such as 1.25"),
    ("orders.include_tax", "sometimes", "orders › include_tax", "must be true or false"),
    ("orders.starts_at", "soon", "orders › starts_at", DATE),
    ("orders.starts_at", 1795737600, "orders › starts_at", "must be a date as text, such as 2026-11-27T09:00"),
    ("orders.starts_at", "0001-01-01", "orders › starts_at", "must lie between 1990 and 2200"),
    ("rewards.0.kind", "cashback", "rewards › 5-off › kind",
     "must be 'amount_off', 'percentage', 'free_shipping', 'free_product', 'store_credit', 'gift_card', 'variable' or "
     "'custom'"),
    ("rewards.0.key", "Five Off", "rewards › Five Off › key", NAMES),
    ("rewards.0.key", 5, "rewards › $5 off › key", "must be text"),
    ("rewards.0.name", "  ", "rewards › 5-off › name", "must not be blank"),
    ("rewards.0.name", "", "rewards › 5-off › name", "must not be empty"),
    ("rewards.0.name", "a\x00b", "rewards › 5-off › name", "must not hold a character that is no text"),
    ("activities", [BIRTHDAY | {"kind": "wedding"}], "activities › birthday › kind",
     "must be one of 'birthday', 'anniversary', 'question', 'newsletter', 'sms', 'social', 'review', 'community', "
     "'nps', 'custom'"),
    ("activities", [{"key": "x"}], "activities › x › kind", "is missing"),
    ("activities", [BIRTHDAY | {"points": 0}], "activities › birthday › points", "must be at least 1"),
    ("activities", [{"key": "follow", "name": "Follow", "kind": "social", "points": 5, "network": "X", "url": "x.com"}],
     "activities › follow › url", "must be a web address that starts with https://"),
    ("activities", "none", "activities", "must be a list"),
    ("activities", [7], "activities › no. 1", "must be a group of fields in braces"),
    ("ladder", [], "ladder", "must be a group of fields in braces"),
    # Missing, and misspelt.
    ("-ladder", None, "ladder", "is missing"),
    ("-rewards.1.cost", None, "rewards › 10-off › cost", "is missing"),
    ("rewards.1.cots", 5, "rewards › 10-off › cots", "is no field here: did you mean cost?"),
    ("colour", "red", "colour", "is no field here"),
    ("ladder.tiers.1.treshold", 5, "ladder › tiers › advocate › treshold",
     "is no field here: did you mean threshold?"),
    ("activities", [BIRTHDAY | {"day_before": 5}], "activities › birthday › day_before",
     "is no field here: did you mean days_before?"),
    ("expiry.month", 5, "expiry › month", "is no field here: did you mean months?"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "field", "reason"), BAD)
def test_what_is_wrong_is_said_of_the_field(path: str, value: Any, field: str, reason: str) -> None:
    assert [(fault.field, fault.reason) for fault in faults(changed(path, value))] == [(field, reason)]


def test_a_fault_leads_to_its_field_by_the_keys_of_parts() -> None:
    (fault,) = faults(changed("rewards.1.cost", 0))
    assert fault.path == ("rewards", "10-off", "cost")
    assert fault.sentence == "The cost of $10 off must be at least 1."


@pytest.mark.parametrize("nothing", [None, 5, "program", []])
def test_what_is_no_document_at_all(nothing: Any) -> None:
    assert [(fault.field, fault.reason) for fault in faults(nothing)] == [
        ("the program", "must be a group of fields in braces")
    ]


def test_every_fault_is_told_at_once() -> None:
    document = changed("rewards.0.cost", 0) | {"timezone": "Nowhere"}
    with pytest.raises(InvalidProgram) as refused:
        read(document)
    told = problem(refused.value)
    assert (told["status"], told["code"], told["detail"]) == (
        422, "invalid_program", "timezone must be a time zone, such as Europe/Berlin",
    )  # fmt: skip
    assert [(error["field"], error["message"]) for error in told["errors"]] == [
        ("timezone", "must be a time zone, such as Europe/Berlin"),
        ("rewards › 5-off › cost", "must be at least 1"),
    ]


def test_a_written_program_reads_as_it_was() -> None:
    assert read(DEMO) == demo_program()


def test_numbers_are_kept_exactly() -> None:
    for written in ("0.1", 0.1):
        assert read(changed("orders.points_per_unit", written)).orders.points_per_unit == Decimal("0.1")


def test_versions_from_before_there_were_kinds_of_expiry_are_still_read() -> None:
    old = {name: value for name, value in DEMO.items() if name != "expiry"}
    assert read(old | {"expiry_days": 90}).expiry == demo_program().expiry.model_copy(update={"days": 90})  # type: ignore[union-attr]
    assert read(old | {"expiry_days": None}).expiry is None


def test_versions_from_before_there_were_kinds_of_benefits_are_still_read() -> None:
    old = {"friend_amount": 500, "friend_minimum": 2000, "referrer_amount": 0}
    read_as = read(DEMO | {"referral": old}).referral
    assert (read_as.friend.kind, read_as.friend.amount, read_as.friend_minimum) == ("amount_off", 500, 2000)
    assert (read_as.referrer.kind, read_as.referrer.amount) == ("none", 0)
    assert read(DEMO | {"referral": {"friend_amount": 1000, "referrer_amount": 1000}}) == demo_program()


NEW_YORK = ZoneInfo("America/New_York")
MOMENTS = [
    ("2026-11-27T00:00", datetime(2026, 11, 27, 5, tzinfo=UTC)),
    ("2026-07-01", datetime(2026, 7, 1, 4, tzinfo=UTC)),
    ("2026-11-27T00:00+01:00", datetime(2026, 11, 26, 23, tzinfo=UTC)),
    ("2026-03-08T02:30", datetime(2026, 3, 8, 7, 30, tzinfo=UTC)),  # a time that spring skips
    ("2026-11-01T01:30", datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),  # the first of two in autumn
]


@pytest.mark.parametrize(("written", "expected"), MOMENTS)
def test_moments_without_an_offset_are_on_the_shops_clock(written: str, expected: datetime) -> None:
    program = read(changed("orders.starts_at", written))
    assert instant(program.orders.starts_at, NEW_YORK) == expected


# The published schema.


def parts() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every part of the schema that has fields, by its title."""
    for name, part in [("Program", schema()), *schema()["$defs"].items()]:
        if "properties" in part:
            yield name, part


def test_the_schema_is_one_and_the_demo_program_fits() -> None:
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema_rs.meta.validate(schema())
    checker = jsonschema_rs.validator_for(schema())
    assert checker.is_valid(DEMO)
    assert not checker.is_valid(changed("rewards.0.cost", 0))
    assert not checker.is_valid(changed("rewards.0.cots", 5))


@pytest.mark.parametrize(("name", "part"), list(parts()))
def test_the_schema_describes_every_part_and_every_field(name: str, part: dict[str, Any]) -> None:
    assert part["description"], name
    for field, told in part["properties"].items():
        constant = "const" in told or set(told.get("enum", ())) == {"newsletter", "sms"}
        assert constant or told.get("description"), f"{name}.{field}"


def test_the_reference_names_every_field() -> None:
    text = (Path(__file__).parents[2] / "docs" / "program.md").read_text()
    named = set(re.findall(r"`([a-z_]+)`", text))
    fields = {field for _, part in parts() for field in part["properties"]}
    assert fields - named == set()


def test_the_reference_shows_programs_that_are_programs() -> None:
    """Each JSON example of the reference, put into the demo program, is valid."""
    text = (Path(__file__).parents[2] / "docs" / "program.md").read_text()
    examples = re.findall(r"```json\n(.*?)```", text, re.S)
    assert len(examples) > 5
    for example in examples:
        document = DEMO | msgspec.json.decode(example)
        assert faults(document) == (), example
        assert jsonschema_rs.validator_for(schema()).is_valid(document), example


DOUBLE = {"key": "double", "name": "Double points weekend", "multiplier": "2"}
TRIPLE = {"key": "triple", "name": "Triple points on coffee", "multiplier": "3", "products": [1]}
FIRST = {"key": "first", "name": "First order", "points": 50, "order_number": 1}
STACKING: list[tuple[list[dict[str, Any]], str, int]] = [
    ([], "best", 100),
    ([DOUBLE], "best", 200),
    ([DOUBLE, TRIPLE], "best", 300),
    ([DOUBLE, TRIPLE], "stack", 400),
    ([DOUBLE, FIRST], "best", 200),
    ([DOUBLE, FIRST], "stack", 250),
]


@pytest.mark.parametrize(("bonuses", "stacking", "points"), STACKING)
def test_the_references_table_of_stacking_is_true(bonuses: list[dict[str, Any]], stacking: str, points: int) -> None:
    """An Advocate spends $80 on coffee at 1 point per dollar."""
    program = read(DEMO | {"bonuses": bonuses, "stacking": stacking})
    terms = Version(1, NOW, program).terms("advocate", Fraction("1.25"))
    order = order_state(1, 80_00)
    order = msgspec.structs.replace(order, lines=(msgspec.structs.replace(order.lines[0], product_id=1),))
    assert target(order, eligible_spend(order, {}, terms.policy), terms, now=NOW).available == points


def test_parts_of_a_program_never_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        demo_program().rewards[0].cost = 1  # type: ignore[misc]


def test_every_key_of_the_demo_program_is_stable() -> None:
    """The keys other systems hold on to; a change here breaks them."""
    program: Program = demo_program()
    assert program.earn_keys == ["order-points", "joining"]
    assert [tier.key for tier in program.ladder.tiers] == ["insider", "advocate", "ambassador"]
    assert [reward.key for reward in program.rewards] == ["5-off", "10-off", "free-shipping"]
