"""What one program changes about another, as plain sentences in the order of the document. Pure.

Parts are told apart by their stable keys, so a part that moves or is renamed is still the same part.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

from core.i18n import N_, NN_, _, ngettext
from loyalty.program import (
    Activity,
    Benefit,
    Bonus,
    Expiry,
    Milestone,
    Partnership,
    Program,
    Reward,
    Tier,
    TierBenefit,
)
from loyalty.program.parts import Part
from loyalty.publishing.faults import SEPARATOR
from loyalty.publishing.names import named
from loyalty.publishing.values import Voice, days_text
from loyalty.wording.words import capital, steps

Keyed = Bonus | Activity | Tier | Reward | TierBenefit | Milestone | Partnership


class Change(NamedTuple):
    """One difference: of what kind, in which field (parts by their keys), and what it means."""

    kind: Literal["new", "gone", "changed"]
    field: str
    text: str


def changes(before: Program, after: Program, currency: str) -> tuple[Change, ...]:
    """Every difference between two programs of a shop with this currency."""
    return tuple(_Comparison(before, after, currency).run())


# The sentences of fields whose plain form would read badly; by the part's name in the document, and the field.
_TOLD = {
    ("program", "name"): N_("The program is now called %(new)s instead of %(old)s."),
    ("program", "timezone"): N_("Days and dates now follow the clock of %(new)s instead of %(old)s."),
    ("orders", "points_per_unit"): N_("Orders now earn %(new)s per currency unit instead of %(old)s."),
    ("ladder", "metric"): N_("Tiers now go by %(new)s instead of %(old)s."),
    ("ladder", "period"): N_("What counts for tiers is now %(new)s instead of %(old)s."),
    ("ladder", "window_days"): N_("For tiers the last %(new)s now count instead of the last %(old)s."),
    ("ladder", "demotion"): N_("Members now fall to %(new)s instead of %(old)s."),
    ("tiers", "threshold"): N_("%(name)s now starts at %(new)s instead of %(old)s."),
    ("tiers", "multiplier"): N_("%(name)s now earns %(new)s times the points instead of %(old)s times."),
    ("bonuses", "multiplier"): N_("%(name)s now multiplies points by %(new)s instead of %(old)s."),
    ("rewards", "cost"): N_("%(name)s now costs %(new)s instead of %(old)s."),
    ("rewards", "amount"): N_("%(name)s is now worth %(new)s instead of %(old)s."),
    ("rewards", "percentage"): N_("%(name)s now takes off %(new)s instead of %(old)s."),
    ("joining", "points"): N_("Joining now brings %(new)s instead of %(old)s."),
    ("activities", "points"): N_("%(name)s now brings %(new)s instead of %(old)s."),
    ("bonuses", "points"): N_("%(name)s now brings %(new)s instead of %(old)s."),
    ("referral", "friend"): N_("A friend now gets %(new)s instead of %(old)s."),
    ("referral", "friend_minimum"): N_("A friend's first order must now be worth at least %(new)s instead of %(old)s."),
    ("referral", "referrer"): N_("Members now get %(new)s for a friend instead of %(old)s."),
    ("referral", "holding_days"): N_("What a referrer gets now comes %(new)s after payment instead of %(old)s."),
    ("referral", "window_days"): N_("A friend's click or claim now counts for %(new)s instead of %(old)s."),
    ("referral", "monthly_limit"): N_("A referrer is now rewarded for %(new)s a month instead of %(old)s."),
    ("referral", "review_score"): N_("Referrals now wait for a person from a score of %(new)s on instead of %(old)s."),
    ("referral", "block_score"): N_("Referrals are now refused from a score of %(new)s on instead of %(old)s."),
    ("referral", "minimum_payout"): N_("Commission is now paid out from %(new)s on instead of %(old)s."),
    ("tiers", "referrer"): N_("%(name)s now get %(new)s for a friend instead of %(old)s."),
    ("milestones", "benefit"): N_("%(name)s now brings %(new)s on top instead of %(old)s."),
    ("partnerships", "friend"): N_("%(name)s: their friends now get %(new)s instead of %(old)s."),
    ("partnerships", "friend_minimum"): N_(
        "%(name)s: their friends' orders must now be worth at least %(new)s instead of %(old)s."
    ),
    ("partnerships", "referrer"): N_("%(name)s: they now get %(new)s for a friend instead of %(old)s."),
}
# Fields whose every value has a sentence of its own.
_STATED = {
    ("orders", "include_tax"): (N_("Tax no longer counts as spend."), N_("Tax now counts as spend.")),
    ("orders", "include_shipping"): (N_("Shipping no longer counts as spend."), N_("Shipping now counts as spend.")),
    ("orders", "available"): {
        "paid": N_("Points now arrive when an order is paid, whether it is fulfilled or not."),
        "fulfilled": N_("Points now arrive only when an order is paid and fulfilled."),
    },
    ("program", "stacking"): {
        "best": N_("Where several bonuses match, only the best one now counts instead of all of them."),
        "stack": N_("Where several bonuses match, all of them now count instead of the best one only."),
    },
    ("program", "clawback"): {
        "negative": N_("Taking back points that were spent now makes a balance negative."),
        "clamp": N_("Taking back points that were spent now stops at a balance of zero."),
    },
    ("program", "reward_refunds"): {
        "return": N_("The points of a reward now come back when its order is cancelled or refunded in full."),
        "keep": N_("The points of a reward no longer come back when its order is cancelled or refunded."),
    },
    ("referral", "enabled"): (N_("Members can no longer bring friends."), N_("Members can now bring friends.")),
    ("referral", "clawback"): (
        N_("Referrers now keep what they got when the friend's order is refunded later."),
        N_("What a referrer got is now taken back when the friend's order is refunded later."),
    ),
    ("partnerships", "every_order"): (
        N_("%(name)s: only a friend's first order counts now."),
        N_("%(name)s: every order with their code counts now."),
    ),
}
# What is listed by keys inside another part, whose fields are told by the name of the list.
_LISTS = {"ladder": ("tiers",), "referral": ("tiers", "milestones", "partnerships")}


class _Comparison:
    def __init__(self, before: Program, after: Program, currency: str) -> None:
        self.before, self.after = before, after
        self.old, self.new = Voice(before, currency), Voice(after, currency)
        self.was, self.becomes = before.model_dump(), after.model_dump()

    def run(self) -> Iterator[Change]:
        apart = {"orders", "bonuses", "joining", "activities", "ladder", "rewards", "referral", "expiry"}
        yield from self._fields(("program",), self.before, self.after, apart)
        for name in ("orders", "joining"):
            yield from self._part(name)
        for name in ("bonuses", "activities"):
            yield from self._keyed((name,), getattr(self.before, name), getattr(self.after, name))
        yield from self._with_lists("ladder")
        yield from self._keyed(("rewards",), self.before.rewards, self.after.rewards)
        yield from self._order_of_rewards()
        yield from self._with_lists("referral")
        yield from self._expiry()

    def _part(self, name: str, apart: Iterable[str] = ()) -> Iterator[Change]:
        yield from self._fields((name,), getattr(self.before, name), getattr(self.after, name), apart)

    def _with_lists(self, name: str) -> Iterator[Change]:
        yield from self._part(name, _LISTS[name])
        for held in _LISTS[name]:
            before, after = (getattr(getattr(program, name), held) for program in (self.before, self.after))
            yield from self._keyed((name, held), before, after)

    def _keyed(self, path: tuple[str, ...], before: Sequence[Keyed], after: Sequence[Keyed]) -> Iterator[Change]:
        held, wanted = {_key(part): part for part in before}, {_key(part): part for part in after}
        for key, part in wanted.items():
            at = (*path, key)
            if key in held:
                yield from self._fields(at, held[key], part)
            else:
                told = steps([named(self.becomes, at), *summary(part, self.new)])
                yield Change("new", SEPARATOR.join(at), _("New: %(part)s.", part=told))
        for at in [(*path, key) for key in held if key not in wanted]:
            yield Change("gone", SEPARATOR.join(at), _("Gone: %(part)s.", part=named(self.was, at)))

    def _fields(self, path: tuple[str, ...], before: Part, after: Part, apart: Iterable[str] = ()) -> Iterator[Change]:
        """The fields in which two versions of one part differ, without those told `apart`."""
        for field in dict.fromkeys((*type(before).model_fields, *type(after).model_fields)):
            old, new = getattr(before, field, None), getattr(after, field, None)
            if field in apart or old == new:
                continue
            if isinstance(old, Part) and isinstance(new, Part) and not isinstance(new, Benefit):
                yield from self._fields((*path, field), old, new)
            else:
                place = SEPARATOR.join((*path, field)).removeprefix(f"program{SEPARATOR}")
                yield Change("changed", place, capital(self._told(path, field, old, new)))

    def _told(self, path: tuple[str, ...], field: str, old: Any, new: Any) -> str:
        room = path[1] if path[0] in _LISTS and len(path) > 1 else path[0]
        subject = "" if room == "program" else named(self.becomes, path)
        stated: Any = _STATED.get((room, field))
        if stated:
            return _(stated[new], name=subject)
        if field == "name" and room != "program":
            return _("%(old)s is now called %(new)s.", old=old, new=new)
        known = {"old": self.old.says(field, old), "new": self.new.says(field, new)}
        if (room, field) in _TOLD:
            return _(_TOLD[room, field], name=subject, **known)
        at = (field,) if room == "program" else (*path, field)
        return _("%(field)s is now %(new)s instead of %(old)s.", field=named(self.becomes, at), **known)

    def _order_of_rewards(self) -> Iterator[Change]:
        before, after = [r.key for r in self.before.rewards], [r.key for r in self.after.rewards]
        if [key for key in before if key in after] != [key for key in after if key in before]:
            yield Change("changed", "rewards", _("Rewards are listed in another order."))

    def _expiry(self) -> Iterator[Change]:
        before, after = self.before.expiry, self.after.expiry
        if before == after:
            return
        if after is None:
            text = _("Points no longer expire.")
        elif before is None:
            text = _("Points now expire %(new)s; before, they never did.", new=lasting(after))
        elif lasting(before) == lasting(after):
            known = {"new": days_text(after.notice_days), "old": days_text(before.notice_days)}
            text = _("A stricter expiry is now announced %(new)s ahead instead of %(old)s.", **known)
        else:
            text = _("Points now expire %(new)s instead of %(old)s.", new=lasting(after), old=lasting(before))
        yield Change("changed", "expiry", text)


_LASTING = {
    ("inactivity", True): NN_("after %(num)s month without activity", "after %(num)s months without activity"),
    ("inactivity", False): NN_("after %(num)s day without activity", "after %(num)s days without activity"),
    ("lot", True): NN_("%(num)s month after they were earned", "%(num)s months after they were earned"),
    ("lot", False): NN_("%(num)s day after they were earned", "%(num)s days after they were earned"),
}


def lasting(expiry: Expiry) -> str:
    """When points expire: "12 months after they were earned"."""
    number, forms = expiry.months or expiry.days or 0, _LASTING[expiry.kind, bool(expiry.months)]
    return ngettext(*forms, number)


def _key(part: Keyed) -> str:
    if isinstance(part, TierBenefit):
        return part.tier
    return str(part.friends) if isinstance(part, Milestone) else part.key


def summary(part: Keyed, voice: Voice) -> list[str]:
    """What a part brings or takes, and when, in a few words each."""
    if isinstance(part, Tier):
        return [_("from %(start)s", start=voice.measured(part.threshold))]
    if isinstance(part, TierBenefit | Partnership):
        return [_("%(benefit)s for a friend", benefit=voice.benefit(part.referrer))]
    if isinstance(part, Milestone):
        return [_("%(benefit)s on top", benefit=voice.benefit(part.benefit))]
    brings = voice.says("cost", part.cost) if isinstance(part, Reward) else _brings(part, voice)
    return [told for told in (brings, voice.span(part.starts_at, part.ends_at)) if told]


def _brings(part: Bonus | Activity, voice: Voice) -> str:
    gives = voice.says("points", part.points)
    if not isinstance(part, Bonus):
        return gives
    if not part.points:
        return _("%(times)s × points", times=voice.says("multiplier", part.multiplier))
    return _("%(points)s an order", points=gives) if part.per == "order" else _("%(points)s an item", points=gives)
