"""What a change of a program means, sentence by sentence; and what a merchant is warned of before it is published."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import catalogs, i18n
from loyalty.program import Program, demo_program
from loyalty.publishing.advice import advice
from loyalty.publishing.changes import changes
from loyalty.publishing.faults import faults, read
from loyalty.publishing.names import named
from loyalty.publishing.schema import schema
from tests.loyalty.test_program import BAD, DEMO, changed

SPRING = datetime(2026, 4, 1, tzinfo=UTC)
WEEKEND = {
    "key": "weekend",
    "name": "Double points weekend",
    "multiplier": 2,
    "starts_at": "2026-11-27T00:00",
    "ends_at": "2026-12-01T00:00",
}
COFFEE = {"key": "coffee", "name": "Coffee week", "points": 50, "vendors": ["Roastery"]}
MUG = {"key": "mug", "name": "A mug", "kind": "free_product", "cost": 800, "amount": 1200, "products": [7]}
SURVEY = {"key": "taste", "kind": "question", "name": "Your taste", "points": 20, "question": "Espresso or filter?"}
AMBASSADORS = {"tier": "ambassador", "referrer": {"kind": "amount_off", "amount": 20_00}}
FIFTH = {"friends": 5, "benefit": {"kind": "points", "points": 500}}
CREATORS: dict[str, Any] = {
    "key": "creators",
    "name": "Creators",
    "kind": "influencer",
    "friend": {"kind": "amount_off", "amount": 500},
    "referrer": {"kind": "commission", "percentage": "10"},
}


def with_bonus(**changes: Any) -> dict[str, Any]:
    return changed("bonuses", [WEEKEND | changes])


def referral(**changes: Any) -> dict[str, Any]:
    return changed("referral", DEMO["referral"] | changes)


CHANGES: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    (DEMO, DEMO, []),
    (DEMO, changed("ladder.tiers.1.threshold", 600_00), ["Advocate now starts at $600.00 instead of $500.00."]),
    (DEMO, changed("ladder.tiers.1.multiplier", "1.3"),
     ["Advocate now earns 1.3 times the points instead of 1.25 times."]),
    (DEMO, changed("ladder.tiers.1.name", "Friend"), ["Advocate is now called Friend."]),
    (DEMO, changed("ladder.tiers.2.perks", []),
     ["The list of perks of Ambassador is now none instead of early access and free shipping."]),
    (DEMO, changed("ladder.window_days", 180), ["For tiers the last 180 days now count instead of the last 365 days."]),
    (DEMO, changed("ladder.tiers", DEMO["ladder"]["tiers"][:2]), ["Gone: Ambassador."]),
    (changed("ladder.tiers", DEMO["ladder"]["tiers"][:2]), DEMO, ["New: Ambassador, from $1,500.00."]),
    (DEMO, changed("orders.points_per_unit", "1.5"), ["Orders now earn 1.5 per currency unit instead of 1."]),
    (DEMO, changed("orders.include_tax", True), ["Tax now counts as spend."]),
    (changed("orders.include_tax", True), DEMO, ["Tax no longer counts as spend."]),
    (DEMO, changed("orders.available", "fulfilled"), ["Points now arrive only when an order is paid and fulfilled."]),
    (DEMO, changed("orders.waiting_days", 14),
     ["The waiting time of points is now 14 days instead of 0 days."]),
    (DEMO, changed("orders.limit.points_per_day", 500),
     ["The limit of points a day of points for orders is now 500 points instead of no end."]),
    (DEMO, changed("orders.starts_at", "2026-05-01T09:30"),
     ["The start of points for orders is now 1 May 2026, 09:30 instead of no start."]),
    (DEMO, changed("bonuses", [WEEKEND]), ["New: Double points weekend, 2 × points, 27–30 November 2026."]),
    (changed("bonuses", [WEEKEND]), DEMO, ["Gone: Double points weekend."]),
    (DEMO, changed("bonuses", [COFFEE]), ["New: Coffee week, 50 points an order."]),
    (with_bonus(), with_bonus(multiplier=3), ["Double points weekend now multiplies points by 3 instead of 2."]),
    (with_bonus(), with_bonus(ends_at="2026-12-02T00:00"),
     ["The end of Double points weekend is now 2 December 2026 instead of 1 December 2026."]),
    (with_bonus(), with_bonus(tiers=["ambassador"]),
     ["The list of tiers of Double points weekend is now Ambassador instead of all."]),
    (DEMO, changed("stacking", "stack"),
     ["Where several bonuses match, all of them now count instead of the best one only."]),
    (DEMO, changed("joining.points", 100), ["Joining now brings 100 points instead of 50 points."]),
    (DEMO, changed("activities", [SURVEY]), ["New: Your taste, 20 points."]),
    (changed("activities", [SURVEY]), changed("activities", [SURVEY | {"points": 1}]),
     ["Your taste now brings 1 point instead of 20 points."]),
    (DEMO, changed("rewards.1.cost", 900), ["$10 off now costs 900 points instead of 1,000 points."]),
    (DEMO, changed("rewards.1.amount", 12_00), ["$10 off is now worth $12.00 instead of $10.00."]),
    (DEMO, changed("rewards.1.valid_days", 90), ["The time for use of $10 off is now 90 days instead of no end."]),
    (DEMO, changed("rewards", [*DEMO["rewards"], MUG]), ["New: A mug, 800 points."]),
    (DEMO, changed("rewards", DEMO["rewards"][::-1]), ["Rewards are listed in another order."]),
    (DEMO, changed("referral.friend_minimum", 50_00),
     ["A friend's first order must now be worth at least $50.00 instead of $30.00."]),
    (DEMO, changed("referral.friend", {"kind": "percentage", "percentage": "12.50"}),
     ["A friend now gets 12.5% off instead of $10.00 off."]),
    (DEMO, changed("referral.friend", {"kind": "free_shipping", "minimum_order": 60_00, "valid_days": 30}),
     ["A friend now gets free shipping on orders of $60.00 or more, within 30 days of getting it instead of "
      "$10.00 off."]),
    (DEMO, changed("referral.referrer", {"kind": "points", "points": 1}),
     ["Members now get 1 point for a friend instead of $10.00 off."]),
    (DEMO, changed("referral.referrer", {"kind": "store_credit", "amount": 15_00}),
     ["Members now get $15.00 of store credit for a friend instead of $10.00 off."]),
    (DEMO, changed("referral.referrer", {"kind": "none"}),
     ["Members now get nothing for a friend instead of $10.00 off."]),
    (DEMO, changed("referral.enabled", False), ["Members can no longer bring friends."]),
    (DEMO, changed("referral.holding_days", 14),
     ["What a referrer gets now comes 14 days after payment instead of 0 days."]),
    (DEMO, changed("referral.window_days", 60),
     ["A friend's click or claim now counts for 60 days instead of 30 days."]),
    (DEMO, changed("referral.monthly_limit", 1),
     ["A referrer is now rewarded for 1 friend a month instead of any number of friends."]),
    (DEMO, changed("referral.clawback", False),
     ["Referrers now keep what they got when the friend's order is refunded later."]),
    (DEMO, changed("referral.review_score", 30),
     ["Referrals now wait for a person from a score of 30 on instead of 40."]),
    (DEMO, changed("referral.block_score", 90), ["Referrals are now refused from a score of 90 on instead of 80."]),
    (DEMO, changed("referral.minimum_payout", 50_00), ["Commission is now paid out from $50.00 on instead of $25.00."]),
    (DEMO, changed("referral.tiers", [AMBASSADORS]), ["New: Ambassador referrers, $20.00 off for a friend."]),
    (changed("referral.tiers", [AMBASSADORS]), DEMO, ["Gone: Ambassador referrers."]),
    (changed("referral.tiers", [AMBASSADORS]),
     changed("referral.tiers", [AMBASSADORS | {"referrer": {"kind": "points", "points": 2500}}]),
     ["Ambassador referrers now get 2,500 points for a friend instead of $20.00 off."]),
    (DEMO, changed("referral.milestones", [FIFTH]), ["New: friend no. 5, 500 points on top."]),
    (changed("referral.milestones", [FIFTH]),
     changed("referral.milestones", [{"friends": 5, "benefit": {"kind": "points", "points": 750}}]),
     ["Friend no. 5 now brings 750 points on top instead of 500 points."]),
    (DEMO, changed("referral.partnerships", [CREATORS]), ["New: Creators, 10% of the order in cash for a friend."]),
    (changed("referral.partnerships", [CREATORS]), changed("referral.partnerships", [CREATORS | {"every_order": True}]),
     ["Creators: every order with their code counts now."]),
    (changed("referral.partnerships", [CREATORS]),
     changed("referral.partnerships",
             [CREATORS | {"referrer": {"kind": "commission", "amount": 500}, "landing_title": "Good morning"}]),
     ["Creators: they now get $5.00 in cash for a friend instead of 10% of the order in cash.",
      "The headline of the friends’ page of Creators is now Good morning instead of the usual one."]),
    (DEMO, changed("expiry", None), ["Points no longer expire."]),
    (changed("expiry", None), DEMO, ["Points now expire after 365 days without activity; before, they never did."]),
    (DEMO, changed("expiry", {"kind": "lot", "months": 12}),
     ["Points now expire 12 months after they were earned instead of after 365 days without activity."]),
    (DEMO, changed("clawback", "clamp"), ["Taking back points that were spent now stops at a balance of zero."]),
    (DEMO, changed("timezone", "Europe/Berlin"),
     ["Days and dates now follow the clock of Europe/Berlin instead of UTC."]),
    (DEMO, changed("name", "Beans"), ["The program is now called Beans instead of Rewards."]),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "expected"), CHANGES)
def test_a_change_in_words(before: Any, after: Any, expected: list[str]) -> None:
    assert [change.text for change in changes(read(before), read(after), "USD")] == expected


def test_money_is_spoken_in_the_shops_currency_and_thresholds_in_the_ladders_metric() -> None:
    raised = read(changed("ladder.tiers.1.threshold", 60_000))
    assert [c.text for c in changes(demo_program(), raised, "JPY")] == [
        "Advocate now starts at ¥60,000 instead of ¥50,000."
    ]
    by_orders = {**DEMO["ladder"], "metric": "orders"}
    told = changes(read(DEMO), read(changed("ladder", by_orders)), "USD")
    assert [c.text for c in told] == ["Tiers now go by orders instead of money spent."]
    more = {**by_orders, "tiers": [*DEMO["ladder"]["tiers"][:1], {**DEMO["ladder"]["tiers"][1], "threshold": 12}]}
    assert changes(read(changed("ladder", by_orders)), read(changed("ladder", more)), "USD")[0].text == (
        "Advocate now starts at 12 orders instead of 50,000 orders."
    )


def test_a_change_names_its_field_by_stable_keys() -> None:
    before, after = read(changed("bonuses", [WEEKEND])), read(changed("rewards.1.cost", 900) | {"bonuses": [COFFEE]})
    assert [(c.kind, c.field) for c in changes(before, after, "USD")] == [
        ("new", "bonuses › coffee"),
        ("gone", "bonuses › weekend"),
        ("changed", "rewards › 10-off › cost"),
    ]


LEAVES = [
    ("orders.points_per_unit", st.sampled_from(["0", "1", "1.25", "3"])),
    ("orders.waiting_days", st.integers(0, 365)),
    ("ladder.tiers.1.threshold", st.integers(1, 149_999)),
    ("rewards.0.cost", st.integers(1, 10_000)),
    ("rewards.0.stock", st.none() | st.integers(0, 100)),
    ("joining.points", st.integers(0, 1000)),
    ("bonuses", st.sampled_from([[], [WEEKEND], [COFFEE], [WEEKEND, COFFEE]])),
    ("clawback", st.sampled_from(["negative", "clamp"])),
    ("referral.clawback", st.booleans()),
    ("referral.monthly_limit", st.none() | st.integers(1, 10)),
    ("referral.friend", st.sampled_from([{"kind": "none"}, {"kind": "amount_off", "amount": 500, "valid_days": 1}])),
    ("referral.tiers", st.sampled_from([[], [AMBASSADORS]])),
    ("referral.milestones", st.sampled_from([[], [FIFTH], [{"friends": 5, "benefit": {"kind": "none"}}]])),
    ("referral.partnerships", st.sampled_from([[], [CREATORS], [CREATORS | {"landing_text": "Coffee, on us."}]])),
    ("expiry", st.sampled_from([None, {"days": 90}, {"kind": "lot", "months": 6}])),
]


@st.composite
def programs(draw: st.DrawFn) -> Program:
    document = json.loads(json.dumps(DEMO))
    for path, values in draw(st.lists(st.sampled_from(LEAVES), max_size=4)):
        *way, last = (int(step) if step.isdigit() else step for step in path.split("."))
        part = document
        for step in way:
            part = part[step]
        part[last] = draw(values)
    return read(document)


@given(before=programs(), after=programs())
def test_there_is_a_sentence_exactly_where_something_differs(before: Program, after: Program) -> None:
    told = changes(before, after, "EUR")
    assert bool(told) == (before != after)
    assert all(change.text.endswith(".") and "None" not in change.text for change in told)
    assert len({change.field for change in told}) == len(told)


# Warnings.

TENTH = {"key": "tenth", "name": "Tenth order", "points": 100, "order_number": 10}
WARNINGS: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    (DEMO, []),
    (changed("orders.points_per_unit", 0), [("orders › points_per_unit", "is 0: orders earn nothing")]),
    (changed("ladder.tiers.2.multiplier", "1.1"),
     [("ladder › tiers › ambassador › multiplier",
       "is less than that of Advocate: members earn less when they climb")]),
    (changed("bonuses", [WEEKEND, COFFEE]),
     [("bonuses › weekend", "overlaps with Coffee week: where both match, only the one that brings more counts")]),
    (changed("bonuses", [WEEKEND, COFFEE]) | {"stacking": "stack"}, []),
    # They never meet: apart in time, in place, in products, in tiers, in the number of the order.
    (changed("bonuses", [WEEKEND, COFFEE | {"starts_at": "2026-12-01T00:00"}]), []),
    (changed("bonuses", [WEEKEND | {"channel": "pos"}, COFFEE | {"channel": "online"}]), []),
    (changed("bonuses", [WEEKEND | {"vendors": ["Mill"]}, COFFEE]), []),
    (changed("bonuses", [WEEKEND | {"tiers": ["insider"]}, COFFEE | {"tiers": ["advocate"]}]), []),
    (changed("bonuses", [WEEKEND | {"order_number": 1}, TENTH]), []),
    (changed("bonuses", [WEEKEND | {"starts_at": "2025-11-27T00:00", "ends_at": "2025-12-01T00:00"}]),
     [("bonuses › weekend", "was over on 1 December 2025, before this version begins")]),
    (changed("rewards.1.cost", 10), [("rewards › 10-off", "gives back 100% of what was spent to earn it")]),
    (changed("rewards.1.amount", 25_00),
     [("rewards › 10-off", "gives back 2.5% of what was spent to earn it; the others about 1%")]),
    (changed("rewards.0.stock", 0), [("rewards › 5-off › stock", "is 0: nobody can have it")]),
    (changed("ladder.metric", "orders"),
     [("ladder › tiers › advocate › threshold", "needs 50,000 orders in 365 days: nobody gets there"),
      ("ladder › tiers › ambassador › threshold", "needs 150,000 orders in 365 days: nobody gets there")]),
    (changed("expiry.days", 180),
     [("expiry", "takes points sooner than before (after 180 days without activity), from 1 May 2026 on")]),
    (changed("expiry", {"kind": "lot", "months": 24}),
     [("expiry", "takes points sooner than before (24 months after they were earned), from 1 May 2026 on")]),
    (referral(friend={"kind": "amount_off", "amount": 30_00}),
     [("referral › friend", "is $30.00 off: an order of $30.00 would cost nothing")]),
    (referral(friend_minimum=0), [("referral › friend", "is $10.00 off: a small order would cost nothing")]),
    (referral(friend={"kind": "percentage", "percentage": 100}),
     [("referral › friend", "is 100% off: an order of $30.00 would cost nothing")]),
    (referral(friend={"kind": "percentage", "percentage": 50}), []),
    (referral(friend={"kind": "points", "points": 5000}, friend_minimum=0), []),
    (referral(referrer={"kind": "store_credit", "amount": 25_00}),
     [("referral › referrer", "together with what the friend gets may cost $35.00 for an order of $30.00")]),
    (referral(tiers=[{"tier": "advocate", "referrer": {"kind": "amount_off", "amount": 20_01}}]),
     [("referral › tiers › advocate › referrer",
       "together with what the friend gets may cost $30.01 for an order of $30.00")]),
    (referral(tiers=[AMBASSADORS]), []),
    (referral(friend={"kind": "none"}, referrer={"kind": "none"}),
     [("referral", "brings nobody anything: friends have no reason to come")]),
    (referral(friend={"kind": "none"}, referrer={"kind": "none"}, enabled=False), []),
    (referral(milestones=[{"friends": 5, "benefit": {"kind": "none"}}]),
     [("referral › milestones › 5", "brings nothing on top")]),
    (referral(partnerships=[CREATORS]),
     [("referral › partnerships › creators › friend", "is $5.00 off: a small order would cost nothing")]),
    (referral(partnerships=[CREATORS | {"friend_minimum": 20_00}]), []),
    (referral(partnerships=[CREATORS | {"friend": {"kind": "points", "points": 100}, "every_order": True}]),
     [("referral › partnerships › creators › friend", "comes with every order, not only with a friend's first")]),
    (referral(review_score=80),
     [("referral › review_score", "is the score that is refused: nothing ever waits for a person")]),
    (referral(clawback=False),
     [("referral › clawback",
       "is off and there are no holding days: a refund on the day after payment takes nothing back")]),
    (referral(clawback=False, holding_days=14), []),
    (changed("expiry.days", 500), []),
    (changed("expiry", None), []),
]  # fmt: skip


@pytest.mark.parametrize(("document", "expected"), WARNINGS)
def test_a_warning_is_no_refusal(document: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert [(fault.field, fault.reason) for fault in advice(read(document), demo_program(), SPRING, "USD")] == expected


# Languages.

# What stands in sentences as it is: names that merchants gave, codes, and what every language spells alike.
_NAMES = re.compile(r"'[^']*'|“[^”]*”|« [^»]* »|„[^“]*“|«[^»]*»|「[^」]*」")
_ENGLISH = re.compile(
    r"\b(the|is|are|now|instead|of|must|be|members?|than|points? (?:a|an|now)|for|with|from|orders?)\b"
)


@pytest.mark.parametrize("code", catalogs.TRANSLATED)
def test_changes_and_warnings_are_said_whole_in_each_language(code: str) -> None:
    with i18n.speaking(code):
        told = [change.text for before, after, _ in CHANGES for change in changes(read(before), read(after), "USD")]
        told += [fault.sentence for one, _ in WARNINGS for fault in advice(read(one), demo_program(), SPRING, "USD")]
    assert len(told) > 70
    assert [text for text in told if _ENGLISH.search(_NAMES.sub("", text)) or "%(" in text] == []


@pytest.mark.parametrize("code", catalogs.TRANSLATED)
def test_faults_are_said_whole_in_each_language(code: str) -> None:
    with i18n.speaking(code):
        told = [fault.sentence for path, value, *_ in BAD for fault in faults(changed(path, value))]
    strange = re.compile(r"\borders\b")  # where a key stands already
    assert [text for text in told if _ENGLISH.search(strange.sub("", _NAMES.sub("", text)))] == []


def test_answers_say_the_same_in_english_whatever_language_is_spoken() -> None:
    broken = changed("rewards.1.cost", 0)
    with i18n.speaking("de"):
        (fault,) = faults(broken)
        assert fault.sentence == "Kosten ($10 off): mindestens 1."
        assert (fault.field, fault.reason) == ("rewards › 10-off › cost", "must be at least 1")


def test_every_field_of_a_program_has_a_name_that_merchants_know() -> None:
    for name, part in schema()["$defs"].items():
        for field in part.get("properties", {}):
            path = {"OrderRule": ("orders",), "JoiningRule": ("joining",), "Ladder": ("ladder",),
                    "Referral": ("referral",), "Expiry": ("expiry",)}.get(name, ("rewards", "any"))  # fmt: skip
            if field not in ("milestones", "partnerships"):
                assert "“" not in named({}, (*path, field)), f"{name}.{field}"
