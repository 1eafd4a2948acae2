"""What the API tells of points that will expire."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core import clock
from core.db import database
from loyalty import programs
from loyalty.expiry import upkeep
from loyalty.program import Expiry
from tests.web.stores import DAY, NOW, Store


def publish(store: Store, expiry: Expiry | None) -> None:
    """As if it had been in force for a year and more."""
    with database().transaction(store.shop_id) as session:
        program = programs.load(session, [store.shop_id]).in_force(store.shop_id, NOW).program
        changed = program.model_copy(update={"expiry": expiry})
        programs.publish(session, store.shop_id, changed, effective_from=NOW - 399 * DAY, actor="test")


def shown(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


@pytest.fixture
def member(store: Store) -> dict[str, Any]:
    """Joined 30 days ago (50 points), 80 points 3 days ago, 40 points 2 days ago."""
    noor = store.customer(1)
    store.settle(store.order(1, noor), store.order(2, noor, 40_00, at=NOW - 2 * DAY))
    return store.member_of(noor)


def test_by_inactivity_all_points_expire_together(store: Store, member: dict[str, Any]) -> None:
    at = NOW - 2 * DAY + 365 * DAY
    assert member["expiring"] == {"points": 170, "at": shown(at)}
    answer = store.get(f"/members/{member['id']}/expiry").json
    assert answer["policy"] == {"kind": "inactivity", "months": None, "days": 365}
    text = f"170 points expire on {at.day} {at:%B %Y}, unless you earn or spend points before then."
    assert answer["items"] == [{"points": 170, "at": shown(at), "text": text}]


def test_lots_expire_one_after_another_page_by_page(store: Store, member: dict[str, Any]) -> None:
    publish(store, Expiry(kind="lot", days=90))
    wanted = [(50, NOW + 60 * DAY), (80, NOW + 87 * DAY), (40, NOW + 88 * DAY)]
    assert store.get(f"/members/{member['id']}").json["expiring"] == {"points": 50, "at": shown(wanted[0][1])}
    found, cursor = [], {}
    for _ in wanted:
        page = store.get(f"/members/{member['id']}/expiry", limit=1, **cursor).json
        found += [(item["points"], item["at"]) for item in page["items"]]
        cursor = {"cursor": page["next"]}
    assert found == [(points, shown(at)) for points, at in wanted]
    assert page["next"] is None


def test_what_is_told_is_what_the_job_does(store: Store, member: dict[str, Any]) -> None:
    publish(store, Expiry(kind="lot", days=90))
    for item in store.get(f"/members/{member['id']}/expiry").json["items"]:
        at = datetime.fromisoformat(item["at"])
        balances = []
        for moment in (at - timedelta(seconds=1), at):
            with clock.fixed_at(moment):
                upkeep.expire(database())
                balances.append(store.get(f"/members/{member['id']}").json["points"]["available"])
        assert balances[0] - balances[1] == item["points"]
    newest = store.get(f"/members/{member['id']}/postings", limit=1).json["items"][0]
    assert (newest["kind"], newest["points"], newest["occurred_at"]) == ("expiry", -40, item["at"])


def test_points_that_never_expire(store: Store, member: dict[str, Any]) -> None:
    publish(store, None)
    assert store.get(f"/members/{member['id']}").json["expiring"] is None
    assert store.get(f"/members/{member['id']}/expiry").json == {"policy": None, "items": [], "next": None}


def test_nobody_else_can_ask(store: Store, other_store: Store, member: dict[str, Any]) -> None:
    assert other_store.get(f"/members/{member['id']}/expiry").status_code == 404
    assert store.get("/members/999/expiry").status_code == 404
    assert store.get(f"/members/{member['id']}/expiry", cursor="forged").status_code == 400
