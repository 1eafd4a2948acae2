"""The program over the API and on the command line: in force, drafted, checked, published, rolled back."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.loyalty.test_program import DEMO, changed
from tests.web.stores import DAY, NOW, Store

RAISED = changed("ladder.tiers.1.threshold", 600_00)
SENTENCE = "Advocate now starts at $600.00 instead of $500.00."


def put(store: Store, body: Any) -> Any:
    return store.client.put("/api/v1/program/draft", json=body, headers=store.headers)


def delete(store: Store, path: str) -> Any:
    return store.client.delete(f"/api/v1{path}", headers=store.headers)


def test_the_program_in_force(store: Store) -> None:
    told = store.get("/program").json
    assert (told["version"], told["state"], told["actor"], told["until"]) == (1, "in_force", "test", None)
    assert told["document"] == DEMO


def test_the_schema_is_open_to_everybody(store: Store) -> None:
    answer = store.client.get("/api/v1/program/schema.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/schema+json")
    assert set(answer.json["properties"]) == set(DEMO)


def test_from_the_draft_to_the_next_version(store: Store) -> None:
    assert store.get("/program/draft").json["code"] == "no_draft"
    first = put(store, {"document": changed("rewards.0.cost", 0)})
    assert (first.status_code, first.json["valid"], first.json["based_on"]) == (200, False, 1)
    assert first.json["errors"] == [{"field": "rewards › 5-off › cost", "message": "must be at least 1"}]
    second = put(store, {"document": RAISED, "updated_at": first.json["updated_at"]}).json
    assert (second["valid"], [change["text"] for change in second["changes"]]) == (True, [SENTENCE])
    assert store.get("/program/draft").json == second
    published = store.post("/program/publish", {"note": "Spring", "updated_at": second["updated_at"]})
    assert (published.status_code, published.json["version"]) == (201, 2)
    told = store.get("/program").json
    assert (told["version"], told["note"], told["document"]) == (2, "Spring", RAISED)
    assert told["actor"].startswith("api:")
    assert store.get("/program/draft").status_code == 404


def test_a_draft_that_somebody_else_changed(store: Store) -> None:
    seen = put(store, {"document": DEMO}).json["updated_at"]
    put(store, {"document": RAISED, "updated_at": seen})
    late = put(store, {"document": {}, "updated_at": seen})
    assert (late.status_code, late.json["code"]) == (409, "draft_changed")
    assert store.get("/program/draft").json["document"] == RAISED


def test_a_draft_discarded(store: Store) -> None:
    put(store, {"document": {}})
    assert [delete(store, "/program/draft").json for _ in range(2)] == [{"discarded": True}, {"discarded": False}]


def test_a_document_is_checked_and_tried_without_being_kept(store: Store) -> None:
    refused = store.post("/program/validate", {"document": {"name": "Beans"}}).json
    assert (refused["valid"], refused["errors"]) == (False, [{"field": "ladder", "message": "is missing"}])
    assert store.post("/program/validate", {"document": DEMO}).json["valid"]
    tried = store.post("/program/preview", {"document": RAISED}).json
    assert (tried["against"], [change["text"] for change in tried["changes"]]) == (1, [SENTENCE])
    generous = store.post("/program/preview", {"document": changed("rewards.1.cost", 10)}).json
    assert generous["warnings"] == [
        {"field": "rewards › 10-off", "message": "gives back 100% of what was spent to earn it"}
    ]
    assert store.post("/program/preview", {}).status_code == 404
    assert store.get("/program").json["version"] == 1


def test_publishing_what_is_no_program_names_every_fault(store: Store) -> None:
    refused = store.post("/program/publish", {"document": changed("rewards.0.cost", 0)})
    assert (refused.status_code, refused.json["code"]) == (422, "invalid_program")
    assert refused.json["detail"] == "rewards › 5-off › cost must be at least 1"
    assert refused.json["errors"] == [{"field": "rewards › 5-off › cost", "message": "must be at least 1"}]


def test_a_version_is_scheduled_and_withdrawn(store: Store) -> None:
    at = (NOW + 30 * DAY).isoformat()
    assert store.post("/program/publish", {"document": RAISED, "at": at}).json["version"] == 2
    listed = store.get("/program/versions").json["items"]
    assert [(item["version"], item["state"]) for item in listed] == [(1, "in_force"), (2, "scheduled")]
    assert listed[0]["until"] == listed[1]["effective_from"]
    assert store.get("/program/versions/2").json["document"] == RAISED
    assert delete(store, "/program/versions/2").json == {"withdrawn": 2}
    assert delete(store, "/program/versions/2").status_code == 404
    assert delete(store, "/program/versions/1").json["code"] == "program_in_force"


@pytest.mark.parametrize(
    "at", [(NOW - timedelta(seconds=1)).isoformat(), "0001-01-01T00:00:00+14:00"], ids=["just now", "year one"]
)
def test_a_version_never_starts_in_the_past(store: Store, at: str) -> None:
    refused = store.post("/program/publish", {"document": RAISED, "at": at})
    assert (refused.status_code, refused.json["code"]) == (422, "back_dated")


def test_rolling_back(store: Store) -> None:
    store.post("/program/publish", {"document": RAISED, "based_on": 1})
    assert store.post("/program/publish", {"document": DEMO, "based_on": 1}).json["code"] == "program_changed"
    assert store.post("/program/rollback", {"version": 1}).json["version"] == 3
    assert store.get("/program").json["document"] == DEMO
    assert store.post("/program/rollback", {"version": 9}).status_code == 404


def test_one_publication_however_often_it_is_sent(store: Store) -> None:
    answers = [store.post("/program/publish", {"document": RAISED}, Idempotency_Key="spring").json for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert len(store.get("/program/versions").json["items"]) == 2


def test_an_order_keeps_the_version_of_its_time(store: Store) -> None:
    store.settle(store.order(1, store.customer(1)))
    store.post("/program/publish", {"document": changed("orders.points_per_unit", "5")})
    store.settle(store.order(1, store.customer(1), updated_at=NOW))
    (order,) = store.get("/members/{id}/postings".format(**store.member_of(store.customer(1)))).json["items"][:1]
    assert (order["program_version"], order["points"]) == (1, 80)


def test_a_shops_program_is_its_own(store: Store, other_store: Store) -> None:
    put(store, {"document": RAISED})
    store.post("/program/publish", {})
    assert other_store.get("/program").json["version"] == 1
    assert other_store.get("/program/versions/2").status_code == 404
    assert other_store.get("/program/draft").status_code == 404


DOUBLE = changed("orders.points_per_unit", "2")


def test_a_program_is_tried_on_real_orders(store: Store) -> None:
    store.settle(*(store.order(number, store.customer(number)) for number in (1, 2)))
    tried = store.post("/program/backtest", {"document": DOUBLE, "days": 30}).json
    assert (tried["members"], tried["of_members"], tried["orders"], tried["gain"], tried["lose"]) == (2, 2, 2, 2, 0)
    assert tried["before"] == {
        "points": 160, "by_rule": {"order-points": 160}, "tiers": {"insider": 2, "advocate": 0, "ambassador": 0},
        "cost": 160,
    }  # fmt: skip
    assert (tried["after"]["points"], tried["after"]["cost"]) == (320, 320)
    assert {(one["before"], one["after"]) for one in tried["top"]} == {(80, 160)}
    assert store.post("/program/backtest", {"document": DOUBLE, "members": 1}).json["members"] == 1
    assert store.post("/program/backtest", {"document": DOUBLE, "days": 1}).json["orders"] == 0
    refused = store.post("/program/backtest", {"document": changed("rewards.0.cost", 0)})
    assert refused.json["code"] == "invalid_program"


# The command line.


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "program.json"
    path.write_text(json.dumps(RAISED))
    return path


def run(app: Flask, *arguments: Any, fails: bool = False) -> str:
    result = app.test_cli_runner().invoke(args=["program", *map(str, arguments)])
    assert (result.exit_code != 0) == fails, result.output
    return str(result.output)


SHOP = ("--shop", "roastery.myshopify.com")


def test_the_command_line_shows_checks_and_publishes(app: Flask, store: Store, file: Path) -> None:
    assert json.loads(run(app, "show", *SHOP)) == DEMO
    assert json.loads(run(app, "schema"))["title"] == "Rapport program"
    assert run(app, "validate", file) == "The program is valid.\n"
    assert run(app, "diff", file, *SHOP) == run(app, "preview", file, *SHOP) == f"{SENTENCE}\n"
    assert run(app, "publish", file, *SHOP, "--note", "Spring").startswith("Version 2 is in force from ")
    assert run(app, "rollback", 1, *SHOP, "--at", "2199-01-01").startswith(
        "Version 3 is in force from 2199-01-01 00:00"
    )
    lines = [line.split("\t") for line in run(app, "history", *SHOP).splitlines()]
    assert [(line[0], line[1], line[3], line[4:]) for line in lines] == [
        ("3", "scheduled", "command line", ["Version 1 again"]),
        ("2", "in_force", "command line", ["Spring"]),
        ("1", "past", "test", []),
    ]
    assert run(app, "schedule", *SHOP).splitlines() == ["\t".join(lines[0])]
    assert run(app, "withdraw", 3, *SHOP) == "Version 3 is withdrawn.\n"
    assert run(app, "schedule", *SHOP) == ""
    assert json.loads(run(app, "show", *SHOP, "--version", 1)) == DEMO


def test_the_command_line_refuses_in_words(app: Flask, store: Store, file: Path) -> None:
    assert "this shop has no draft" in run(app, "diff", *SHOP, fails=True)
    assert "Nothing" not in run(app, "withdraw", 1, *SHOP, fails=True)
    file.write_text(json.dumps(changed("rewards.0.cost", 0)))
    for command in (("validate", file), ("diff", file, *SHOP), ("publish", file, *SHOP)):
        assert "rewards › 5-off › cost must be at least 1" in run(app, *command, fails=True)
    file.write_text("{")
    assert "is not valid JSON" in run(app, "validate", file, fails=True)
    assert "no shop nowhere.myshopify.com" in run(app, "show", "--shop", "nowhere.myshopify.com", fails=True)


def test_the_command_line_tries_on_real_orders(app: Flask, store: Store, file: Path) -> None:
    store.settle(store.order(1, store.customer(1)))
    file.write_text(json.dumps(DOUBLE))
    rows = [line.split() for line in run(app, "try", file, *SHOP).splitlines()]
    assert ["points", "80", "160"] in rows
    assert ["members", "at", "insider", "1", "1"] in rows
    assert ["worth", "in", "rewards", "$0.80", "$1.60"] in rows


def test_the_command_line_compares_the_draft(app: Flask, store: Store) -> None:
    put(store, {"document": RAISED})
    assert run(app, "diff", *SHOP) == f"{SENTENCE}\n"
    put(store, {"document": DEMO, "updated_at": store.get("/program/draft").json["updated_at"]})
    assert run(app, "diff", *SHOP) == "Nothing changes.\n"


def test_members_fall_only_when_that_is_accepted(store: Store) -> None:
    store.settle(store.order(1, store.customer(1), 550_00))
    refused = store.post("/program/publish", {"document": RAISED})
    assert (refused.status_code, refused.json["code"], refused.json["members"]) == (409, "would_demote", 1)
    assert store.get("/program").json["version"] == 1
    accepted = store.post("/program/publish", {"document": RAISED, "accept_demotions": True})
    assert (accepted.status_code, accepted.json["version"]) == (201, 2)
