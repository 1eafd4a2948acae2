"""The program's form: whatever a document says comes back as it was, and what was written is what is meant."""

import copy
from typing import Any, get_args

import pytest
import sqlalchemy as sa
from pydantic import BaseModel
from werkzeug.datastructures import MultiDict

from core.db import database
from loyalty.program import Program, demo_program
from loyalty.publishing import queries
from loyalty.publishing.faults import faults
from shops.models import Shop
from tests.web.merchant.conftest import Office
from tests.web.merchant.forms import fields_of, form_of
from tests.web.merchant.programs import ODD, RICH
from web.merchant.fields import EXACT, IDS, MONEY, WHOLE, Setting
from web.merchant.sentences import applied, key_of, of_today, setting_of


def draft(office: Office, document: Any) -> None:
    seen = office.store.get("/program/draft").json.get("updated_at")
    answer = office.store.client.put(
        "/api/v1/program/draft", json={"document": document, "updated_at": seen}, headers=office.store.headers
    )
    assert answer.status_code == 200, answer.text


def kept(office: Office) -> Any:
    with database().transaction(office.store.shop_id) as session:
        found = queries.draft(session, office.store.shop_id)
        assert found
        return found.document


def speak(office: Office, currency: str) -> None:
    with database().transaction(office.store.shop_id) as session:
        session.execute(sa.update(Shop).where(Shop.id == office.store.shop_id).values(currency=currency))


def send(office: Office, path: str, **changes: Any) -> Any:
    fields = fields_of(office.text("/program"))
    for name, value in changes.items():
        fields.setlist(name, value if isinstance(value, list) else [value])
    return office.post(path, **{name: fields.getlist(name) for name in fields})


@pytest.mark.parametrize("currency", ["USD", "JPY", "KWD"])
def test_a_program_that_says_everything_is_opened_and_saved_without_a_loss(office: Office, currency: str) -> None:
    assert faults(RICH) == ()
    speak(office, currency)
    draft(office, RICH)
    assert send(office, "/program").status_code == 303
    assert kept(office) == RICH


@pytest.mark.parametrize("document", ODD)
def test_a_draft_that_is_no_program_is_opened_and_saved_without_a_loss(office: Office, document: Any) -> None:
    draft(office, document)
    assert send(office, "/program").status_code == 303
    assert kept(office) == document


def test_what_everybody_has_is_opened_and_saved_without_a_loss(office: Office) -> None:
    assert send(office, "/program").status_code == 303
    assert kept(office) == demo_program().model_dump(mode="json")


def made(document: Any, currency: str = "USD", **fields: Any) -> Any:
    form: MultiDict[str, str] = MultiDict()
    for name, value in fields.items():
        form.setlist(name, value if isinstance(value, list) else [value])
    return applied(document, form, setting_of(document, currency, "UTC")).document


def test_a_version_of_long_ago_is_opened_as_programs_are_written_now() -> None:
    old = {"name": "Old", "ladder": RICH["ladder"], "expiry_days": None, "referral": {"friend_amount": 500}}
    document = of_today(old)
    assert (document["expiry"], document["referral"]["friend"]["amount"]) == (None, 500)
    assert of_today(RICH) == RICH


CHANGES: list[tuple[dict[str, Any], tuple[Any, ...], Any]] = [
    ({"orders.limit.points_per_day": "1,000"}, ("orders", "limit", "points_per_day"), 1000),
    ({"bonuses.weekend.minimum_spend": "12,5"}, ("bonuses", 0, "minimum_spend"), 1250),
    ({"bonuses.weekend.multiplier": "1,5"}, ("bonuses", 0, "multiplier"), "1.5"),
    ({"bonuses.weekend.vendors": "Smith, Sons & Co\r\nQuay"}, ("bonuses", 0, "vendors"), ["Smith, Sons & Co", "Quay"]),
    ({"bonuses.weekend.tags": "a, b"}, ("bonuses", 0, "tags"), ["a", "b"]),
    ({"activities.taste.choices": "A\r\n\r\nB"}, ("activities", 2, "choices"), ["A", "B"]),
    ({"rewards.10-off.tiers": [""]}, ("rewards", 0, "tiers"), []),
    ({"rewards.10-off.ends_at": "2027-02-01T10:00"}, ("rewards", 0, "ends_at"), "2027-02-01T10:00"),
    ({"rewards.mug.products": "gid://shopify/Product/77, https://admin.example/products/78?a=1"},
     ("rewards", 3, "products"), [77, 78]),
    ({"ladder.tiers.advocate.keep": "400.50"}, ("ladder", "tiers", 1, "keep"), 40050),
    ({"ladder.tiers.advocate.perks": ["", "free-shipping", "a, b"]}, ("ladder", "tiers", 1, "perks"),
     ["free-shipping", "a", "b"]),
    ({"ladder.metric": "points", "ladder.tiers.advocate.threshold": "500.50"}, ("ladder", "tiers", 1, "threshold"),
     "500.50"),
    ({"ladder.metric": "points", "ladder.tiers.advocate.threshold": "500"}, ("ladder", "tiers", 1, "threshold"), 500),
    ({"referral.milestones.1_.friends": "12"}, ("referral", "milestones", 1, "friends"), 12),
    ({"referral.milestones.0_.gone": "1"}, ("referral", "milestones", 0, "friends"), 10),
    ({"referral.milestones.+.friends": "20", "referral.milestones.+.benefit.kind": "points",
      "referral.milestones.+.benefit.points": "9"}, ("referral", "milestones", 2),
     {"friends": 20, "benefit": {"kind": "points", "points": 9}}),
    ({"referral.enabled": ["", "1"]}, ("referral", "enabled"), True),
    ({"referral.partnerships.creators.referrer.kind": "points", "referral.partnerships.creators.referrer.points": "5"},
     ("referral", "partnerships", 0, "referrer"), {"kind": "points", "points": 5}),
    ({"rewards.15-percent.kind": "store_credit", "rewards.15-percent.amount": "3"}, ("rewards", 1, "maximum"), None),
    ({"expiry.kind": "never"}, ("expiry",), None),
    ({"timezone": ""}, ("timezone",), None),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "path", "value"), CHANGES)
