"""Members' codes: made once however many ask, chosen within limits, retired and still leading home."""

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa

from core import clock
from core.errors import Conflict, InvalidInput, NotFound, Unavailable
from loyalty.models import Member
from referrals import members, offers, vanity
from referrals.models import ReferralCode
from shops.models import Shop
from tests.referrals.claims.rig import NOW, Desk
from tests.webhooks.rig import at_once


def refused(work: object) -> str:
    with pytest.raises((Conflict, InvalidInput, NotFound)) as error:
        work()  # type: ignore[operator]
    return error.value.code


def test_a_code_is_made_at_first_asking_and_stays(shop: Desk) -> None:
    anna = shop.member("Anna")
    code = shop.code(anna)
    assert code.startswith("ANNA")
    assert shop.code(anna) == code


def test_many_are_made_in_a_few_statements(shop: Desk) -> None:
    wanted = [shop.member("Sam") for _ in range(120)]
    with shop.open() as session:
        asked: list[str] = []
        sa.event.listen(session.connection(), "before_cursor_execute", lambda *told: asked.append(told[2]))
        made = members.ensure_codes(session, shop.shop, wanted)
        assert len(asked) < 25  # tries for those whose code was taken among them
    assert {row.member_id for row in made.values()} == set(wanted)
    assert len({row.key for row in made.values()}) == len(wanted)


def test_two_who_ask_at_once_get_the_same(shop: Desk) -> None:
    people = [shop.member(name) for name in ("Anna", "Anna", None, "Bo")]
    found: list[set[str]] = []

    def ask() -> None:
        with shop.open() as session:
            made = members.ensure_codes(session, shop.shop, people)
            found.append({row.key for row in made.values()})

    assert at_once(*[ask] * 6) == []
    assert len(found) == 6
    assert all(one == found[0] and len(one) == len(people) for one in found)


def test_the_same_name_in_another_shop_is_another_matter(shop: Desk, house: object) -> None:
    other = Desk(shop.house, shop.house.open_shop())
    shop.choose(shop.member(), "SAME1")
    other.choose(other.member(), "SAME1")


@pytest.mark.parametrize("gone", ["closed_at", "erased_at", "merged_into"])
def test_who_has_left_brings_nobody(shop: Desk, gone: str) -> None:
    anna = shop.member("Anna")
    code = shop.code(anna)
    with shop.open() as session:
        value = shop.member("Heir") if gone == "merged_into" else NOW
        session.execute(sa.update(Member).where(Member.id == anna).values({gone: value}))
    with shop.open() as session:
        assert members.ensure_codes(session, shop.shop, [anna, 10**12]).keys() <= {anna}
        if gone != "merged_into":
            assert refused(lambda: offers.referrer_of(session, shop.shop, code)) == "code_retired"


def test_choosing_retires_the_old_one(shop: Desk) -> None:
    anna = shop.member("Anna")
    made = shop.code(anna)
    assert shop.choose(anna, " anna-10 ") == "ANNA-10"
    assert shop.codes(anna) == [(made, False), ("ANNA-10", True)]
    assert shop.code(anna) == "ANNA-10"
    assert shop.timeline(anna) == ["referral.code_chosen"]


def test_choosing_what_one_has_changes_nothing(shop: Desk) -> None:
    anna = shop.member("Anna")
    for _ in range(5):
        shop.choose(anna, "ANNA77")
    assert shop.choose(anna, "ANNA-77") == "ANNA-77"  # another spelling of the same
    assert shop.timeline(anna) == ["referral.code_chosen"] * 2
    assert [code for code, _ in shop.codes(anna)] == ["ANNA-77"]


def test_a_code_is_one_persons_whatever_it_looks_like(shop: Desk) -> None:
    shop.choose(shop.member("Olli"), "OLLI10")
    assert refused(lambda: shop.choose(shop.member("Ben"), "0LLl-1O")) == "code_taken"


def test_a_retired_code_is_still_nobody_elses(shop: Desk) -> None:
    anna = shop.member("Anna")
    shop.choose(anna, "ANNA88")
    shop.choose(anna, "ANNA99")
    assert refused(lambda: shop.choose(shop.member("Ben"), "ANNA88")) == "code_taken"
    assert shop.choose(anna, "ANNA88") == "ANNA88"


