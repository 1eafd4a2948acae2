"""The words for what members did, one example of each."""

from typing import Any

import pytest

from loyalty.models import Posting
from loyalty.program import Program
from loyalty.wording import sentence
from loyalty.wording.activities import TELLERS
from tests.loyalty.activities.rig import ACTIVITIES, program

NAMES = {"advocate": "Advocate"}


def posting(points: int, **told: Any) -> Posting:
    return Posting(kind="bonus", source="issued", target="available", points=points, explanation=told)


@pytest.mark.parametrize(
    ("points", "told", "text"),
    [
        (100, {"reason": "birthday"}, "Happy birthday! 100 points for you."),
        (
            150,
            {"reason": "birthday", "boosted_from": 100, "tier": "advocate"},
            "Happy birthday! 150 points for you, instead of 100, because you're an Advocate.",
        ),
        (80, {"reason": "anniversary", "years": 1}, "80 points for 1 year with us. Thank you!"),
        (80, {"reason": "anniversary", "years": 12}, "80 points for 12 years with us. Thank you!"),
        (20, {"reason": "question", "question": "Coffee or tea?"}, "20 points for answering “Coffee or tea?”."),
        (50, {"reason": "newsletter"}, "50 points for signing up to our newsletter."),
        (60, {"reason": "sms"}, "60 points for signing up to our text messages."),
        (
            10,
            {"reason": "social", "network": "Instagram", "action": "follow"},
            "10 points for following us on Instagram.",
        ),
        (1, {"reason": "social", "network": "Facebook", "action": "share"}, "1 point for sharing us on Facebook."),
        (30, {"reason": "review"}, "30 points for your review. Thank you!"),
        (
            50,
            {"reason": "review", "photo_points": 20},
            "30 points for your review, and 20 more for its photos. Thank you!",
        ),
        (
            12,
            {"reason": "review", "photo_points": 20, "capped": "day"},
            "12 points for your review. Thank you! That's the most for one day.",
        ),
        (25, {"reason": "community"}, "25 points for joining our community."),
        (15, {"reason": "nps"}, "15 points for telling us how we're doing."),
        (5, {"reason": "custom", "name": "Brought your own cup"}, "5 points: Brought your own cup."),
        (
            3,
            {"reason": "custom", "name": "Brought your own cup", "capped": "ever"},
            "3 points: Brought your own cup. That's all there is to earn here.",
        ),
        (
            1000,
            {"reason": "gift", "reason_given": "Happy holidays!"},
            "1,000 points, a gift from the shop: Happy holidays!",
        ),
        (1000, {"reason": "gift", "reason_given": "Sorry"}, "1,000 points, a gift from the shop: Sorry."),
        # The words somebody typed go with an erased person.
        (1000, {"reason": "gift"}, "1,000 points, a gift from the shop."),
    ],
)
def test_words(points: int, told: dict[str, Any], text: str) -> None:
    assert sentence(posting(points, **told), NAMES) == text


def test_every_kind_of_activity_has_words_of_its_own() -> None:
    assert isinstance(program(), Program)
    assert {activity["kind"] for activity in ACTIVITIES} | {"gift"} == set(TELLERS)
