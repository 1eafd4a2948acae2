"""The words of mails to members, in the language spoken now. Pure: facts in, a letter out."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from core.i18n import _, day, isolated, listed, ngettext, points
from loyalty.expiry.rules import Due
from loyalty.program import Expiry
from loyalty.wording.expiry import due_text


class Letter(NamedTuple):
    """A mail's words: `title` is its subject, too. `code` stands in a box of its own; `button` names where to go on."""

    title: str
    lines: list[str]
    button: str
    code: str = ""
    items: Sequence[str] = ()


def expiring(dues: Sequence[Due], expiry: Expiry, balance: int, can: Sequence[str], zone: ZoneInfo) -> Letter:
    """`dues` come soonest first; `can` names the rewards that the balance is enough for."""
    soonest, ends = dues[0], day(dues[0].at, zone)
    title = ngettext("%(num)s point expires on %(day)s", "%(num)s points expire on %(day)s", soonest.points, day=ends)
    lines = [_("You have %(points)s.", points=points(balance))]
    if can:
        lines.append(_("That's enough for %(rewards)s.", rewards=listed([isolated(name) for name in can])))
    return Letter(title, lines, _("See what I can have"), items=[due_text(due, expiry, zone) for due in dues])


def reached(tier: str, why: str, perks: Sequence[str], ahead: Sequence[str]) -> Letter:
    """`why` says what it was reached with, `ahead` how far the next tier is and until when this one holds."""
    title = _("You're %(tier)s now", tier=isolated(tier))
    return Letter(title, [why, *ahead], _("See my rewards"), items=perks)


def ending(tier: str, until: datetime, ahead: str, zone: ZoneInfo) -> Letter:
    """`ahead` says what it takes to stay, empty for a tier that ends whatever comes."""
    title = _("%(tier)s is yours until %(day)s", tier=isolated(tier), day=day(until, zone))
    lines = [ahead] if ahead else []
    lines.append(_("Your points stay yours, whatever tier you're in."))
    return Letter(title, lines, _("See where I stand"))


def reward(name: str, spent: int, how: str, code: str, *, discount: bool) -> Letter:
    """`how` says how it is used, and until when."""
    title = _("Your reward is ready: %(reward)s", reward=isolated(name))
    why = _("%(points)s spent on %(reward)s.", points=points(spent), reward=isolated(name)) if spent else ""
    return Letter(title, [line for line in (how, why) if line], _use(discount), code)


def friend(name: str, gained: int, how: str, code: str, *, discount: bool) -> Letter:
    """`name` and `code` of the reward that a friend's order brought, or else the points that it `gained`."""
    title = _("A friend you invited has ordered")
    if name:
        thanks = _("Thank you. %(reward)s is yours.", reward=isolated(name))
        return Letter(title, [thanks, how], _use(discount), code)
    why = _("%(points)s because a friend you invited placed a first order.", points=points(gained))
    return Letter(title, [why], _("See my rewards"))


def _use(discount: bool) -> str:
    return _("Use it now") if discount else _("See my rewards")
