"""What members did beside buying, in words."""

from loyalty.models import Posting
from loyalty.wording.words import Teller, TierNames, Told, article, points_text, tier_name

_ALL_OF = {
    "day": " That's the most for one day.",
    "ever": " That's all there is to earn here.",
}
_SIGNED_UP = {"newsletter": "signing up to our newsletter", "sms": "signing up to our text messages"}
_SOCIAL = {"follow": "following us on", "share": "sharing us on"}


def _points(posting: Posting) -> str:
    return points_text(posting.points)


def _capped(told: Told) -> str:
    """Why it is fewer points than it is worth, if so."""
    return _ALL_OF.get(told.get("capped", ""), "")


def _birthday(posting: Posting, told: Told, tier_names: TierNames) -> str:
    boost = ""
    if told.get("boosted_from"):
        boost = f", instead of {told['boosted_from']:,}, because you're {article(tier_name(told, tier_names))}"
    return f"Happy birthday! {_points(posting)} for you{boost}.{_capped(told)}"


def _anniversary(posting: Posting, told: Told, _: TierNames) -> str:
    years = told.get("years", 1)
    return f"{_points(posting)} for {years} {'year' if years == 1 else 'years'} with us. Thank you!{_capped(told)}"


def _question(posting: Posting, told: Told, _: TierNames) -> str:
    asked = f"answering “{told['question']}”" if told.get("question") else "your answer"
    return f"{_points(posting)} for {asked}.{_capped(told)}"


def _signed_up(posting: Posting, told: Told, _: TierNames) -> str:
    return f"{_points(posting)} for {_SIGNED_UP[told['reason']]}.{_capped(told)}"


def _social(posting: Posting, told: Told, _: TierNames) -> str:
    done = _SOCIAL.get(told.get("action", ""), "sharing us on")
    return f"{_points(posting)} for {done} {told.get('network') or 'social media'}.{_capped(told)}"


def _review(posting: Posting, told: Told, _: TierNames) -> str:
    photos = told.get("photo_points")
    if photos and not told.get("capped"):
        return f"{points_text(posting.points - photos)} for your review, and {photos:,} more for its photos. Thank you!"
    return f"{_points(posting)} for your review. Thank you!{_capped(told)}"


def _community(posting: Posting, told: Told, _: TierNames) -> str:
    return f"{_points(posting)} for joining our community.{_capped(told)}"


def _nps(posting: Posting, told: Told, _: TierNames) -> str:
    return f"{_points(posting)} for telling us how we're doing.{_capped(told)}"


def _custom(posting: Posting, told: Told, _: TierNames) -> str:
    return f"{_points(posting)}: {ended(told.get('name') or 'something you did')}{_capped(told)}"


def _gift(posting: Posting, told: Told, _: TierNames) -> str:
    given = str(told.get("reason_given", "")).strip()
    return f"{_points(posting)}, a gift from the shop{': ' + ended(given) if given else '.'}"


def ended(words: str) -> str:
    """Somebody's words, as a sentence that ends."""
    return words if words.endswith((".", "!", "?", "…")) else f"{words}."


TELLERS: dict[str, Teller] = {
    "birthday": _birthday,
    "anniversary": _anniversary,
    "question": _question,
    "newsletter": _signed_up,
    "sms": _signed_up,
    "social": _social,
    "review": _review,
    "community": _community,
    "nps": _nps,
    "custom": _custom,
    "gift": _gift,
}
