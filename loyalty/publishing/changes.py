"""What one program changes about another, as plain sentences in the order of the document. Pure.

Parts are told apart by their stable keys, so a part that moves or is renamed is still the same part.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

from core.i18n import NN_, ngettext
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
from loyalty.publishing.values import Voice, counted, nth

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
    ("program", "name"): "The program is now called {new} instead of {old}.",
    ("program", "timezone"): "Days and dates now follow the clock of {new} instead of {old}.",
    ("program", "stacking"): "Where several bonuses match, {new} now count{s} instead of {old}.",
    ("orders", "points_per_unit"): "Orders now earn {new} per currency unit instead of {old}.",
    ("ladder", "metric"): "Tiers now go by {new} instead of {old}.",
    ("ladder", "period"): "What counts for tiers is now {new} instead of {old}.",
    ("ladder", "window_days"): "For tiers the last {new} now count instead of the last {old}.",
    ("ladder", "demotion"): "Members now fall to {new} instead of {old}.",
    ("tiers", "threshold"): "{name} now starts at {new} instead of {old}.",
    ("tiers", "multiplier"): "{name} now earns {new} times the points instead of {old} times.",
    ("bonuses", "multiplier"): "{name} now multiplies points by {new} instead of {old}.",
    ("rewards", "cost"): "{name} now costs {new} instead of {old}.",
    ("rewards", "amount"): "{name} is now worth {new} instead of {old}.",
    ("rewards", "percentage"): "{name} now takes off {new} instead of {old}.",
    ("joining", "points"): "Joining now brings {new} instead of {old}.",
    ("activities", "points"): "{name} now brings {new} instead of {old}.",
    ("bonuses", "points"): "{name} now brings {new} instead of {old}.",
    ("referral", "friend"): "A friend now gets {new} instead of {old}.",
    ("referral", "friend_minimum"): "A friend's first order must now be worth at least {new} instead of {old}.",
    ("referral", "referrer"): "Members now get {new} for a friend instead of {old}.",
    ("referral", "holding_days"): "What a referrer gets now comes {new} after payment instead of {old}.",
    ("referral", "window_days"): "A friend's click or claim now counts for {new} instead of {old}.",
    ("referral", "monthly_limit"): "A referrer is now rewarded for {new} a month instead of {old}.",
    ("referral", "review_score"): "Referrals now wait for a person from a score of {new} on instead of {old}.",
    ("referral", "block_score"): "Referrals are now refused from a score of {new} on instead of {old}.",
    ("referral", "minimum_payout"): "Commission is now paid out from {new} on instead of {old}.",
    ("tiers", "referrer"): "{name} now get {new} for a friend instead of {old}.",
    ("milestones", "benefit"): "The {name} now brings {new} on top instead of {old}.",
    ("partnerships", "friend"): "{name}: their friends now get {new} instead of {old}.",
    ("partnerships", "friend_minimum"): "{name}: their friends' orders must now be worth at least {new} "
    "instead of {old}.",
    ("partnerships", "referrer"): "{name}: they now get {new} for a friend instead of {old}.",
}
# Fields whose every value has a sentence of its own.
_STATED = {
    ("orders", "include_tax"): ("Tax no longer counts as spend.", "Tax now counts as spend."),
    ("orders", "include_shipping"): ("Shipping no longer counts as spend.", "Shipping now counts as spend."),
    ("orders", "available"): {
        "paid": "Points now arrive when an order is paid, whether it is fulfilled or not.",
        "fulfilled": "Points now arrive only when an order is paid and fulfilled.",
    },
    ("program", "clawback"): {
        "negative": "Taking back points that were spent now makes a balance negative.",
        "clamp": "Taking back points that were spent now stops at a balance of zero.",
    },
    ("program", "reward_refunds"): {
        "return": "The points of a reward now come back when its order is cancelled or refunded in full.",
        "keep": "The points of a reward no longer come back when its order is cancelled or refunded.",
    },
    ("referral", "enabled"): ("Members can no longer bring friends.", "Members can now bring friends."),
    ("referral", "clawback"): (
        "Referrers now keep what they got when the friend's order is refunded later.",
        "What a referrer got is now taken back when the friend's order is refunded later.",
    ),
    ("partnerships", "every_order"): (
        "{name}: only a friend's first order counts now.",
        "{name}: every order with their code counts now.",
    ),
}
_SUBJECTS = {"orders": "Points for orders", "joining": "Joining", "ladder": "Tiers", "referral": "Referrals"}
_LABELS = {
    "starts_at": "its start",
    "ends_at": "its end",
    "minimum_order": "the least an order must be worth",
    "minimum_spend": "the least an order must be worth",
    "keep": "what it takes to keep",
    "tiers": "who may have it",
    "stock": "how many there are",
    "per_member": "how many each member may have",
    "valid_days": "the time to use it",
    "waiting_days": "the days to wait",
    "points_per_day": "the most points a day",
    "points_ever": "the most points in all",
    "times_per_day": "the most times a day",
    "times_ever": "the most times in all",
    "url": "the link",
    "landing_title": "the headline of their friends' page",
    "landing_text": "the text of their friends' page",
}
# What is listed by keys inside another part, whose fields are told by the name of the list.
_LISTS = {"ladder": ("tiers",), "referral": ("tiers", "milestones", "partnerships")}


class _Comparison:
    def __init__(self, before: Program, after: Program, currency: str) -> None:
        self.before, self.after = before, after
        self.old, self.new = Voice(before, currency), Voice(after, currency)

    def run(self) -> Iterator[Change]:
        apart = {"orders", "bonuses", "joining", "activities", "ladder", "rewards", "referral", "expiry"}
        yield from self._fields(("program",), "", self.before, self.after, apart)
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
        yield from self._fields((name,), _SUBJECTS[name], getattr(self.before, name), getattr(self.after, name), apart)

    def _with_lists(self, name: str) -> Iterator[Change]:
        yield from self._part(name, _LISTS[name])
        for held in _LISTS[name]:
            before, after = (getattr(getattr(program, name), held) for program in (self.before, self.after))
            yield from self._keyed((name, held), before, after)

    def _keyed(self, path: tuple[str, ...], before: Sequence[Keyed], after: Sequence[Keyed]) -> Iterator[Change]:
        held, wanted = {_key(part): part for part in before}, {_key(part): part for part in after}
        for key, part in wanted.items():
            if key in held:
                yield from self._fields((*path, key), called(part, self.new), held[key], part)
            else:
                text = ", ".join(filter(None, (f"New: {called(part, self.new)}", summary(part, self.new))))
                yield Change("new", SEPARATOR.join((*path, key)), f"{text}.")
        for key in [key for key in held if key not in wanted]:
            yield Change("gone", SEPARATOR.join((*path, key)), f"Gone: {called(held[key], self.old)}.")

    def _fields(
        self, path: tuple[str, ...], subject: str, before: Part, after: Part, apart: Iterable[str] = ()
    ) -> Iterator[Change]:
        """The fields in which two versions of one part differ, without those told `apart`."""
        for field in dict.fromkeys((*type(before).model_fields, *type(after).model_fields)):
            old, new = getattr(before, field, None), getattr(after, field, None)
            if field in apart or old == new:
                continue
            if isinstance(old, Part) and isinstance(new, Part) and not isinstance(new, Benefit):
                yield from self._fields((*path, field), subject, old, new)
            else:
                place = SEPARATOR.join((*path, field)).removeprefix(f"program{SEPARATOR}")
                yield Change("changed", place, self._told(path, subject, field, old, new))

    def _told(self, path: tuple[str, ...], subject: str, field: str, old: Any, new: Any) -> str:
        room = path[1] if path[0] in _LISTS and len(path) > 1 else path[0]
        stated: Any = _STATED.get((room, field))
        if stated:
            return str(stated[new]).format(name=subject)
        if field == "name" and room != "program":
            return f"{old} is now called {new}."
        known = {"name": subject, "old": self.old.says(field, old), "new": self.new.says(field, new)}
        if (room, field) in _TOLD:
            return _TOLD[room, field].format(**known, s="s" * (new == "best"))
        label = _LABELS.get(field, field.replace("_", " "))
        return f"{subject}: {label} is now {known['new']} instead of {known['old']}."

    def _order_of_rewards(self) -> Iterator[Change]:
        before, after = [r.key for r in self.before.rewards], [r.key for r in self.after.rewards]
        if [key for key in before if key in after] != [key for key in after if key in before]:
            yield Change("changed", "rewards", "Rewards are listed in another order.")

    def _expiry(self) -> Iterator[Change]:
        before, after = self.before.expiry, self.after.expiry
        if before == after:
            return
        if after is None:
            text = "Points no longer expire."
        elif before is None:
            text = f"Points now expire {lasting(after)}; before, they never did."
        elif lasting(before) == lasting(after):
            notice = f"{counted(after.notice_days, 'day')} ahead instead of {counted(before.notice_days, 'day')}"
            text = f"A stricter expiry is now announced {notice}."
        else:
            text = f"Points now expire {lasting(after)} instead of {lasting(before)}."
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


def called(part: Keyed, voice: Voice) -> str:
    """The name of a part."""
    if isinstance(part, TierBenefit):
        return f"{voice.says('tiers', (part.tier,))} referrers"
    return f"{nth(part.friends)} friend" if isinstance(part, Milestone) else part.name


def summary(part: Keyed, voice: Voice) -> str:
    """What a part brings or takes, in a few words."""
    if isinstance(part, Tier):
        return f"from {voice.measured(part.threshold)}"
    if isinstance(part, TierBenefit | Partnership):
        return f"{voice.benefit(part.referrer)} for a friend"
    if isinstance(part, Milestone):
        return f"{voice.benefit(part.benefit)} on top"
    if isinstance(part, Reward):
        return ", ".join(filter(None, (voice.says("cost", part.cost), voice.span(part.starts_at, part.ends_at))))
    gives = voice.says("points", part.points)
    if isinstance(part, Bonus):
        gives = f"{gives} an {part.per}" if part.points else f"{voice.says('multiplier', part.multiplier)} × points"
    return ", ".join(filter(None, (gives, voice.span(part.starts_at, part.ends_at))))