def test_three_new_codes_a_year(shop: Desk) -> None:
    anna = shop.member("Anna")
    for number in (1, 2, 3):
        shop.choose(anna, f"ANNIE{number}{number}")
    with pytest.raises(Conflict) as error:
        shop.choose(anna, "ANNIE44")
    assert error.value.code == "code_changes"
    assert error.value.extra["again_at"]
    assert shop.choose(anna, "ANNIE22") == "ANNIE22"  # one of theirs
    with clock.fixed_at(clock.now() + timedelta(days=366)):
        assert shop.choose(anna, "ANNIE44") == "ANNIE44"


def test_two_who_choose_the_same_at_once(shop: Desk) -> None:
    people = [shop.member("Kim") for _ in range(4)]
    won: list[str] = []
    lock = threading.Lock()

    def choose(member_id: int) -> None:
        code = shop.choose(member_id, "KIMKIM")
        with lock:
            won.append(code)

    errors = at_once(*[lambda member_id=member_id: choose(member_id) for member_id in people])
    assert won == ["KIMKIM"]
    assert [error.code for error in errors if isinstance(error, Conflict)] == ["code_taken"] * 3


def test_retiring_gives_a_new_one(shop: Desk) -> None:
    anna = shop.member("Anna")
    old = shop.code(anna)
    with shop.open() as session:
        new = members.retire(session, shop.shop, anna, actor="test").code
    assert new != old
    assert shop.codes(anna) == [(old, False), (new, True)]


def test_a_retired_code_leads_home_for_the_window(shop: Desk) -> None:
    anna = shop.member("Anna")
    old = shop.code(anna)
    shop.choose(anna, "ANNAROSE")
    with shop.open() as session:
        assert offers.referrer_of(session, shop.shop, old).owner == (anna, None)
    with clock.fixed_at(clock.now() + timedelta(days=31)), shop.open() as session:
        assert refused(lambda: offers.referrer_of(session, shop.shop, old)) == "code_retired"
        assert offers.referrer_of(session, shop.shop, "anna-rose").name == "Anna"


@pytest.mark.parametrize(
    ("typed", "suggestion"), [("MARIGOLD6", "MARIGOLD5"), ("MARIGOLD", "MARIGOLD5"), ("MARI", None), ("", None)]
)
def test_an_unknown_code_says_what_may_have_been_meant(shop: Desk, typed: str, suggestion: str | None) -> None:
    shop.choose(shop.member("Mari"), "MARIGOLD5")
    with shop.open() as session, pytest.raises(NotFound) as error:
        members.find(session, shop.shop, typed)
    assert (error.value.code, error.value.extra.get("suggestion")) == ("unknown_code", suggestion)
    assert "Mari " not in error.value.detail


def test_of_several_near_ones_none_is_suggested(shop: Desk) -> None:
    for name in ("PINE71", "PINE72"):
        shop.choose(shop.member("P"), name)
    with shop.open() as session, pytest.raises(NotFound) as error:
        members.find(session, shop.shop, "PINE73")
    assert "suggestion" not in error.value.extra


def test_referrals_switched_off(shop: Desk) -> None:
    anna = shop.member("Anna")
    shop.publish(enabled=False)
    assert refused(lambda: shop.choose(anna, "ANNA55")) == "referrals_off"


def test_the_link(shop: Desk) -> None:
    anna = shop.member("Anna")
    shop.choose(anna, "ANNA-5")
    with shop.open() as session:
        row = members.code_of(session, shop.shop, anna)
        here = session.get_one(Shop, shop.shop)
        name = here.domain.removesuffix(".myshopify.com")
        assert members.link(here, row).endswith(f"/s/{name}/r/ANNA-5")


def test_a_code_must_not_be_a_discount_of_the_shop(desk: Desk) -> None:
    anna = desk.member("Anna")
    desk.partner("SUMMERLENA")
    desk.work()
    with desk.open() as session:  # the code is free with us, and still taken in the store
        session.execute(sa.delete(ReferralCode).where(ReferralCode.code == "SUMMERLENA"))
    assert (
        refused(lambda: vanity.change(desk.house.database, desk.shop, anna, "summerlena", actor="test")) == "code_taken"
    )
    assert vanity.change(desk.house.database, desk.shop, anna, "ANNAPURNA", actor="test").code == "ANNAPURNA"


def test_while_shopify_is_away_nothing_is_chosen(desk: Desk) -> None:
    anna = desk.member("Anna")
    before = desk.code(anna)
    desk.fault("503", times=9)
    with pytest.raises(Unavailable) as error:
        vanity.change(desk.house.database, desk.shop, anna, "AWAYANNA", actor="test")
    desk.calm()
    assert (error.value.code, desk.code(anna)) == ("code_not_checked", before)
