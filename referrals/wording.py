"""What a referral's state means: for the referrer, and for the merchant. Friends stay nameless. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from core.i18n import N_, _, day, listed, ngettext, number
from loyalty.program import Benefit
from loyalty.wording.words import capital, sentences, steps
from referrals import rules, sharing
from referrals.fraud.rules import TEXTS

# What the merchant's lists call the states.
STATE_NAMES = {
    "waiting": N_("Waiting for payment"),
    "holding": N_("Holding days"),
    "review": N_("In review"),
    "rewarded": N_("Rewarded"),
    "blocked": N_("Refused"),
    "void": N_("Undone"),
    "reversed": N_("Taken back"),
}
_SYSTEM = "system"


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
        return _("commission")
    return sharing.worth(benefit, currency) or _("nothing")


def referrer_text(told: Told) -> str:
    """What became of a friend's order, for the member who brought them: why, and what is next."""
    return _REFERRER[told.state](told)


def merchant_text(told: Told) -> str:
    """The same for the merchant."""
    return _MERCHANT[told.state](told)


def _side(told: Told, *states: str) -> list[Benefit]:
    return [one.benefit for one in told.brought if one.side != "friend" and one.state in states]


def _yours(told: Told, *benefits: Benefit) -> str:
    """ "your $10 off and your 500 points"."""
    return listed([sharing.yours(benefit, told.currency) for benefit in benefits or (told.brings,)])


def _ordered(coming: str) -> str:
    return sentences(_("Your friend ordered."), capital(coming))


def _is_waiting(told: Told) -> str:
    # 500 points "come", $10 off "comes".
    many, yours = told.brings.points or 1, _yours(told)
    if told.brings.kind == "none":
        return _ordered(_("It counts once it is paid."))
    if not told.days:
        return _ordered(
            ngettext("%(yours)s comes once it is paid.", "%(yours)s come once it is paid.", many, yours=yours)
        )
    days = ngettext("%(num)s day", "%(num)s days", told.days)
    return _ordered(
        ngettext(
            "%(yours)s comes %(days)s after payment.",
            "%(yours)s come %(days)s after payment.", many, yours=yours, days=days,
        )
    )  # fmt: skip


def _is_held(told: Told) -> str:
    many, yours = told.brings.points or 1, _yours(told)
    if told.brings.kind == "none":
        return _("Your friend ordered, and the order is paid. It counts if it isn't returned.")
    if told.due_at is None:
        return _ordered(
            ngettext(
                "%(yours)s arrives if the order isn't returned.",
                "%(yours)s arrive if the order isn't returned.", many, yours=yours,
            )
        )  # fmt: skip
    return _ordered(
        ngettext(
            "%(yours)s arrives on %(day)s if the order isn't returned.",
            "%(yours)s arrive on %(day)s if the order isn't returned.",
            many, yours=yours, day=day(told.due_at, told.zone),
        )
    )  # fmt: skip


def _is_reviewed(told: Told) -> str:
    return _("Your friend ordered. %(shop)s has a look at it first, which can take a few days.", shop=told.shop)


def _is_rewarded(told: Told) -> str:
    has = _side(told, "given", "kept")
    if has and told.rewarded_at:
        came = day(told.rewarded_at, told.zone)
        return _("Your friend ordered, and %(yours)s came on %(day)s.", yours=_yours(told, *has), day=came)
    if has:
        return _("Your friend ordered, and %(yours)s came.", yours=_yours(told, *has))
    if told.beyond:
        return _("Your friend ordered, beyond as many as bring a reward in a month. Thank you all the same.")
    return _("Your friend ordered. Thank you.")


def _is_refused(told: Told) -> str:
    return _("Your friend ordered, which doesn't count. Ask %(shop)s if that surprises you.", shop=told.shop)


def _is_undone(told: Told) -> str:
    if told.brings.kind == "none":
        return _("Your friend cancelled or returned the order.")
    return _("Your friend cancelled or returned the order before %(yours)s came.", yours=_yours(told))


def _is_taken_back(told: Told) -> str:
    back, kept = _side(told, "taken_back", "taking_back"), _side(told, "kept")
    text = (
        _("Your friend returned the order, so %(yours)s went back.", yours=_yours(told, *back))
        if back
        else _("Your friend returned the order.")
    )
    used = _("You had used %(yours)s already, so that stays yours.", yours=_yours(told, *kept)) if kept else ""
    return sentences(text, used)


_REFERRER = {
    "waiting": _is_waiting,
    "holding": _is_held,
    "review": _is_reviewed,
    "rewarded": _is_rewarded,
    "blocked": _is_refused,
    "void": _is_undone,
    "reversed": _is_taken_back,
}


def _things(told: Told, benefits: Sequence[Benefit]) -> str:
    return listed([worth(benefit, told.currency) for benefit in benefits])


def _waits_for_you(told: Told) -> str:
    return _("Waits for your decision: the checks give it %(score)s of 100. Nothing is paid before.", score=told.score)


def _holds(told: Told) -> str:
    if told.due_at is None:
        return _("Paid. The referrer's side comes if the order still stands.")
    due = day(told.due_at, told.zone)
    return _("Paid. The referrer's side comes on %(day)s if the order still stands.", day=due)


def _has_rewarded(told: Told) -> str:
    has = _side(told, "given", "kept")
    if has and told.rewarded_at:
        said = {"gifts": _things(told, has), "day": day(told.rewarded_at, told.zone)}
        return _("The friend's order stands. The referrer got %(gifts)s on %(day)s.", **said)
    if has:
        return _("The friend's order stands. The referrer got %(gifts)s.", gifts=_things(told, has))
    if told.beyond:
        return _(
            "The friend's order stands. The referrer got nothing, for they had as many friends as a month may bring "
            "something."
        )
    return _("The friend's order stands. The referrer got nothing.")


def _was_refused(told: Told) -> str:
    if told.decision == "refuse":
        return _("Refused by hand.")
    return _("Refused by the checks, which give it %(score)s of 100.", score=told.score)


def _was_taken_back(told: Told) -> str:
    said = [_(words, gifts=_things(told, part)) for state, words in _UNDONE.items() if (part := _side(told, state))]
    what = steps(said) if said else _("there was nothing to take back")
    return _("The friend's order was undone after the reward: %(what)s.", what=what)


_UNDONE = {
    "taken_back": N_("%(gifts)s went back"),
    "taking_back": N_("%(gifts)s is going back"),
    "kept": N_("%(gifts)s was used already and stays"),
}
_MERCHANT = {
    "waiting": lambda told: _("The friend's order is not paid yet."),
    "holding": _holds,
    "review": _waits_for_you,
    "rewarded": _has_rewarded,
    "blocked": _was_refused,
    "void": lambda told: _("The friend's order was undone, or is worth too little, before the referrer's side came."),
    "reversed": _was_taken_back,
}


def reason_text(kept: Mapping[str, Any]) -> str:
    """A reason as rows keep it, in the language spoken now; one that is not given any more speaks as it was stored."""
    if kept.get("n") is not None and kept["key"] in TEXTS:
        return _(TEXTS[kept["key"]], n=number(kept["n"]))
    # Without a number the stored sentence is the message itself.
    return _(kept["text"]) if kept["text"] else ""


def step_text(note: str, actor: str) -> str:
    """What was noted at a step: our own sentences in the language spoken now, a person's words as they are."""
    if actor == _SYSTEM:
        for sentence in (*rules.BY.values(), *rules.WHY.values(), rules.LIMIT_REACHED):
            note = note.replace(sentence, _(sentence))
    return note
