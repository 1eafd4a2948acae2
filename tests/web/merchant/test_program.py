"""The program as a form: read back without a loss, previewed, published, gone back to; one draft for all."""

import re
from typing import Any

from tests.web.merchant.conftest import Office
from tests.web.merchant.forms import fields_of


def send(office: Office, path: str, changes: dict[str, str] | None = None) -> Any:
    fields = fields_of(office.text("/program"))
    for name, value in (changes or {}).items():
        fields[name] = value
    return office.post(path, **{name: fields.getlist(name) for name in fields})


def test_the_preview_follows_the_form_and_keeps_nothing(office: Office) -> None:
    seen = send(office, "/program/preview", {"orders.points_per_unit": "2"})
    assert seen.status_code == 200
    assert "$80.00 spent by a member in Advocate earns 200 points." in seen.text
    assert "Points for every $1.00 spent: Insider 2, Advocate 2.5, Ambassador 3." in seen.text
    assert "$80.00 spent by a member in Advocate earns 100 points." in office.text("/program")
    for name, value in [
        ("orders.points_per_unit", "many"),
        ("ladder.tiers.advocate.threshold", "-5"),
        ("expiry.days", ""),
    ]:
        wrong = send(office, "/program/preview", {name: value})
        assert (wrong.status_code, "Not valid yet" in wrong.text) == (200, True), name


def test_from_a_draft_to_a_version_and_back(office: Office) -> None:
    added = {"rewards.+.name": "Coffee on us", "rewards.+.cost": "1,200", "rewards.+.kind": "custom"}
    assert send(office, "/program", {"orders.points_per_unit": "2", **added}).status_code == 303
    review = office.text("/program/review")
    assert "Orders now earn 2 per currency unit instead of 1." in review
    assert "New: Coffee on us, 1,200 points." in review
    seen = re.search(r'name="seen" value="([^"]+)"', review)
    assert seen
    assert office.post("/program/publish", when="now", seen=seen[1], note="Spring").status_code == 303
    document = office.store.get("/program").json["document"]
    assert (document["orders"]["points_per_unit"], document["rewards"][-1]["key"]) == ("2", "coffee-on-us")
    history = office.text("/program/history")
    assert "Spring" in history
    assert re.search(r"<small>from [^<]+ · <bdi>you</bdi></small>", history)
    assert "Orders now earn 1 per currency unit instead of 2." in office.text("/program/versions/1")
    assert office.post("/program/versions/1/again").status_code == 303
    assert office.store.get("/program").json["document"]["orders"]["points_per_unit"] == "1"


def test_a_version_to_come_is_taken_back(office: Office) -> None:
    send(office, "/program", {"joining.points": "75"})
    assert office.post("/program/publish", when="at", at="2020-01-01T00:00").status_code == 422
    assert office.post("/program/publish", when="at", at="soon").status_code == 422
    assert office.post("/program/publish", when="at", at="2099-01-01T00:00").status_code == 303
    assert "Scheduled" in office.text("/program/history")
    assert office.post("/program/versions/2/withdraw").status_code == 303
    assert office.post("/program/versions/1/withdraw").status_code == 409


def test_two_who_edit_at_once_do_not_overwrite_each_other(office: Office) -> None:
    form = fields_of(office.text("/program"))
    sent = {name: form.getlist(name) for name in form}
    assert office.post("/program", **sent).status_code == 303
    assert office.post("/program", **sent).status_code == 409
    assert office.post("/program", **(sent | {"seen": "yesterday"})).status_code == 422
    assert office.post("/program/discard").status_code == 303
    assert office.get("/program/review").status_code == 404


def test_a_draft_that_is_not_valid_is_kept_but_not_published(office: Office) -> None:
    assert send(office, "/program", {"rewards.5-off.cost": "free"}).status_code == 303
    assert 'value="free"' in office.text("/program")
    assert "This can’t be published yet" in office.text("/program/review")
    assert office.post("/program/publish", when="now").status_code == 422
