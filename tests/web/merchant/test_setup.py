"""From the first look to a live program in five steps, with nothing to write."""

import re

import pytest
from werkzeug.datastructures import MultiDict

from tests.web.merchant.conftest import Office
from tests.web.merchant.test_program import FIELD
from web.merchant.setup import STEPS


def fields_of(page: str) -> MultiDict[str, str]:
    form = page.split('id="setup-form"')[1].split("</form>")[0]
    sent: MultiDict[str, str] = MultiDict()
    for text in FIELD.findall(form):
        name = re.search(r' name="([^"]+)"', text)
        if name and not ('type="checkbox"' in text and " checked" not in text):
            chosen = re.search(r'<option value="([^"]*)" selected', text) if text.startswith("<select") else None
            value = chosen or re.search(r' value="([^"]*)"', text)
            sent.add(name[1], value[1] if value else "")
    return sent


def test_five_steps_lead_to_a_live_program(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.merchant.setup.BY_ITSELF", ("test",))  # who published the store's first program
    assert "Five short steps" in office.text("")
    at = "/setup"
    for step in STEPS:
        fields = fields_of(office.text(at))
        if step.key == "points":
            fields["joining.points"] = "80"
            seen = office.post("/setup/points/preview", **{name: fields.getlist(name) for name in fields})
            assert '<p class="m-big">80</p>' in seen.text
        sent = office.post(f"/setup/{step.key}", **{name: fields.getlist(name) for name in fields})
        assert sent.status_code == 303, sent.text
        at = sent.headers["Location"].removeprefix("/merchant").split("?")[0]
    assert at == ""
    document = office.store.get("/program").json["document"]
    assert document["joining"]["points"] == 80
    assert len(document["rewards"]) == 3
    assert "Five short steps" not in office.text("")
    assert office.get("/setup/nothing").status_code == 404
