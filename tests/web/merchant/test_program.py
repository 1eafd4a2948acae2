"""The program as a form: read back without a loss, previewed, published, gone back to; one draft for all."""

import re
from typing import Any

from werkzeug.datastructures import MultiDict

from loyalty.program import Program, demo_program
from tests.web.merchant.conftest import Office
from web.merchant.sentences import applied

FIELD = re.compile(r"<input\b[^>]*>|<select\b.*?</select>", re.S)


def fields_of(page: str) -> list[tuple[str, str]]:
    """The fields of the program's form as a browser would send them."""
    form = page.split('id="program-form"')[1].split("</form>")[0]
    sent = []
    for text in FIELD.findall(form):
        name = re.search(r' name="([^"]+)"', text)
        if not name or ('type="checkbox"' in text and " checked" not in text):
            continue
        chosen = re.search(r'<option value="([^"]*)" selected', text) if text.startswith("<select") else None
        value = chosen or re.search(r' value="([^"]*)"', text)
        sent.append((name[1], value[1] if value else ""))
    return sent


def send(office: Office, path: str, changes: dict[str, str] | None = None) -> Any:
    fields: MultiDict[str, str] = MultiDict(fields_of(office.text("/program")))
    for name, value in (changes or {}).items():
        fields[name] = value
    return office.post(path, **{name: fields.getlist(name) for name in fields})


def test_a_form_that_nobody_changed_changes_nothing(office: Office) -> None:
    page = office.text("/program")
    form: MultiDict[str, str] = MultiDict(fields_of(page))
    before = demo_program().model_dump(mode="json")
    assert set(form.getlist("section")) == {
        "name", "earning", "bonuses", "activities", "rewards", "ladder", "referral", "expiry"
    }  # fmt: skip
    made = applied(before, form, "USD")
    assert Program.model_validate(made) == demo_program()


def test_the_preview_follows_the_form_and_keeps_nothing(office: Office) -> None:
    seen = send(office, "/program/preview", {"orders.points_per_unit": "2"})
    assert seen.status_code == 200
    assert "$80.00 spent by a member in Advocate earns 200 points." in seen.text
    assert "Points for every $1.00 spent: Insider 2, Advocate 2.5, Ambassador 3." in seen.text
    assert "$80.00 spent by a member in Advocate earns 100 points." in office.text("/program")
    for name, value in [("orders.points_per_unit", "many"), ("tiers.advocate.threshold", "-5"), ("expiry.length", "")]:
        wrong = send(office, "/program/preview", {name: value})
        assert (wrong.status_code, "Not valid yet" in wrong.text) == (200, True), name


def test_from_a_draft_to_a_version_and_back(office: Office) -> None:
    added = {"rewards.new.name": "Coffee on us", "rewards.new.cost": "1,200", "rewards.new.kind": "custom"}
    assert send(office, "/program", {"orders.points_per_unit": "2", **added}).status_code == 303
    review = office.text("/program/review")
    assert "Orders now earn 2 per currency unit instead of 1." in review
    assert "New: Coffee on us, 1,200 points." in review
    seen = re.search(r'name="seen" value="([^"]+)"', review)
    assert seen
    assert office.post("/program/publish", when="now", seen=seen[1], note="Spring").status_code == 303
    document = office.store.get("/program").json["document"]
    assert (document["orders"]["points_per_unit"], document["rewards"][-1]["key"]) == ("2", "coffee-on-us")
    assert "Spring" in office.text("/program/history")
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
    form: MultiDict[str, str] = MultiDict(fields_of(office.text("/program")))
    sent = {name: form.getlist(name) for name in form}
    assert office.post("/program", **sent).status_code == 303
    assert office.post("/program", **sent).status_code == 409
    assert office.post("/program", **(sent | {"seen": "yesterday"})).status_code == 422
    assert office.post("/program/discard").status_code == 303
    assert office.get("/program/review").status_code == 404


def test_a_draft_that_is_not_valid_is_kept_but_not_published(office: Office) -> None:
    assert send(office, "/program", {"rewards.5-off.cost": "free"}).status_code == 303
    assert 'value="free"' in office.text("/program")
    assert "Not valid yet" in office.text("/program/review")
    assert office.post("/program/publish", when="now").status_code == 422
