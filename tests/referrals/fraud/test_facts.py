"""What is gathered about a referral: only hashes, counts and booleans, from Shopify and from our own tables."""

import re
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from core.errors import Unavailable
from referrals.fraud import mails
from referrals.fraud.rules import Evidence, judge
from sandbox.catalogue import DEMO
from tests.referrals.fraud.rig import NOW, TERMS, Stage
from tests.referrals.stories import HOME, NOOR, Brought, Claimed, Story, Who, claimed, somebody

STRANGER = Story("a stranger", "genuine", NOOR, claim=claimed(NOOR, "noor's phone"), browser="anna's phone")


def test_nothing_personal_remains(stage: Stage) -> None:
    kept = msgspec.to_builtins(stage.gather(stage.play(STRANGER)))
    assert {"email", "phone", "home", "payment", "network", "visitor"} <= kept.keys()
    for name, value in kept.items():
        known = isinstance(value, bool | int) or re.fullmatch("[0-9a-f]{64}", value)
        assert known or (name, value) == ("visitor", "noor's phone"), name


def test_gathering_again_tells_the_same(stage: Stage) -> None:
    case = stage.play(STRANGER)
    assert stage.gather(case) == stage.gather(case)


def test_who_may_not_be_seen_is_judged_by_the_rest(stage: Stage) -> None:
    case = stage.play(Story("a tag", "fraud", replace(NOOR, email="anna.berg+x@example.com"), old=()))
    stage.fault("access_denied", "order")
    stage.fault("access_denied", "customer")
    seen = stage.gather(case)
    assert not seen.told
    assert seen.same_email
    assert not seen.same_phone
    assert [reason.key for reason in judge(seen, TERMS).reasons] == ["same_email", "not_told"]


@pytest.mark.parametrize("field", ["order", "customer"])
def test_shopify_away_is_tried_again(stage: Stage, field: str) -> None:
    case = stage.play(STRANGER)
    stage.fault("503", field, times=10)
    with pytest.raises(Unavailable):
        stage.gather(case)
    stage.calm()
    assert stage.gather(case).told


def test_a_deleted_order_and_an_erased_customer_tell_nothing(stage: Stage) -> None:
    case = stage.play(STRANGER)
    stage.world.delete_order(DEMO.domain, case.order_id)
    stage.world.delete_customer(DEMO.domain, case.referrer_customer_id or 0)
    seen = stage.gather(case)
    assert seen.told
    assert (seen.email, seen.phone) == (mails.index(NOOR.email), None)


def test_a_customer_who_ordered_as_a_guest_before(stage: Stage) -> None:
    case = stage.play(Story("a guest before", "fraud", NOOR))
    guest = stage.person("guest", replace(NOOR, guest=True))
    stage.hear(stage.order(guest, NOW - timedelta(days=9)))
    assert (stage.gather(case).earlier_orders, stage.gather(case).twin_orders) == (1, 0)


def test_orders_that_fell_and_later_ones_do_not_count(stage: Stage) -> None:
    case = stage.play(Story("later", "genuine", replace(NOOR, cancelled=2)))
    friend = stage.people["friend"]
    stage.hear(stage.order(friend, NOW + timedelta(days=1)))
    back = stage.order(friend, NOW - timedelta(days=3))
    stage.hear(stage.world.refund(DEMO.domain, back.id, at=stage.second(NOW)))
    assert stage.gather(case).earlier_orders == 0


def test_our_own_tables_know_of_orders_too(stage: Stage) -> None:
    case = stage.play(Story("known to us", "fraud", NOOR))
    before = stage.order(stage.people["friend"], NOW - timedelta(days=9))
    stage.hear(before)
    stage.world.store.remove(DEMO.domain, "order", before.id)
    assert stage.gather(case).earlier_orders == 1


def test_the_referrers_browser_is_known_by_their_page_and_their_own_claim(stage: Stage) -> None:
    story = Story("a browser", "fraud", NOOR, claim=claimed(NOOR, "one browser"))
    case = stage.play(story)
    assert not stage.gather(case).same_visitor
    stage.claim(Claimed(Who().email, "one browser", "192.0.2.1", 9999))
    assert stage.gather(case).same_visitor


def test_another_partners_page_says_nothing(stage: Stage) -> None:
    story = Story(
        "a member", "genuine", NOOR, claim=claimed(NOOR, "noor's phone"), browser="noor's phone", partner=True
    )
    case = stage.play(story)
    assert stage.gather(case).same_visitor
    other = msgspec.structs.replace(case, partner_id=(case.partner_id or 0) + 1)
    assert not stage.gather(other).same_visitor


def test_a_partners_friend_who_orders_again_shares_nothing_with_themselves(stage: Stage) -> None:
    case = stage.play(Story("again", "genuine", NOOR, partner=True))
    case = msgspec.structs.replace(case, first_only=False, friend=f"{case.friend}:{case.order_id}")
    friend = stage.people["friend"]
    for back in range(1, 9):
        order = stage.order(friend, NOW - timedelta(days=back))
        before = stage.case_of(friend, order, NOW - timedelta(days=back), partner=True)
        before = msgspec.structs.replace(before, friend=f"{before.friend}:{order.id}", first_only=False)
        stage.keep(before, "rewarded", stage.gather(before))
    seen = stage.gather(case)
    assert (seen.shared_phone, seen.shared_payment, seen.shared_home, seen.day_referrals) == (0, 0, 0, 0)
    assert judge(seen, TERMS).outcome == "clear"


def test_what_happens_later_changes_nothing(stage: Stage) -> None:
    """Whoever comes after a friend with the same card is looked at, not the friend."""
    case = stage.play(Story("first of a farm", "genuine", NOOR))
    before = stage.gather(case)
    stage.bring(somebody(1, card=NOOR.card, phone=NOOR.phone, address=HOME), NOW + timedelta(hours=1), "rewarded")
    assert stage.gather(case) == before


def test_counts_are_of_others_only(stage: Stage) -> None:
    story = Story(
        "counts", "genuine", NOOR, claim=claimed(NOOR, "tablet"),
        claims=(claimed(NOOR, "tablet", minutes=90), Claimed("a@example.com", "tablet", "100.64.1.1", 61),
                Claimed("b@example.com", "tablet", "100.64.1.1", 60 * 24 * 31)),
        brought=(Brought(somebody(1), 23.9), Brought(somebody(2), 24.1, "void")),
    )  # fmt: skip
    seen = stage.gather(stage.play(story))
    assert (seen.visitor_claims, seen.network_claims, seen.code_claims) == (1, 0, 1)
    assert (seen.day_referrals, seen.ended, seen.ended_percent) == (1, 1, 50)


def test_evidence_survives_being_kept() -> None:
    seen = Evidence(told=False, email="a" * 64, same_home=True, circle=3)
    kept = msgspec.to_builtins(seen) | {"asked": "something the checks do not know"}
    assert msgspec.convert(kept, Evidence) == seen