def test_what_is_written_is_what_is_meant(fields: dict[str, Any], path: tuple[Any, ...], value: Any) -> None:
    document = made(RICH, **fields)
    found: Any = document
    for step in path:
        found = found.get(step) if isinstance(found, dict) else found[step]
    assert found == value
    # And nothing else: the parts beside it are what they were.
    assert {name: part for name, part in document.items() if name != path[0]} == {
        name: part for name, part in RICH.items() if name != path[0]
    }


def test_points_that_never_expired_get_a_time() -> None:
    document = RICH | {"expiry": None}
    assert made(document, **{"expiry.kind": "never", "expiry.months": "12"}) == document
    soon = made(document, **{"expiry.kind": "lot", "expiry.months": "12", "expiry.days": ""})
    assert soon["expiry"] == {"kind": "lot", "months": 12, "notice_days": 30}


def test_a_year_that_becomes_the_last_days_has_no_end_to_fall_at() -> None:
    document = made(RICH, **{"ladder.period": "rolling"})
    assert faults(document) == ()
    assert "grace_days" not in document["ladder"]


def test_new_parts_get_keys_of_their_own() -> None:
    document = made(
        RICH,
        **{
            "bonuses.+.name": "Birthday", "bonuses.+.multiplier": "3",
            "activities.+.name": "Birthday", "activities.+.kind": "custom", "activities.+.network": "none",
            "rewards.+.name": "Any", "rewards.+.cost": "5", "rewards.+.kind": "custom",
            "ladder.tiers.+.name": "Regular", "ladder.tiers.+.threshold": "100", "ladder.tiers.+.multiplier": "1.1",
            "referral.tiers.+.tier": "insider", "referral.tiers.+.referrer.kind": "none",
            "referral.partnerships.+.name": "Créateurs", "referral.partnerships.+.friend.kind": "none",
            "referral.partnerships.+.referrer.percentage": "5",
        },
    )  # fmt: skip
    assert faults(document) == ()
    assert [document[name][-1]["key"] for name in ("bonuses", "activities", "rewards")] == [
        "birthday-2", "birthday-3", "any-2"
    ]  # fmt: skip
    assert [tier["key"] for tier in document["ladder"]["tiers"]] == ["insider", "regular", "advocate"]
    assert document["referral"]["partnerships"][-1]["key"] == "createurs"
    assert key_of("ポイント", []) == "part"
    assert key_of("gift", []) == "gift-2"  # the ledger's own word


HOSTILE: list[dict[str, Any]] = [
    {"rewards.10-off.cost": "9" * 400, "bonuses.weekend.minimum_spend": "1e999999", "orders.points_per_unit": "NaN"},
    {"rewards.nothing.cost": "5", "rewards.10-off.colour": "red", "sections": ["name", "all"], "": "", "+": "1"},
    {"rewards.10-off.kind": ["amount_off", "percentage"], "expiry.kind": "lost", "ladder.period": "\ud7ff"},
    {"ladder.tiers.+.name": "A" * 5000, "ladder.tiers.+.threshold": "-1", "bonuses.+.starts_at": "0000-00-00T99:99"},
    {"referral.milestones.0_.benefit.kind": "[]", "referral.milestones.99_.gone": "1", "timezone": "../../etc"},
    {"activities.+.kind": "__class__", "activities.+.points": "١٢", "activities.taste.kind": "social"},
]


