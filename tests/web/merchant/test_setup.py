"""From the first look to a live program in five steps, with nothing to write."""

import pytest

from tests.web.merchant.conftest import Office
from tests.web.merchant.forms import fields_of
from web.merchant.setup import STEPS


def test_five_steps_lead_to_a_live_program(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.merchant.setup.BY_ITSELF", ("test",))  # who published the store's first program
    assert "Five short steps" in office.text("")
    at = "/setup"
    for step in STEPS:
        fields = fields_of(office.text(at), "setup-form")
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


def test_a_step_is_left_once_nothing_in_it_is_wrong(office: Office) -> None:
    fields = fields_of(office.text("/setup/rewards"), "setup-form")
    fields["rewards.5-off.cost"] = "free"
    sent = office.post("/setup/rewards", **{name: fields.getlist(name) for name in fields})
    assert sent.headers["Location"].removeprefix("/merchant").split("?")[0] == "/setup/rewards"
    assert 'id="f-rewards.5-off.cost-fault"' in office.text("/setup/rewards")
    fields = fields_of(office.text("/setup/rewards"), "setup-form")
    fields["rewards.5-off.kind"], fields["rewards.5-off.cost"] = "free_product", "500"
    office.post("/setup/rewards", **{name: fields.getlist(name) for name in fields})
    assert 'id="f-rewards.5-off.products-fault"' in office.text("/setup/rewards")  # all a kind needs is asked here
    fields = fields_of(office.text("/setup/tiers"), "setup-form")  # what is wrong elsewhere holds nobody up
    sent = office.post("/setup/tiers", **{name: fields.getlist(name) for name in fields})
    assert sent.headers["Location"].removeprefix("/merchant").split("?")[0] == "/setup/rewards"
    assert "This can’t be published yet" in office.text("/setup/live")
