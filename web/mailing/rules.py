"""Which events are worth a mail, and whether it may go. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from shops.mailings import ENDING, EXPIRING, FRIEND, REACHED, REWARD, Mailings

# What happened longer ago is no news: nobody wants to hear of a tier that they reached last year.
NEWS = timedelta(days=2)
# Members are reminded 30, 7 and 1 days ahead, and points of many orders expire on many days: a mail a week is enough.
QUIET = {EXPIRING: timedelta(days=7)}

EVENTS = ("points.expiring", "tier.changed", "tier.ending", "reward.redeemed", "reward.issued", "referral.rewarded")


class Item(NamedTuple):
    """Something to mail about: the kind, and the fact that it is sent once for."""

    kind: str
    fact: str
    data: Mapping[str, Any]
    recorded_at: datetime


class Withheld(Exception):
    """A mail that is not sent, for a reason that is kept: `old`, `over`, `stopped`, `not_agreed`, `lately`, …"""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def item(kind: str, data: Mapping[str, Any], occurred_at: datetime, recorded_at: datetime) -> Item | None:
    """What an event is worth mailing about, if anything. A tier that was given by hand, or that the ladder gave when
    it was changed, comes without a mail: so would those of a thousand members brought from an earlier program."""
    if kind == "tier.changed":
        if not (data.get("rose") and data.get("why") == "reached"):
            return None
        return Item(REACHED, f"{data['tier']}:{occurred_at:%Y-%m-%d}", data, recorded_at)
    told = {
        "points.expiring": (EXPIRING, "{expires_at}:{days}"),
        "tier.ending": (ENDING, "{tier}:{until}"),
        "reward.redeemed": (REWARD, "{reward_id}"),
        "reward.issued": (REWARD, "{reward_id}"),
        "referral.rewarded": (FRIEND, "{referral_id}"),
    }
    if kind not in told:
        return None
    named, fact = told[kind]
    return Item(named, fact.format_map(dict(data)), data, recorded_at)


def newest(items: Iterable[Item]) -> list[Item]:
    """Of tiers reached one after the other only the last is news, and so of points that expire; the rest, each once."""
    kept: dict[tuple[str, str], Item] = {}
    for one in items:
        kept[one.kind, "" if one.kind in (REACHED, EXPIRING) else one.fact] = one
    return list(kept.values())


def check_consent(mailings: Mailings, kind: str, *, wants_mails: bool | None, told: Iterable[bool | None]) -> None:
    """`wants_mails`: what the member said of these mails, `told`: what they said of news, here and in the shop.

    One no outweighs every yes. Raises Withheld.
    """
    said = list(told)
    if wants_mails is False:
        raise Withheld("stopped")
    agreed = wants_mails is True or (True in said and False not in said)
    if not mailings.may_go(kind, agreed=agreed):
        raise Withheld("not_agreed")


def check_quiet(kind: str, last: datetime | None, now: datetime) -> None:
    """Raises Withheld while the last mail of a kind is too fresh."""
    if last is not None and kind in QUIET and now - last < QUIET[kind]:
        raise Withheld("lately")
