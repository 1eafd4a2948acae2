"""What a referral's state means, in words: to the member who brought the friend, and to the merchant."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from loyalty.program import Benefit
from loyalty.wording.benefits import benefit_text, conditions_text
from referrals.models import STATES
from referrals.wording import STATE_NAMES, Brought, Told, benefit_of, merchant_text, referrer_text

TEN = Benefit(kind="amount_off", amount=1000)
POINTS = Benefit(kind="points", points=500)
NONE = Benefit(kind="none")
COMMISSION = Benefit(kind="commission", percentage="10")
# Late in the evening of 2 December in New York.
MOMENT = datetime(2026, 12, 3, 4, 30, tzinfo=UTC)


def told(state: str, *brought: Brought, **changes: Any) -> Told:
    known: dict[str, Any] = {
        "brings": TEN,
        "due_at": MOMENT,
        "rewarded_at": MOMENT,
        "days": 14,
        "currency": "USD",
        "zone": ZoneInfo("America/New_York"),
        "shop": "North Pier",
    }
    return Told(state=state, brought=brought, **known | changes)


def side(benefit: Benefit, state: str = "given", name: str = "referrer") -> Brought:
    return Brought(name, benefit, state)


STORIES = [
    (told("waiting"), "Your friend ordered. Your $10 off comes 14 days after payment.",
     "The friend's order is not paid yet."),
    (told("waiting", days=0), "Your friend ordered. Your $10 off comes once it is paid.",
     "The friend's order is not paid yet."),
    (told("waiting", days=1, brings=POINTS), "Your friend ordered. Your 500 points come 1 day after payment.",
     "The friend's order is not paid yet."),
    (told("waiting", brings=NONE), "Your friend ordered. It counts once it is paid.",
     "The friend's order is not paid yet."),
    (told("holding"), "Your friend ordered. Your $10 off arrives on 2 December 2026 if the order isn't returned.",
     "Paid. The referrer's side comes on 2 December 2026 if the order still stands."),
    (told("holding", brings=COMMISSION),
     "Your friend ordered. Your commission arrives on 2 December 2026 if the order isn't returned.",
     "Paid. The referrer's side comes on 2 December 2026 if the order still stands."),
    (told("holding", brings=NONE), "Your friend ordered, and the order is paid. It counts if it isn't returned.",
     "Paid. The referrer's side comes on 2 December 2026 if the order still stands."),
    (told("review", score=45), "Your friend ordered. North Pier has a look at it first, which can take a few days.",
     "Waits for your decision: the checks give it 45 of 100. Nothing is paid before."),
    (told("rewarded", side(TEN), side(POINTS, name="friend")),
     "Your friend ordered, and your $10 off came on 2 December 2026.",
     "The friend's order stands. The referrer got $10 off on 2 December 2026."),
    (told("rewarded", side(TEN), side(POINTS, name="milestone")),
     "Your friend ordered, and your $10 off and your 500 points came on 2 December 2026.",
     "The friend's order stands. The referrer got $10 off and 500 points on 2 December 2026."),
    (told("rewarded", beyond=True),
     "Your friend ordered, beyond as many as bring a reward in a month. Thank you all the same.",
     "The friend's order stands. The referrer got nothing, for they had as many friends as a month may bring "
     "something."),
    (told("rewarded", brings=NONE), "Your friend ordered. Thank you.",
     "The friend's order stands. The referrer got nothing."),
    (told("blocked", score=100), "Your friend ordered, which doesn't count. Ask North Pier if that surprises you.",
     "Refused by the checks, which give it 100 of 100."),
    (told("blocked", score=40, decision="refuse"),
     "Your friend ordered, which doesn't count. Ask North Pier if that surprises you.", "Refused by hand."),
    (told("void"), "Your friend cancelled or returned the order before your $10 off came.",
     "The friend's order was undone, or is worth too little, before the referrer's side came."),
    (told("void", brings=NONE), "Your friend cancelled or returned the order.",
     "The friend's order was undone, or is worth too little, before the referrer's side came."),
    (told("reversed", side(TEN, "taken_back")), "Your friend returned the order, so your $10 off went back.",
     "The friend's order was undone after the reward: $10 off went back."),
    (told("reversed", side(TEN, "taking_back")), "Your friend returned the order, so your $10 off went back.",
     "The friend's order was undone after the reward: $10 off is going back."),
    (told("reversed", side(TEN, "kept"), side(POINTS, "taken_back", "milestone")),
     "Your friend returned the order, so your 500 points went back. You had used your $10 off already, so that stays "
     "yours.",
     "The friend's order was undone after the reward: 500 points went back, $10 off was used already and stays."),
    (told("reversed"), "Your friend returned the order.",
     "The friend's order was undone after the reward: there was nothing to take back."),
]  # fmt: skip


@pytest.mark.parametrize(("known", "to_referrer", "to_merchant"), STORIES)
def test_a_state_in_words(known: Told, to_referrer: str, to_merchant: str) -> None:
    assert referrer_text(known) == to_referrer
    assert merchant_text(known) == to_merchant


def test_every_state_has_its_words() -> None:
    assert set(STATE_NAMES) == {known.state for known, _, _ in STORIES} == set(STATES)


def test_a_kept_benefit_is_read_without_the_number_of_its_milestone() -> None:
    assert benefit_of(POINTS.model_dump(mode="json") | {"friends": 5}) == POINTS


BENEFITS: list[tuple[Benefit, str, str, str]] = [
    (NONE, "USD", "nothing", ""),
    (TEN, "USD", "$10.00 off", ""),
    (TEN, "JPY", "¥1,000 off", ""),
    (Benefit(kind="percentage", percentage="12.50"), "USD", "12.5% off", ""),
    (Benefit(kind="free_shipping", valid_days=1), "USD", "free shipping", "within 1 day of getting it"),
    (Benefit(kind="points", points=1), "USD", "1 point", ""),
    (POINTS, "USD", "500 points", ""),
    (Benefit(kind="store_credit", amount=550), "USD", "$5.50 of store credit", ""),
    (COMMISSION, "USD", "10% of the order in cash", ""),
    (Benefit(kind="commission", amount=300), "USD", "$3.00 in cash", ""),
    (Benefit(kind="amount_off", amount=500, minimum_order=3000, valid_days=1000), "USD", "$5.00 off",
     "on orders of $30.00 or more, within 1,000 days of getting it"),
]  # fmt: skip


@pytest.mark.parametrize(("benefit", "currency", "brings", "asks"), BENEFITS)
def test_a_benefit_in_words(benefit: Benefit, currency: str, brings: str, asks: str) -> None:
    assert benefit_text(benefit, currency) == brings
    assert conditions_text(benefit, currency) == asks
