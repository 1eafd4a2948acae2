"""What the checks make of evidence: exact examples, and what holds for all evidence there can be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import to_builtins
from msgspec.structs import asdict, fields, replace

from core.i18n import speaking
from loyalty.program import Referral
from referrals.fraud.rules import MOST_HINTS, TEXTS, Evidence, judge
from referrals.rules import BY, WHY
from referrals.wording import reason_text, step_text

TERMS = Referral()
BOOLEANS = [one.name for one in fields(Evidence) if one.type is bool and one.name not in ("told", "first_only")]
COUNTS = [one.name for one in fields(Evidence) if one.type is int]

evidence = st.builds(
    Evidence,
    first_only=st.booleans(),
    told=st.booleans(),
    **{name: st.booleans() for name in BOOLEANS},
    **{name: st.integers(0, 120) for name in COUNTS},
)
terms = st.tuples(st.integers(1, 100), st.integers(1, 100)).map(
    lambda both: Referral(review_score=min(both), block_score=max(both))
)


@pytest.mark.parametrize(
    ("seen", "score", "outcome"),
    [
        ({}, 0, "clear"),
        ({"same_customer": True}, 100, "block"),
        ({"same_email": True}, 100, "block"),
        ({"earlier_orders": 1}, 100, "block"),
        ({"twin_orders": 1}, 100, "block"),
        ({"earlier_orders": 3, "first_only": False}, 0, "clear"),
        ({"same_phone": True, "same_home": True, "same_payment": True}, 100, "block"),
        ({"same_phone": True, "same_home": True}, 65, "review"),
        ({"same_phone": True, "same_payment": True}, MOST_HINTS, "review"),
        ({"same_home": True, "same_payment": True}, 65, "review"),
        ({"same_home": True, "same_network": True, "same_surname": True}, 30, "clear"),
        ({"same_network": True, "network_claims": 500}, 15, "clear"),
        ({"disposable": True}, 40, "review"),
        ({"day_referrals": 4}, 0, "clear"),
        ({"day_referrals": 5}, 20, "clear"),
        ({"day_referrals": 10}, 40, "review"),
        ({"ended": 3, "ended_percent": 49}, 0, "clear"),
        ({"ended": 2, "ended_percent": 50}, 25, "clear"),
        ({"ended": 3, "ended_percent": 50}, 40, "review"),
        ({"circle": 2}, 40, "review"),
        ({"told": False}, 0, "clear"),
    ],
)
def test_verdicts(seen: dict[str, int], score: int, outcome: str) -> None:
    verdict = judge(Evidence(**seen), TERMS)  # type: ignore[arg-type]
    assert (verdict.score, verdict.outcome) == (score, outcome)


def test_reasons_are_sentences_for_the_merchant() -> None:
    verdict = judge(Evidence(same_home=True, same_surname=True, visitor_claims=2, told=False), TERMS)
    assert [(reason.points, reason.text) for reason in verdict.reasons] == [
        (25, "The friend's address is the referrer's own."),
        (25, "Other e-mail addresses that were entered in the same browser within 30 days: 2."),
        (0, "They share a home and a surname, as families do."),
        (0, "Shopify did not let us see names, addresses, phone numbers and cards, so these were not compared."),
    ]


def test_kept_reasons_speak_the_readers_language_and_what_is_not_known_any_more_as_it_was_stored() -> None:
    kept = [to_builtins(reason) for reason in judge(Evidence(same_home=True, visitor_claims=2), TERMS).reasons]
    kept += [{"key": "not_new", "points": 100, "text": "The friend had ordered before."}]
    kept += [{"key": "gone", "points": 5, "text": "A check of old."}]
    with speaking("de"):
        assert [reason_text(reason) for reason in kept] == [
            "Die Adresse der eingeladenen Person ist die der einladenden.",
            "Weitere E-Mail-Adressen, die innerhalb von 30 Tagen im selben Browser eingegeben wurden: 2.",
            "Die eingeladene Person hatte schon bestellt.",
            "A check of old.",
        ]
    assert [reason_text(reason) for reason in kept] == [reason["text"] for reason in kept]


def test_notes_of_the_system_are_translated_and_a_persons_are_theirs() -> None:
    note = f"{BY['cart']} {WHY['holding']}"
    with speaking("fr"):
        assert step_text(note, "system").startswith("L’ami est venu par le lien du parrain. La commande")
        assert step_text(note, "user:1") == note
    assert step_text(note, "system") == note


def test_every_reason_can_be_given_and_speaks_plainly() -> None:
    everything = Evidence(told=False, **dict.fromkeys(BOOLEANS, True), **dict.fromkeys(COUNTS, 60))  # type: ignore[arg-type]
    alone = [Evidence(sent_home=True), Evidence(same_house=True), Evidence(same_home=True, same_surname=True)]
    given = {reason.key for seen in (everything, *alone) for reason in judge(seen, TERMS).reasons}
    assert given == set(TEXTS)
    assert all(text.endswith(".") and "!" not in text for text in TEXTS.values())


@given(evidence, terms)
def test_scores_are_within_bounds_and_repeat(seen: Evidence, agreed: Referral) -> None:
    verdict = judge(seen, agreed)
    assert 0 <= verdict.score <= 100
    assert verdict == judge(Evidence(**asdict(seen)), agreed)
    assert (verdict.score >= agreed.review_score) == (verdict.outcome != "clear")


@given(evidence, evidence, terms)
def test_more_evidence_never_lowers_a_score(seen: Evidence, other: Evidence, agreed: Referral) -> None:
    more = {name: max(getattr(seen, name), getattr(other, name)) for name in (*BOOLEANS, *COUNTS)}
    before, after = judge(seen, agreed), judge(replace(seen, **more), agreed)
    assert after.score >= before.score
    order = ["clear", "review", "block"]
    assert order.index(after.outcome) >= order.index(before.outcome)


@given(st.booleans(), st.integers(0, 10_000), terms)
def test_a_network_alone_never_refuses(same: bool, claims: int, agreed: Referral) -> None:
    assert judge(Evidence(same_network=same, network_claims=claims), agreed).outcome != "block"


@given(evidence, terms)
def test_proof_refuses_whatever_the_terms(seen: Evidence, agreed: Referral) -> None:
    assert judge(replace(seen, same_customer=True), agreed).outcome == "block"


@given(evidence)
def test_hints_alone_never_refuse_by_default(seen: Evidence) -> None:
    hints = replace(seen, same_customer=False, same_email=False, earlier_orders=0, twin_orders=0, same_phone=False)
    assert judge(hints, TERMS).outcome != "block"
