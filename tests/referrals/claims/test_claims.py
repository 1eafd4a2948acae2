"""Friends' claims in our own books: who may claim, what is one claim, who comes last, and how often."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import clock, crypto, effects
from core.errors import Conflict, InvalidInput, NotFound, RapportError, TooMany
from loyalty.models import Order
from loyalty.program import Benefit
from referrals import partners
from referrals.claims import limits, operations, rules
from referrals.codes import key_of
from referrals.fraud import mails
from referrals.models import ReferralClaim
from tests.referrals.claims.rig import NOW, Desk
from tests.webhooks.rig import at_once


def refused(work: Any) -> str:
    with pytest.raises(RapportError) as error:
        work()
    return error.value.code


def test_a_claim_keeps_what_was_promised(shop: Desk) -> None:
    anna = shop.member("Anna")
    row = shop.claim(shop.code(anna), "Friend.One@Example.com", consent=" I agree. ", wants_news=True)
    assert crypto.decrypt(row.email) == "friend.one@example.com"
    assert (row.state, row.consent, row.wants_news, row.ended_at) == ("making", "I agree.", True, None)
    assert row.discount.startswith("FRIEND-")
    assert len(row.discount) == 15
    promised = operations.benefit_of(row)
    assert (promised.kind, promised.amount, promised.minimum_order) == ("amount_off", 1000, 3000)
    assert shop.timeline(anna) == ["referral.claimed"]
    assert shop.effects(operations.EFFECT, row.id) == [("waiting", None)]


def test_it_holds_to_the_end_of_its_last_day(shop: Desk) -> None:
    code = shop.code(shop.member())
    with clock.fixed_at(datetime.fromisoformat("2026-11-27T15:00:00Z")):
        shop.publish(window_days=10)
        row = shop.claim(code)
    assert row.expires_at == datetime.fromisoformat("2026-12-08T00:00:00Z")


@pytest.mark.parametrize(("valid", "days"), [(None, 30), (5, 5), (90, 30)])
def test_a_code_never_outlives_the_window(shop: Desk, valid: int | None, days: int) -> None:
    shop.publish(friend=Benefit(kind="amount_off", amount=500, valid_days=valid))
    row = shop.claim(shop.code(shop.member()))
    assert row.expires_at - row.at > timedelta(days=days)
    assert row.expires_at - row.at <= timedelta(days=days + 1)


@pytest.mark.parametrize(
    ("benefit", "makes"),
    [
        (Benefit(kind="percentage", percentage="10"), True),
        (Benefit(kind="free_shipping"), True),
        (Benefit(kind="points", points=500), False),
        (Benefit(kind="store_credit", amount=500), False),
        (Benefit(kind="none"), False),
    ],
)
def test_only_discounts_are_made_in_shopify(shop: Desk, benefit: Benefit, makes: bool) -> None:
    shop.publish(friend=benefit)
    row = shop.claim(shop.code(shop.member()))
    assert row.state == ("making" if makes else "made")
    assert operations.has_discount(row) is makes
    assert bool(shop.effects(operations.EFFECT, row.id)) is makes


BAD = (
    " ", "friend", "friend@", "@host.com", "a@b", "a@localhost", "a@[127.0.0.1]", "one@host.com,two@host.com",
    "friend@host.com\r\nBcc: all@host.com", "friend\x00@host.com", "fri end@host.com", "a" * 65 + "@host.com",
    "friend@" + "a" * 250 + ".com", "friend@" + "a" * 1_000_000, "frïend@host.com", "friend@ho\u202est.com",
    '"<script>"@host.com', "friend@-host.com", "friend@host.test",
)  # fmt: skip


@pytest.mark.parametrize("number", range(len(BAD)))
def test_hostile_addresses(shop: Desk, number: int) -> None:
    code = shop.code(shop.member())
    with pytest.raises(InvalidInput) as error:
        shop.claim(code, BAD[number])
    assert error.value.code == "bad_email"
    assert error.value.detail == "This isn't an e-mail address we can use. Please check it, such as anna@example.com."
    assert shop.claims() == []


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_an_address_is_plain_ascii_or_refused(text: str) -> None:
    try:
        found = rules.address(text)
    except InvalidInput:
        return
    assert found.isascii()
    assert found.isprintable()
    assert found.count("@") == 1
    assert rules.address(found) == found


def test_an_international_domain_is_kept_as_dns_writes_it() -> None:
    assert rules.address("Anna@Bücher.de") == "anna@xn--bcher-kva.de"


@pytest.mark.parametrize(
    ("code", "told"),
    [("NOSUCHCODE", "unknown_code"), ("", "unknown_code"), ("' OR 1=1", "unknown_code"), ("\x00" * 9, "unknown_code")],
)
def test_codes_that_are_none(shop: Desk, code: str, told: str) -> None:
    assert refused(lambda: shop.claim(code)) == told


def test_a_mistyped_code_is_suggested(shop: Desk) -> None:
    shop.choose(shop.member(), "WINTERANNA")
    with pytest.raises(NotFound) as error:
        shop.claim("WINTERANA")
    assert error.value.extra == {"suggestion": "WINTERANNA"}


def test_consent_comes_first(shop: Desk) -> None:
    code = shop.code(shop.member())
    assert refused(lambda: shop.claim(code, consent="  ")) == "no_consent"


def test_ones_own_code(shop: Desk) -> None:
    code = shop.code(shop.member(email="anna.noor@gmail.com"))
    assert refused(lambda: shop.claim(code, "anna.noor@gmail.com")) == "own_code"
    assert refused(lambda: shop.claim(code, "AnnaNoor+shop@googlemail.com")) == "own_code"


def test_a_partners_own_code(shop: Desk) -> None:
    shop.partner("LENALENA", email="lena@example.com")
    assert refused(lambda: shop.claim("LENALENA", "Lena@example.com")) == "own_code"


def test_existing_customers_are_told_kindly(shop: Desk) -> None:
    code, known = shop.code(shop.member()), shop.email()
    shop.member("Ben", known, ordered=True)
    with pytest.raises(Conflict) as error:
        shop.claim(code, known.upper())
    assert error.value.code == "existing_customer"
    assert error.value.detail.startswith("You're already with us, so this is for new customers only.")


def test_guests_who_ordered_are_customers_too(shop: Desk) -> None:
    code, known = shop.code(shop.member()), shop.email()
    with shop.open() as session:
        session.add(Order(shop_id=shop.shop, order_id=1, guest_email=known, settled_at=NOW))
    assert refused(lambda: shop.claim(code, known)) == "existing_customer"


def test_members_who_never_ordered_may_claim(shop: Desk) -> None:
    code, known = shop.code(shop.member()), shop.email()
    shop.member("Ben", known)
    assert shop.claim(code, known).state == "making"


def test_claiming_again_is_the_same_claim(shop: Desk) -> None:
    anna = shop.member("Anna")
    first = shop.claim(shop.code(anna), "sam.friend+x@gmail.com")
    shop.choose(anna, "ANNANEW")
    again = shop.claim("ANNANEW", "Samfriend@gmail.com", wants_news=True)
    assert (again.id, again.discount, again.wants_news) == (first.id, first.discount, True)
    assert len(shop.claims()) == 1
    assert shop.timeline(anna).count("referral.claimed") == 1


def test_the_last_referrer_counts(shop: Desk) -> None:
    anna, ben, friend = shop.member("Anna"), shop.member("Ben"), shop.email()
    first = shop.claim(shop.code(anna), friend)
    second = shop.claim(shop.code(ben), friend)
    assert second.discount != first.discount
    assert [(row.state, row.ended_at is None) for row in shop.claims()] == [("ended", False), ("making", True)]
    assert shop.timeline(anna) == ["referral.claimed", "referral.claim_ended"]
    assert shop.timeline(ben) == ["referral.claimed"]


def test_an_address_is_one_friend_however_many_claim_at_once(shop: Desk) -> None:
    codes, friend = [shop.code(shop.member(name)) for name in ("Anna", "Ben")], shop.email()
    assert at_once(*[lambda code=code: shop.claim(code, friend) for code in codes * 4]) == []
    rows = shop.claims()
    assert len([row for row in rows if row.ended_at is None]) == 1
    assert len({row.discount for row in rows}) == len(rows)


def test_a_code_is_used_once(shop: Desk) -> None:
    anna, friend = shop.member("Anna"), shop.email()
    row = shop.claim(shop.code(anna), friend)
    with shop.open() as session:
        operations.mark_used(session, shop.shop, [row.id])
        operations.mark_used(session, shop.shop, [row.id])
    assert shop.read(row).state == "used"
    assert shop.timeline(anna) == ["referral.claimed", "referral.claim_used"]
    assert shop.claim(shop.code(anna), friend).id != row.id  # a customer by now, once their order is known to us


def test_claims_end_with_their_days(shop: Desk) -> None:
    code, friend = shop.code(shop.member()), shop.email()
    row = shop.claim(code, friend)
    with shop.open() as session:
        assert operations.expire(session, row.expires_at - timedelta(seconds=1)) == 0
    with shop.open() as session:
        assert operations.expire(session, row.expires_at) == 1
    after = shop.read(row)
    assert (after.state, after.ended_at) == ("ended", row.expires_at)
    with clock.fixed_at(row.expires_at):
        assert shop.claim(code, friend).id != row.id


def test_a_claim_that_is_over_but_not_ended_yet_is_over(shop: Desk) -> None:
    code, friend = shop.code(shop.member()), shop.email()
    row = shop.claim(code, friend)
    with clock.fixed_at(row.expires_at):
        assert shop.claim(code, friend).id != row.id
    assert shop.read(row).state == "ended"


def test_a_claim_whose_effect_gave_up_fails_with_its_error(shop: Desk) -> None:
    code, friend = shop.code(shop.member()), shop.email()
    row = shop.claim(code, friend)
    with shop.open() as session:
        gave_up = sa.update(effects.Effect).where(effects.Effect.target == str(row.id))
        session.execute(gave_up.values(state="failed", error="Shopify does not answer; try again"))
    with shop.open() as session:
        assert operations.give_up(session) == 1
        assert operations.give_up(session) == 0
    after = shop.read(row)
    assert (after.state, after.error) == ("failed", "Shopify does not answer; try again")
    assert shop.effects(operations.EFFECT, row.id) == [("waiting", None)]  # what was made after all is ended
    assert shop.claim(code, friend).state == "making"


# How often.


def test_a_thousand_claims_from_one_address(shop: Desk) -> None:
    code = shop.code(shop.member())
    told: list[str] = []
    for number in range(1000):
        try:
            shop.claim(code, f"bot{number}@example.com", network="n1")
            told.append("made")
        except TooMany as error:
            told.append(f"{error.code} {error.retry_after}")
    assert told.count("made") == operations.MOST_OF_NETWORK
    assert set(told) == {"made", "too_many_claims 3600"}
    assert len(shop.claims()) == operations.MOST_OF_NETWORK
    shop.claim(code, network="n2")  # others are not concerned


def test_at_once_they_are_no_more(shop: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "MOST_OF_NETWORK", 3)
    code = shop.code(shop.member())
    calls = [lambda n=n: shop.claim(code, f"at-once{n}@example.com", network="n3") for n in range(8)]
    errors = at_once(*calls)
    assert len(errors) == 5
    assert {type(error).__name__ for error in errors} == {"TooMany"}, errors
    assert len(shop.claims()) == 3


def test_guessing_who_is_a_customer_is_slowed_down(shop: Desk) -> None:
    """Refused tries leave nothing in the database, and count all the same."""
    code, known = shop.code(shop.member()), shop.email()
    shop.member("Ben", known, ordered=True)
    told = [refused(lambda: shop.claim(code, known, visitor="v1")) for _ in range(limits.MOST["visitor"] + 2)]
    assert told == ["existing_customer"] * limits.MOST["visitor"] + ["too_many_claims"] * 2


def test_without_redis_claims_that_were_made_still_count(shop: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "MOST_OF_NETWORK", 2)
    monkeypatch.setattr(limits, "_count", _away)
    code = shop.code(shop.member())
    told = [shop.claim(code, network="n4"), shop.claim(code, network="n4")]
    assert refused(lambda: shop.claim(code, network="n4")) == "too_many_claims"
    assert [row.state for row in told] == ["making", "making"]


def _away(_: str) -> int:
    raise limits.redis.ConnectionError("away")


def test_one_code_on_a_site_for_coupons(shop: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "MOST_OF_CODE", 2)
    code = shop.code(shop.member())
    shop.partner("PARTNER77")
    for number in range(2):
        shop.claim(code, network=f"m{number}")
    assert refused(lambda: shop.claim(code)) == "too_many_claims"
    assert [shop.claim("PARTNER77").state for _ in range(3)] == ["making"] * 3


def test_no_shop_sees_anothers(shop: Desk) -> None:
    other = Desk(shop.house, shop.house.open_shop())
    code = shop.code(shop.member())
    row = shop.claim(code)
    assert refused(lambda: other.claim(code)) == "unknown_code"
    with other.open() as session:
        assert session.scalars(sa.select(ReferralClaim).where(ReferralClaim.id == row.id)).all() == []


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1)), max_size=6))
def test_in_any_order_one_is_open_for_the_last_referrer(shop: Desk, steps: list[tuple[int, int]]) -> None:
    people = [shop.member(name) for name in ("Anna", "Ben", "Cleo")]
    codes, friends = [shop.code(one) for one in people], [shop.email(), shop.email()]
    last: dict[int, int] = {}
    for referrer, friend in steps:
        shop.claim(codes[referrer], friends[friend])
        last[friend] = referrer
    still = {crypto.decrypt(row.email): row.code_key for row in shop.claims() if row.ended_at is None}
    theirs = {friend: key for friend, key in still.items() if friend in friends}
    assert theirs == {friends[friend]: key_of(codes[referrer]) for friend, referrer in last.items()}


# What the law asks for.


def test_a_former_partner_is_forgotten_and_one_of_today_is_not(shop: Desk) -> None:
    here, gone = shop.partner("STAYS1", email="stays@example.com"), shop.partner("GOES11", email="goes@example.com")
    with shop.open() as session:
        partners.end(session, shop.shop, gone.id, actor="test")
    with shop.open() as session:
        partners.forget(session, shop.shop, [mails.index("Goes@example.com"), mails.index("stays@example.com")])
    with shop.open() as session:
        told = [partners.find(session, shop.shop, row.id) for row in (here, gone)]
    assert [(row.name, crypto.decrypt(row.email)) for row in told] == [("Lena Example", "stays@example.com"), ("", "")]
    assert mails.index("goes@example.com") != told[1].email_index
