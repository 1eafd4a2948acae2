"""The first page's numbers, over each time, as charts, tables and a spreadsheet."""

import json
import re
from zoneinfo import ZoneInfo

from core import clock
from core.db import database
from loyalty import counting
from tests.web.merchant.conftest import Office
from tests.web.merchant.test_arrival import past
from tests.web.stores import DAY, NOW
from wallet_passes.models import AppleRegistration


def test_an_empty_shop_says_what_will_be_here(office: Office) -> None:
    page = office.text("")
    assert "Nobody has joined yet" in page
    assert '<svg class="m-chart"' in page


def test_the_numbers_of_a_time_beside_the_time_before(office: Office) -> None:
    store = office.store
    noor = store.customer(1, "noor@example.com")
    store.settle(store.order(1, noor, at=NOW - 40 * DAY), store.order(2, noor, 120_00))
    member = store.member_of(noor)["id"]
    office.post(f"/members/{member}/adjust", points="500", way="add", reason="x", key="k")
    store.post(f"/members/{member}/rewards", {"reward": "5-off"})
    page = office.text("")
    assert "120 points" in page  # issued in the last 30 days
    assert "500 points" in page  # redeemed
    assert "100%" in page  # of the one member who bought, all came back
    assert "1 of 1, before: 0%" in page
    assert "before: 130 points" in page  # issued in the 30 days before
    for days in ("7", "90", "365", "x", "-1"):
        assert office.get("", days=days).status_code == 200
    lines = taken(office, "numbers", days="7")
    assert lines[0] == "day,joined,issued,redeemed,expired,adjusted"
    assert len(lines) == 15


def taken(office: Office, name: str, **asked: str) -> list[str]:
    """The lines of a file, as a browser fetches it."""
    url = json.loads(office.text(f"/downloads/{name}", **asked))["url"]
    answer = office.store.client.get(url)
    assert answer.status_code == 200
    return str(answer.text).lstrip("\ufeff").splitlines()


def test_each_number_is_taken_away_by_itself_and_says_what_it_means(office: Office) -> None:
    store = office.store
    noor = store.customer(1, "noor@example.com")
    store.settle(store.order(1, noor, at=NOW), store.order(2, noor, at=NOW - 9 * DAY))
    page = office.text("", days="7")
    keys = re.findall(r"downloads/number\?key=(\w+)&amp;days=7", page)
    assert len(keys) == page.count('role="tooltip"') == 9
    sheets = {key: taken(office, "number", key=key, days="7") for key in keys}
    today, before = NOW.date(), (NOW - 7 * DAY).date()
    assert sheets["issued"][0] == "day,issued,day_before,issued_before"
    assert sheets["issued"][-1] == f"{today},80,{before},0"
    assert len(sheets["issued"]) == 8
    assert sheets["outstanding"][-1] == f"{today},210,{before},130"
    assert sheets["repeat"][1] == "members,1,1,1.0000,1,0,0.0000"
    assert sheets["tiers"][-1] == "Insider,1"
    assert office.store.client.get(json.loads(office.text("/downloads/number", key="x"))["url"]).status_code == 404


def test_wallets_are_told_beside_what_they_were(office: Office) -> None:
    now, shop_id = clock.now(), office.store.shop_id
    lives = {"gone": (40, now - 5 * DAY), "kept": (40, None), "new": (3, None)}
    with database().transaction(shop_id) as session:
        for serial, (came, went) in lives.items():
            told = {"registered_at": now - came * DAY, "removed_at": went}
            session.add(AppleRegistration(shop_id=shop_id, device=serial, serial=serial, **told))
    assert taken(office, "number", key="wallets", days="7")[1:] == ["members,2,2", "apple,2,2", "google,0,0"]
    assert taken(office, "number", key="wallets", days="90")[1] == "members,2,0"


def test_an_arriving_past_is_never_told_as_nobody(office: Office) -> None:
    past(office)
    page = office.text("")
    assert "Nobody has joined yet" not in page
    assert "your customers are still on their way in" in page
    assert re.search(r'id="numbers"[^>]* hx-trigger="load delay:5s"', page)
    counted(office)  # a look that is old by the time the next customers are here
    office.store.settle(office.store.order(1, office.store.customer(1, "noor@example.com")))
    past(office, state="done", finished_at=clock.now())
    followed = office.text("/numbers", days="30")
    assert "1 member in all" in followed
    assert "hx-trigger" not in followed


def counted(office: Office) -> None:
    with database().transaction(office.store.shop_id) as session:
        counting.look(session, office.store.shop_id, ZoneInfo("UTC"), clock.now())
