"""Points that bringing a friend brought, in words. Who the friend is stays with the friend."""

from core.i18n import N_, _, ngettext, points
from loyalty.models import Posting
from loyalty.wording.words import Teller, TierNames, Told, capital, went_back

_BACK = {
    "brought_friend_undone": N_("%(moved)s: the order of a friend you invited no longer counts."),
    "came_by_friend_undone": N_("%(moved)s: the order they were for no longer counts."),
    "friends_reached_undone": N_("%(moved)s: fewer friends you invited now have an order that counts."),
}


def _brought(posting: Posting, told: Told, _names: TierNames) -> str:
    if told.get("every_order"):
        return _("%(points)s because a friend you invited placed an order.", points=points(posting.points))
    return _("%(points)s because a friend you invited placed a first order.", points=points(posting.points))


def _invited(posting: Posting, _told: Told, _names: TierNames) -> str:
    return _("%(points)s because a friend invited you, and your first order is paid.", points=points(posting.points))


def _milestone(posting: Posting, told: Told, _names: TierNames) -> str:
    return ngettext(
        "%(points)s because a friend you invited has placed a first order.",
        "%(points)s because %(num)s friends you invited have placed a first order.",
        int(told.get("friends") or 1), points=points(posting.points),
    )  # fmt: skip


def _back(posting: Posting, told: Told, _names: TierNames) -> str:
    text = _BACK[told["reason"]]
    return capital(_(text, moved=went_back(posting.points)))


TELLERS: dict[str, Teller] = {
    "brought_friend": _brought,
    "came_by_friend": _invited,
    "friends_reached": _milestone,
    **dict.fromkeys(_BACK, _back),
}
