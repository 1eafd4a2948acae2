"""What referrals bring and cost, and the lists of them, by rows whose sums are known."""

import csv
import io
import itertools
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core import clock
from core.db import database
from loyalty import programs
from loyalty.models import ProgramVersion
from loyalty.program import demo_program
from referrals import models, numbers
from referrals.numbers import Figures, Period
from tests.web.stores import Store

JULY = datetime(2026, 7, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
orders = itertools.count(1)
TEN = {"kind": "amount_off", "amount": 1000}
CASH = {"kind": "commission", "percentage": "10"}


class Friends:
    """Rows as the engine writes them, with just what numbers and lists ask for."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def add(self, *rows: Any) -> None:
        with database().transaction(self.store.shop_id) as session:
            for row in rows:
                row.shop_id = self.store.shop_id
                session.add(row)
                session.flush()

    def member(self, number: int) -> int:
        """Of a customer who has ordered."""
        self.store.settle(self.store.order(number, self.store.customer(number)))
        return int(self.store.member_of(self.store.customer(number))["id"])

    def referral(self, state: str, at: datetime, amount: int = 50_00, **changes: Any) -> int:
        number = next(orders)
        known: dict[str, Any] = {
            "friend": f"hash {number}", "referrer_member_id": None if "partner_id" in changes else 1,
            "code_key": "ANNA7K", "via": "discount", "order_id": 10_000 + number, "at": at, "amount": amount,
            "currency": "USD", "program_version": 1, "state": state, "created_at": at, "updated_at": at,
        }  # fmt: skip
        row = models.Referral(**known | changes)
        self.add(row)
        return row.id

    def reward(self, referral_id: int, amount: int = 10_00, state: str = "given", **changes: Any) -> None:
        known: dict[str, Any] = {"side": "referrer", "ordinal": 1, "member_id": 1, "benefit": TEN, "at": JULY}
        self.add(models.ReferralReward(referral_id=referral_id, amount=amount, state=state, **known | changes))

    def claim(self, at: datetime) -> None:
        number = next(orders)
        known: dict[str, Any] = {
            "code_key": "ANNA7K", "email": b"sealed", "email_index": f"mail {number}", "visitor": "", "network": "",
            "consent": "Yes", "program_version": 1, "terms": TEN, "discount": f"FRIEND-{number}", "state": "made",
        }  # fmt: skip
        self.add(models.ReferralClaim(at=at, expires_at=at + 30 * DAY, **known))

    def counts(self, day: date, shares: int, clicks: int, visitors: int, key: str = "ANNA7K") -> None:
        self.add(models.ReferralCount(code_key=key, day=day, shares=shares, clicks=clicks, visitors=visitors))

    def figures(self, first: date, last: date) -> Figures:
        with database().transaction(self.store.shop_id) as session:
            asked = Period(first, last, demo_program().zone)
            return numbers.within(numbers.by_day(session, self.store.shop_id, asked), asked)


@pytest.fixture
def friends(store: Store) -> Friends:
    made = Friends(store)
    made.add(models.ReferralCode(key="ANNA7K", code="ANNA-7K", member_id=1, created_at=JULY))
    return made


def test_an_exact_example(friends: Friends) -> None:
    """The example of docs/referrals.md, number for number."""
    friends.counts(JULY.date(), shares=12, clicks=40, visitors=25)
    friends.counts(JULY.date() + DAY, shares=3, clicks=10, visitors=15, key="THEO10")
    for hour in range(8):
        friends.claim(JULY + timedelta(hours=hour))
    rewarded = [friends.referral("rewarded", JULY, 40_00, discount=10_00) for _ in range(2)]
    friends.reward(rewarded[0])
    friends.reward(rewarded[1])
    friends.reward(rewarded[1], 0, side="milestone", points=500, benefit={"kind": "points", "points": 500})
    friends.referral("holding", JULY + DAY, 60_00, discount=10_00)
    partners = friends.referral("rewarded", JULY + DAY, 100_00, partner_id=7)
    friends.reward(partners, 10_00, member_id=None, partner_id=7, benefit=CASH)
    undone = friends.referral("reversed", JULY + DAY, 0, discount=10_00)
    friends.reward(undone, state="taken_back")
    used = friends.referral("reversed", JULY + DAY, 0)
    friends.reward(used, state="kept")
    for state in ("waiting", "review", "blocked", "void"):
        friends.referral(state, JULY)
    found = friends.figures(JULY.date(), JULY.date() + DAY)
    assert found == Figures(
        shares=15, clicks=50, visitors=40, claims=8, waiting=1, review=1, refused=1, undone=3, conversions=4,
        customers=4, revenue=240_00, discounts=30_00, rewards=30_00, commission=10_00, points=500,
    )  # fmt: skip
    assert (found.cost, found.cost_per_customer, str(found.conversion_rate)) == (70_00, 17_50, "0.1000")


def test_days_are_those_of_the_programs_clock_and_end_with_their_last_moment(friends: Friends, store: Store) -> None:
    late = datetime(2026, 7, 1, 3, 59, 59, tzinfo=UTC)  # still June in New York
    friends.referral("rewarded", late, 1)
    friends.referral("rewarded", late + timedelta(seconds=1), 2)
    friends.claim(late)
    with database().transaction(store.shop_id) as session:
        asked = Period(date(2026, 6, 30), date(2026, 7, 1), _new_york())
        days = numbers.by_day(session, store.shop_id, asked)
    assert {day: (f.revenue, f.claims) for day, f in days.items()} == {
        date(2026, 6, 30): (1, 1), date(2026, 7, 1): (2, 0),
    }  # fmt: skip


def _new_york() -> Any:
    return demo_program().model_copy(update={"timezone": "America/New_York"}).zone


def test_a_person_is_one_customer_however_many_of_their_orders_count(friends: Friends) -> None:
    person = friends.member(1)
    for days in range(3):
        changes = {"friend": f"m{person}:{days}", "friend_member_id": person, "partner_id": 7}
        friends.referral("rewarded", JULY + days * DAY, 20_00, **changes)
    friends.referral("rewarded", JULY, 20_00, friend="m9", friend_member_id=9)
    whole = friends.figures(JULY.date(), JULY.date() + 2 * DAY)
    assert (whole.conversions, whole.customers, whole.revenue) == (4, 2, 80_00)
    assert friends.figures(JULY.date() + DAY, JULY.date() + 2 * DAY).customers == 0


def test_the_days_asked_for_end_today_by_the_shops_clock() -> None:
    midnight = datetime(2026, 7, 1, 4, tzinfo=UTC)
    assert Period.until(None, 1, midnight, _new_york())[:2] == (date(2026, 7, 1), date(2026, 7, 1))
    assert Period.until(None, 30, midnight - DAY / 24, _new_york())[:2] == (date(2026, 6, 1), date(2026, 6, 30))
    asked = Period.until(date(2026, 3, 30), 30, midnight, _new_york())
    assert (asked.first, asked.days, asked.before[:2]) == (
        date(2026, 3, 1), 30, (date(2026, 1, 30), date(2026, 2, 28)),
    )  # fmt: skip
    # Clocks go forward in March: these days are an hour short of 30.
    assert asked.moments[1] - asked.moments[0] == 30 * DAY
    assert asked.moments[1].astimezone(UTC) - asked.moments[0].astimezone(UTC) == 30 * DAY - timedelta(hours=1)


def test_days_weeks_and_months_hold_every_day_once() -> None:
    asked = Period(date(2026, 6, 26), date(2026, 7, 14), demo_program().zone)
    found = {date(2026, 6, 26) + number * DAY: Figures(claims=1) for number in range(0, 19, 2)}
    weeks = numbers.buckets(found, asked, "week")
    assert [(b.first, b.last, b.figures.claims) for b in weeks] == [
        (date(2026, 6, 26), date(2026, 6, 28), 2),
        (date(2026, 6, 29), date(2026, 7, 5), 3),
        (date(2026, 7, 6), date(2026, 7, 12), 4),
        (date(2026, 7, 13), date(2026, 7, 14), 1),
    ]
    assert [(b.last, b.figures.claims) for b in numbers.buckets(found, asked, "month")] == [
        (date(2026, 6, 30), 3),
        (date(2026, 7, 14), 7),
    ]
    days = numbers.buckets(found, asked, "day")
    assert len(days) == 19
    assert numbers.total(b.figures for b in days).claims == 10


def test_the_api_tells_a_period_beside_the_one_before(friends: Friends, store: Store) -> None:
    friends.reward(friends.referral("rewarded", JULY, 90_00, discount=10_00))
    friends.referral("rewarded", JULY, 10_00, referrer_member_id=2)
    friends.reward(friends.referral("rewarded", JULY, 200_00, partner_id=7), 20_00, benefit=CASH, partner_id=7)
    friends.referral("rewarded", JULY - 10 * DAY, 30_00)
    with clock.fixed_at(JULY + 2 * DAY):
        told = store.get("/referrals/numbers", days=10, by="week").json
    assert (told["since"], told["until"], told["timezone"], told["currency"]) == (
        "2026-06-24", "2026-07-03", "UTC", "USD",
    )  # fmt: skip
    total = told["total"]
    assert (total["conversions"], total["revenue"], total["cost"], total["cost_per_customer"]) == (
        3, 300_00, 40_00, 13_33,
    )  # fmt: skip
    assert total["conversion_rate"] is None
    assert (told["previous"]["conversions"], told["previous"]["revenue"]) == (1, 30_00)
    assert [(b["since"], b["until"], b["revenue"]) for b in told["series"]] == [
        ("2026-06-24", "2026-06-28", 0),
        ("2026-06-29", "2026-07-03", 300_00),
    ]
    assert [(t["member_id"], t["partner_id"], t["conversions"], t["revenue"], t["cost"]) for t in told["top"]] == [
        (None, "7", 1, 200_00, 20_00),
        ("1", None, 1, 90_00, 20_00),
        ("2", None, 1, 10_00, 0),
    ]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"until": "2026-02-30"}, 422),
        ({"until": "1767225600"}, 422),
        ({"until": "1999-12-31"}, 422),
        ({"until": "2000-01-01", "days": "366"}, 200),
        ({"until": "2099-12-31", "days": "1"}, 200),
        ({"days": "0"}, 422),
        ({"days": "367"}, 422),
        ({"by": "year"}, 422),
        ({"since": "2026-07-01"}, 422),
    ],
)
def test_days_that_cannot_be_are_refused(store: Store, query: dict[str, str], status: int) -> None:
    assert store.get("/referrals/numbers", **query).status_code == status


def test_a_table_for_a_spreadsheet(friends: Friends, store: Store, other_store: Store) -> None:
    friends.add(models.ReferralCode(key="X", code="=1+1", member_id=2, created_at=JULY))
    friends.reward(friends.referral("rewarded", JULY, 40_05, discount=10_00, friend_member_id=9, rewarded_at=JULY))
    friends.referral("waiting", JULY + DAY, code_key="X", referrer_member_id=2)
    answer = store.get("/referrals/export", until="2026-07-31", days=31)
    assert answer.mimetype == "text/csv"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="referrals-2026-07-01-2026-07-31.csv"'
    first, second = csv.DictReader(io.StringIO(answer.text))
    assert (first["placed_at"], first["rewarded_at"]) == ("2026-07-01T12:00:00Z", "2026-07-01T12:00:00Z")
    assert [first[name] for name in ("state", "code", "referrer_id", "friend_id")] == ["rewarded", "ANNA-7K", "1", "9"]
    assert [first[name] for name in ("revenue", "discount", "rewards", "points", "currency")] == [
        "40.05", "10.00", "10.00", "0", "USD",
    ]  # fmt: skip
    assert (second["code"], second["state"], second["rewarded_at"]) == ("'=1+1", "waiting", "")
    assert len(other_store.get("/referrals/export", until="2026-07-31").text.splitlines()) == 1


def test_another_shop_sees_nothing(friends: Friends, other_store: Store) -> None:
    friends.referral("rewarded", JULY)
    assert other_store.get("/referrals/numbers", until="2026-07-02").json["total"]["revenue"] == 0
    assert other_store.get("/referrals").json["items"] == []


def test_the_merchants_list_is_filtered_and_paged(friends: Friends, store: Store) -> None:
    ids = [str(friends.referral("rewarded", JULY + number * DAY)) for number in range(3)]
    partner = str(friends.referral("review", JULY, partner_id=7, score=45))
    waiting = str(friends.referral("waiting", JULY, referrer_member_id=2))

    def listed(**query: Any) -> list[str]:
        return [one["id"] for one in store.get("/referrals", **query).json["items"]]

    assert listed() == [waiting, partner, *reversed(ids)]
    assert listed(state="review") == listed(partner_id=7) == [partner]
    assert listed(member_id=1) == ids[::-1]
    assert listed(member_id=1, state="waiting") == listed(member_id=2**63) == []
    page = store.get("/referrals", limit=2).json
    assert [one["id"] for one in page["items"]] == [waiting, partner]
    assert listed(limit=2, cursor=page["next"]) == [ids[2], ids[1]]
    assert store.get("/referrals", state="late").status_code == 422
    assert store.get("/referrals", state="review").json["items"][0]["text"] == (
        "Waits for your decision: the checks give it 45 of 100. Nothing is paid before."
    )


def test_one_referral_tells_what_was_decided_and_given(friends: Friends, store: Store) -> None:
    reason = {"key": "address", "points": 30, "text": "The friend's address is the referrer's own."}
    number = friends.referral("rewarded", JULY, score=30, reasons=[reason], due_at=JULY, rewarded_at=JULY)
    friends.reward(number)
    for was, became in (("waiting", "review"), ("review", "rewarded")):
        friends.add(
            models.ReferralDecision(
                referral_id=number, was=was, became=became, score=30, reasons=[reason], note="Family", actor="api:1",
                at=JULY,
            )
        )  # fmt: skip
    told = store.get(f"/referrals/{number}").json
    assert told["reasons"] == [reason]
    assert [(step["was"], step["became"], step["note"]) for step in told["decisions"]] == [
        ("waiting", "review", "Family"), ("review", "rewarded", "Family"),
    ]  # fmt: skip
    assert [(one["side"], one["text"], one["state"], one["amount"]) for one in told["rewards"]] == [
        ("referrer", "$10 off", "given", 10_00)
    ]
    assert (told["code"], told["referrer_id"], told["partner_id"]) == ("ANNA-7K", "1", None)
    assert store.get("/referrals/999999").json["code"] == "no_referral"


def test_a_member_sees_what_friends_brought_and_not_who_they_are(friends: Friends, store: Store) -> None:
    anna, friend = friends.member(1), friends.member(2)
    of_hers = {"referrer_member_id": anna, "friend_member_id": friend}
    held = friends.referral("holding", JULY, due_at=JULY + 14 * DAY, **of_hers)
    came = friends.referral("rewarded", JULY, referrer_member_id=anna, rewarded_at=JULY)
    friends.reward(came, member_id=anna)
    friends.reward(came, 0, side="friend", member_id=friend, points=50, benefit={"kind": "points", "points": 50})
    friends.referral("rewarded", JULY, referrer_member_id=friend)
    told = store.get(f"/members/{anna}/referrals").json
    assert [(one["id"], one["text"]) for one in told["items"]] == [
        (str(came), "Your friend ordered, and your $10 off came on 1 July 2026."),
        (str(held), "Your friend ordered. Your $10 off arrives on 15 July 2026 if the order isn't returned."),
    ]
    assert set(told["items"][0]) == {"id", "at", "state", "text", "due_at", "rewarded_at", "rewards"}
    assert [reward["side"] for reward in told["items"][0]["rewards"]] == ["referrer"]
    assert store.get("/members/999999/referrals").status_code == 404


def test_what_is_still_to_come_goes_by_the_terms_of_the_order(friends: Friends, store: Store) -> None:
    anna = friends.member(1)
    terms = demo_program().referral.model_copy(update={"holding_days": 14})
    with database().transaction(store.shop_id) as session:
        programs.publish(
            session, store.shop_id, demo_program().model_copy(update={"referral": terms}), effective_from=clock.now(),
            actor="test",
        )  # fmt: skip
        latest = session.scalar(sa.select(sa.func.max(ProgramVersion.version)))
    friends.referral("waiting", JULY, referrer_member_id=anna, program_version=1)
    friends.referral("waiting", JULY, referrer_member_id=anna, program_version=latest)
    assert [one["text"] for one in store.get(f"/members/{anna}/referrals").json["items"]] == [
        "Your friend ordered. Your $10 off comes 14 days after payment.",
        "Your friend ordered. Your $10 off comes once it is paid.",
    ]
