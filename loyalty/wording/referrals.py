"""Points that bringing a friend brought, in words. Who the friend is stays with the friend."""

from loyalty.models import Posting
from loyalty.wording.words import Teller, TierNames, Told, points_text, went_back


def _friends(told: Told) -> str:
    count = int(told.get("friends") or 1)
    return f"{count:,} friends you invited have" if count > 1 else "a friend you invited has"


def _brought(posting: Posting, told: Told, _: TierNames) -> str:
    return f"{points_text(posting.points)} because a friend you invited placed {_order(told)}."


def _order(told: Told) -> str:
    return "an order" if told.get("every_order") else "a first order"


def _invited(posting: Posting, told: Told, _: TierNames) -> str:
    return f"{points_text(posting.points)} because a friend invited you, and your first order is paid."


def _milestone(posting: Posting, told: Told, _: TierNames) -> str:
    return f"{points_text(posting.points)} because {_friends(told)} placed a first order."


def _brought_no_more(posting: Posting, told: Told, _: TierNames) -> str:
    return f"{went_back(posting.points)}: the order of a friend you invited no longer counts."


def _invited_no_more(posting: Posting, told: Told, _: TierNames) -> str:
    return f"{went_back(posting.points)}: the order they were for no longer counts."


def _milestone_no_more(posting: Posting, told: Told, _: TierNames) -> str:
    return f"{went_back(posting.points)}: fewer friends you invited now have an order that counts."


TELLERS: dict[str, Teller] = {
    "brought_friend": _brought,
    "came_by_friend": _invited,
    "friends_reached": _milestone,
    "brought_friend_undone": _brought_no_more,
    "came_by_friend_undone": _invited_no_more,
    "friends_reached_undone": _milestone_no_more,
}