@pytest.mark.parametrize("fields", HOSTILE)
def test_a_hostile_form_is_answered_with_a_sentence_and_loses_nothing_else(office: Office, fields: Any) -> None:
    draft(office, RICH)
    seen = send(office, "/program/preview", **fields)
    assert seen.status_code == 200
    assert send(office, "/program", **fields).status_code == 303
    after = kept(office)
    untouched = copy.deepcopy(RICH)
    for name in ("joining", "stacking", "clawback", "reward_refunds"):
        assert after[name] == untouched[name]
    assert after["rewards"][1:] == untouched["rewards"][1:]
    assert office.get("/program").status_code == 200


def test_the_summary_tells_of_campaigns_and_activities(office: Office) -> None:
    draft(office, RICH)
    page = office.text("/program")
    assert "More points for orders: Weekend and First." in page
    assert 'data-leads="rewards.10-off.stock"' in page  # none is left: worth a second look
    assert "Doing birthday 100" in page


def test_an_empty_form_changes_nothing(office: Office) -> None:
    draft(office, RICH)
    seen = office.store.get("/program/draft").json["updated_at"]
    assert office.post("/program/preview").status_code == 200
    assert office.post("/program", seen=seen).status_code == 303
    assert kept(office) == RICH


WRONG: list[tuple[str, str]] = [
    ("rewards.10-off.cost", "0"),
    ("rewards.10-off.stock", "many"),
    ("bonuses.weekend.limit.times_per_day", "0"),
    ("activities.taste.question", ""),
    ("ladder.tiers.advocate.keep", "900"),
    ("referral.milestones.1_.friends", "5"),
    ("referral.review_score", "90"),
    ("referral.partnerships.creators.referrer.percentage", "5"),
    ("expiry.notice_days", "3"),
    ("timezone", "Mars"),
    ("joining.points", ""),
]


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_what_is_wrong_is_said_at_its_field(office: Office, field: str, value: str) -> None:
    draft(office, RICH)
    seen = send(office, "/program/preview", **{field: value})
    expected = "referral.partnerships.creators.referrer.amount" if field.endswith("referrer.percentage") else field
    assert f'data-fault="{expected}"' in seen.text
    assert send(office, "/program", **{field: value}).status_code == 303
    page = office.text("/program")
    form = form_of(page)
    assert form.marked == {expected: f"f-{expected}-fault"}
    assert {f"f-{expected}", f"f-{expected}-fault"} <= form.ids
    assert f'href="#f-{expected}"' in page
    assert "This can’t be published yet" in page
    assert "Review and publish" not in page


def test_a_row_that_is_being_added_is_marked_as_the_page_calls_it(office: Office) -> None:
    new = {"rewards.+.name": "Coffee on us", "rewards.+.cost": "0", "rewards.+.kind": "custom"}
    assert 'data-fault="rewards.+.cost"' in send(office, "/program/preview", **new).text
    tier = {"ladder.tiers.+.name": "Regular", "ladder.tiers.+.threshold": "100", "ladder.tiers.+.multiplier": "a"}
    assert 'data-fault="ladder.tiers.+.multiplier"' in send(office, "/program/preview", **tier).text


NUMBERS: list[tuple[Any, str, Any]] = [
    (WHOLE, "1,000", 1000), (WHOLE, "1 000", 1000), (WHOLE, "1,5", "1,5"), (WHOLE, "١٬٠٠٠", 1000),
    (WHOLE, "1_0", "1_0"),
    (MONEY, "5", 500), (MONEY, "5,50", 550), (MONEY, "1,000.50", 100050), (MONEY, "5.555", "5.555"), (MONEY, "x", "x"),
    (EXACT, "1,25", "1.25"), (EXACT, "", None), (IDS, "1, 2 x", [1, 2, "x"]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "value"), NUMBERS)
def test_numbers_are_read_as_people_write_them(kind: Any, text: str, value: Any) -> None:
    setting = Setting("USD", Program.model_validate(RICH).zone)
    assert kind.read([text], setting) == value


def test_yen_have_no_smaller_unit() -> None:
    setting = Setting("JPY", Program.model_validate(RICH).zone)
    assert MONEY.read(["500"], setting) == 500
    assert MONEY.read(["5.5"], setting) == "5.5"
    assert list(MONEY.show(500, setting)) == ["500"]


def models_in(annotation: Any) -> set[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}.union(*(models_in(held.annotation) for held in annotation.model_fields.values()))
    return set().union(*(models_in(inner) for inner in get_args(annotation)))


def test_the_form_asks_for_all_that_a_program_can_hold(office: Office) -> None:
    """But keys, which never change; what is said by being there; and what joining can't have."""
    draft(office, RICH)
    sent = {name.split(".")[-1] for name in fields_of(office.text("/program"))}
    held = {name for model in models_in(Program) for name in model.model_fields}
    assert held - sent == {
        "key", "orders", "bonuses", "joining", "activities", "ladder", "rewards", "referral", "expiry", "limit",
        "friend", "referrer", "milestones", "benefit", "partnerships",
    }  # fmt: skip
