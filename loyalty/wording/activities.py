"""What members did beside buying, in words."""

from core.i18n import N_, _, ngettext, number, points
from loyalty.models import Posting
from loyalty.wording.words import Teller, TierNames, Told, a_tier, ended, sentences

_ALL_OF = {
    "day": N_("That's the most for one day."),
    "ever": N_("That's all there is to earn here."),
}
_DONE = {
    "newsletter": N_("%(points)s for signing up to our newsletter."),
    "sms": N_("%(points)s for signing up to our text messages."),
    "community": N_("%(points)s for joining our community."),
    "nps": N_("%(points)s for telling us how we're doing."),
}


def _capped(told: Told, text: str) -> str:
    """The sentence, and why it is fewer points than it is worth, if so."""
    why = _ALL_OF.get(told.get("capped", ""))
    return sentences(text, _(why)) if why else text


def _birthday(posting: Posting, told: Told, tier_names: TierNames) -> str:
    given = points(posting.points)
    if not told.get("boosted_from"):
        return _capped(told, _("Happy birthday! %(points)s for you.", points=given))
    text = _(
        "Happy birthday! %(points)s for you, instead of %(number)s, because you're %(a_tier)s.",
        points=given, number=number(told["boosted_from"]), a_tier=a_tier(told, tier_names),
    )  # fmt: skip
    return _capped(told, text)


def _anniversary(posting: Posting, told: Told, _names: TierNames) -> str:
    text = ngettext(
        "%(points)s for %(num)s year with us. Thank you!",
        "%(points)s for %(num)s years with us. Thank you!", told.get("years", 1), points=points(posting.points),
    )  # fmt: skip
    return _capped(told, text)


def _question(posting: Posting, told: Told, _names: TierNames) -> str:
    given, asked = points(posting.points), told.get("question")
    if not asked:
        return _capped(told, _("%(points)s for your answer.", points=given))
    return _capped(told, _("%(points)s for answering “%(question)s”.", points=given, question=asked))


def _done(posting: Posting, told: Told, _names: TierNames) -> str:
    text = _DONE[told["reason"]]
    return _capped(told, _(text, points=points(posting.points)))


def _social(posting: Posting, told: Told, _names: TierNames) -> str:
    where = {"points": points(posting.points), "network": told.get("network") or _("social media")}
    if told.get("action") == "follow":
        return _capped(told, _("%(points)s for following us on %(network)s.", **where))
    return _capped(told, _("%(points)s for sharing us on %(network)s.", **where))


def _review(posting: Posting, told: Told, _names: TierNames) -> str:
    photos = told.get("photo_points")
    if not photos or told.get("capped"):
        return _capped(told, _("%(points)s for your review. Thank you!", points=points(posting.points)))
    return _(
        "%(points)s for your review, and %(number)s more for its photos. Thank you!",
        points=points(posting.points - photos), number=number(photos),
    )  # fmt: skip


def _custom(posting: Posting, told: Told, _names: TierNames) -> str:
    done = ended(told.get("name") or _("something you did"))
    return _capped(told, _("%(points)s: %(what)s", points=points(posting.points), what=done))


def _gift(posting: Posting, told: Told, _names: TierNames) -> str:
    given, why = points(posting.points), str(told.get("reason_given", "")).strip()
    if not why:
        return _("%(points)s, a gift from the shop.", points=given)
    return _("%(points)s, a gift from the shop: %(words)s", points=given, words=ended(why))


TELLERS: dict[str, Teller] = {
    "birthday": _birthday,
    "anniversary": _anniversary,
    "question": _question,
    "social": _social,
    "review": _review,
    "custom": _custom,
    "gift": _gift,
    **dict.fromkeys(_DONE, _done),
}
