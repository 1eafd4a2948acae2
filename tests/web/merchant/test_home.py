"""The first page's numbers, over each time, as charts, tables and a spreadsheet."""

import json

from tests.web.merchant.conftest import Office
from tests.web.stores import DAY, NOW


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
    assert "100.0%" in page  # of the one member who bought, all came back
    for days in ("7", "90", "365", "x", "-1"):
        assert office.get("", days=days).status_code == 200
    url = json.loads(office.text("/downloads/numbers", days="7"))["url"]
    lines = store.client.get(url).text.splitlines()
    assert lines[0].endswith("day,joined,issued,redeemed,expired,adjusted")
    assert len(lines) == 15
