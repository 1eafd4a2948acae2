"""What a referral's state means: for the referrer, and for the merchant. Friends stay nameless. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from loyalty.program import Benefit
from loyalty.rewards.rules import day_text
from loyalty.wording.words import capital
from referrals import sharing

# What the merchant's lists call the states.
STATE_NAMES = {
    "waiting": "Waiting for payment",
    "holding": "Holding days",
    "review": "In review",
    "rewarded": "Rewarded",
    "blocked": "Refused",
    "void": "Undone",
    "reversed": "Taken back",
}


class Brought(NamedTuple):
    """What one side was given: its benefit, and what became of it (`referrals.models.REWARD_STATES`)."""

    side: str
    benefit: Benefit
    state: str


class Told(NamedTuple):
    """A referral as far as it is told. `brings` is what the referrer gets by the terms, `days` how long it is held.

    `beyond`: as many friends as a month may bring something were ahead of it.
    """

    state: str
    brings: Benefit
    brought: Sequence[Brought]
    due_at: datetime | None
    rewarded_at: datetime | None
    days: int
    currency: str
    zone: ZoneInfo
    shop: str
    score: int = 0
    decision: str | None = None
    beyond: bool = False


def benefit_of(kept: Mapping[str, Any]) -> Benefit:
    """A benefit as rows keep it, beside the number of a milestone."""
    return Benefit.model_validate({name: value for name, value in kept.items() if name in Benefit.model_fields})


def worth(benefit: Benefit, currency: str) -> str:
    """What was given, in a list: "$10 off"; what depends on an order is "commission"."""
    if benefit.kind == "commission":
        return "commission"
    return sharing.worth(benefit, currency) or "nothing"


def referrer_text(told: Told) -> str:
    """What became of a friend's order, for the member who brought them: why, and what is next."""
    return _REFERRER[told.state](told)


def merchant_text(told: Told) -> str:
    """The same for the merchant."""
    return _MERCHANT[told.state](told)


def _side(told: Told, *states: str) -> list[Brought]:
    return [one for one in told.brought if one.side != "friend" and one.state in states]


def _yours(told: Told, brought: Sequence[Brought] = ()) -> str:
    """ "your $10 off and your 500 points"."""
    benefits = [one.benefit for one in brought] or [told.brings]
    return " and ".join(f"your {worth(benefit, told.currency)}" for benefit in benefits)


def _day(told: Told, moment: datetime | None) -> str:
    return f" on {day_text(moment, told.zone)}" if moment else ""


def _s(told: Told, brought: Sequence[Brought] = ()) -> str:
    """Many things "arrive", one "arrives"."""
    benefits = [one.benefit for one in brought] or [told.brings]
    return "" if len(benefits) > 1 or (benefits[0].points or 1) > 1 else "s"


def _is_waiting(told: Told) -> str:
    if told.brings.kind == "none":
        return "Your friend ordered. It counts once it is paid."
    days = f"{told.days:,} {'day' if told.days == 1 else 'days'}"
    held = f" {days} after payment" if told.days else " once it is paid"
    return f"Your friend ordered. {capital(_yours(told))} come{_s(told)}{held}."


def _is_held(told: Told) -> str:
    if told.brings.kind == "none":
        return "Your friend ordered, and the order is paid. It counts if it isn't returned."
    yours = capital(_yours(told))
    return f"Your friend ordered. {yours} arrive{_s(told)}{_day(told, told.due_at)} if the order isn't returned."


def _is_reviewed(told: Told) -> str:
    return f"Your friend ordered. {told.shop} has a look at it first, which can take a few days."


def _is_rewarded(told: Told) -> str:
    has = _side(told, "given", "kept")
    if has:
        return f"Your friend ordered, and {_yours(told, has)} came{_day(told, told.rewarded_at)}."
    if told.beyond:
        return "Your friend ordered, beyond as many as bring a reward in a month. Thank you all the same."
    return "Your friend ordered. Thank you."


def _is_refused(told: Told) -> str:
    return f"Your friend ordered, which doesn't count. Ask {told.shop} if that surprises you."


def _is_undone(told: Told) -> str:
    before = f" before {_yours(told)} came" if told.brings.kind != "none" else ""
    return f"Your friend cancelled or returned the order{before}."


def _is_taken_back(told: Told) -> str:
    back, kept = _side(told, "taken_back", "taking_back"), _side(told, "kept")
    said = f", so {_yours(told, back)} went back" if back else ""
    used = f". You had used {_yours(told, kept)} already, so that stays yours" if kept else ""
    return f"Your friend returned the order{said}{used}."


_REFERRER = {
    "waiting": _is_waiting,
    "holding": _is_held,
    "review": _is_reviewed,
    "rewarded": _is_rewarded,
    "blocked": _is_refused,
    "void": _is_undone,
    "reversed": _is_taken_back,
}


def _things(brought: Sequence[Brought], currency: str) -> str:
    return " and ".join(worth(one.benefit, currency) for one in brought)


def _waits_for_you(told: Told) -> str:
    return f"Waits for your decision: the checks give it {told.score} of 100. Nothing is paid before."


def _holds(told: Told) -> str:
    return f"Paid. The referrer's side comes{_day(told, told.due_at)} if the order still stands."


def _has_rewarded(told: Told) -> str:
    has = _side(told, "given", "kept")
    if has:
        return (
            f"The friend's order stands. The referrer got {_things(has, told.currency)}{_day(told, told.rewarded_at)}."
        )
    why = ", for they had as many friends as a month may bring something" if told.beyond else ""
    return f"The friend's order stands. The referrer got nothing{why}."


def _was_refused(told: Told) -> str:
    if told.decision == "refuse":
        return "Refused by hand."
    return f"Refused by the checks, which give it {told.score} of 100."


def _was_taken_back(told: Told) -> str:
    back, going, kept = (_side(told, state) for state in ("taken_back", "taking_back", "kept"))
    said = [
        f"{_things(part, told.currency)} {words}"
        for part, words in ((back, "went back"), (going, "is going back"), (kept, "was used already and stays"))
        if part
    ]
    return f"The friend's order was undone after the reward: {', '.join(said) or 'there was nothing to take back'}."


_MERCHANT = {
    "waiting": lambda told: "The friend's order is not paid yet.",
    "holding": _holds,
    "review": _waits_for_you,
    "rewarded": _has_rewarded,
    "blocked": _was_refused,
    "void": lambda told: "The friend's order was undone, or is worth too little, before the referrer's side came.",
    "reversed": _was_taken_back,
}
