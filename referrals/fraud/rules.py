"""What the checks make of what they saw: points with a reason each, and what follows from their sum. Pure.

Some things prove that nobody new was brought: they are refused. Everything else only hints at it, and hints are worth
so little together that they never refuse by themselves under the default terms: a person looks. Families share homes,
phones and cards, offices share networks. More evidence never lowers a score.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from msgspec import Struct

from core.i18n import N_
from loyalty.program import Referral

Outcome = Literal["clear", "review", "block"]

PROOF = 100
# Below the default score from which a referral is refused.
MOST_HINTS = 75
# What concerns networks only, and so never refuses, whatever the terms.
_NETWORK = frozenset({"same_network", "network_claims"})


class Evidence(Struct, frozen=True, omit_defaults=True):
    """What is known of a referral, as keyed hashes of the friend's, booleans and counts. Nothing here names anybody.

    `told` is false where Shopify did not let us see who they are. Counts of what others did leave out the friend's own.
    """

    first_only: bool = True
    told: bool = True

    email: str | None = None
    stem: str | None = None
    phone: str | None = None
    home: str | None = None
    payment: str | None = None
    network: str | None = None
    visitor: str | None = None

    same_customer: bool = False
    same_email: bool = False
    same_phone: bool = False
    same_payment: bool = False
    same_home: bool = False
    same_house: bool = False
    sent_home: bool = False
    same_name: bool = False
    same_surname: bool = False
    same_network: bool = False
    same_visitor: bool = False
    disposable: bool = False

    # The friend's orders before this one, and those under another way to write their address.
    earlier_orders: int = 0
    twin_orders: int = 0
    # Friends of anybody in the last year with the friend's phone, card or home.
    shared_phone: int = 0
    shared_payment: int = 0
    shared_home: int = 0
    # The referrer's other friends whose address differs in digits only.
    numbered: int = 0
    # Other addresses that claimed from this browser in 30 days, from this network in a day; of this code in an hour.
    visitor_claims: int = 0
    network_claims: int = 0
    code_claims: int = 0
    # The referrer's other friends in the day before.
    day_referrals: int = 0
    # The referrer's friends whose orders were undone: how many, and in percent of all.
    ended: int = 0
    ended_percent: int = 0
    # How many people the chain has that leads back to the friend; 0 for none.
    circle: int = 0


class Reason(Struct, frozen=True, omit_defaults=True):
    """Why a referral has points. `key` is stable, `text` is English with its number `n`; 0 points only tell."""

    key: str
    points: int
    text: str
    n: int | None = None


class Verdict(Struct, frozen=True):
    """`score` is 0 to 100. Reasons come with the weightiest first."""

    score: int
    reasons: tuple[Reason, ...]
    outcome: Outcome


class _Check(NamedTuple):
    """`points` of a piece of evidence, and what to say; a field of the evidence fills `%(n)s`."""

    key: str
    points: Callable[[Evidence], int]
    text: str
    n: str | None = None


def judge(evidence: Evidence, terms: Referral) -> Verdict:
    """The verdict on a referral under the program's terms."""
    reasons = sorted(_reasons(evidence), key=lambda reason: (-reason.points, reason.key))
    proof = sum(reason.points for reason in reasons if reason.points >= PROOF)
    hints = sum(reason.points for reason in reasons if reason.points < PROOF)
    score = min(100, proof + min(MOST_HINTS, hints))
    return Verdict(score, tuple(reasons), _outcome(score, reasons, terms))


def _outcome(score: int, reasons: list[Reason], terms: Referral) -> Outcome:
    by_network = all(reason.key in _NETWORK for reason in reasons if reason.points)
    if score >= terms.block_score and not by_network:
        return "block"
    return "review" if score >= terms.review_score else "clear"


def _reasons(evidence: Evidence) -> list[Reason]:
    told = [(check, check.points(evidence)) for check in (*_PROOFS, *_HINTS)]
    found = [_reason(check, points, evidence) for check, points in told if points]
    return found + [Reason(check.key, 0, check.text) for check in _NOTES if check.points(evidence)]


def _reason(check: _Check, points: int, evidence: Evidence) -> Reason:
    if check.n is None:
        return Reason(check.key, points, check.text)
    n = getattr(evidence, check.n)
    return Reason(check.key, points, check.text % {"n": n}, n)


def _if(field: str, points: int) -> Callable[[Evidence], int]:
    return lambda evidence: points if getattr(evidence, field) else 0


def _from(field: str, *steps: tuple[int, int]) -> Callable[[Evidence], int]:
    """Points by steps of (from how many on, points), both rising."""
    return lambda evidence: max((points for least, points in steps if getattr(evidence, field) >= least), default=0)


def _not_new(field: str) -> Callable[[Evidence], int]:
    return lambda evidence: PROOF if evidence.first_only and getattr(evidence, field) else 0


def _one_person(evidence: Evidence) -> int:
    return PROOF if evidence.same_phone and evidence.same_home and evidence.same_payment else 0


def _undone(evidence: Evidence) -> int:
    often = evidence.ended_percent >= 50
    return 40 if often and evidence.ended >= 3 else 25 if often and evidence.ended >= 2 else 0


def _home(evidence: Evidence) -> int:
    return 25 if evidence.same_home else 0


def _sent_home(evidence: Evidence) -> int:
    return 20 if evidence.sent_home and not evidence.same_home else 0


def _house(evidence: Evidence) -> int:
    return 10 if evidence.same_house and not (evidence.same_home or evidence.sent_home) else 0


def _family(evidence: Evidence) -> int:
    return int(evidence.same_home and evidence.same_surname and not evidence.same_name)


_PROOFS = (
    _Check("same_customer", _if("same_customer", PROOF), N_("The friend is the referrer: it is the same customer.")),
    _Check("same_email", _if("same_email", PROOF), N_("The friend's e-mail address leads to the referrer's mailbox.")),
    _Check("one_person", _one_person, N_("The friend has the referrer's phone number, address and card.")),
    _Check(
        "not_new", _not_new("earlier_orders"),
        N_("The friend is not new. Orders before this one: %(n)s."), "earlier_orders",
    ),
    _Check(
        "not_new_twin", _not_new("twin_orders"),
        N_("The friend has ordered before under another way to write the same e-mail address. Orders: %(n)s."),
        "twin_orders",
    ),
)  # fmt: skip

# Phone and card are close to a person, and alone reason enough to look. A home is shared by families and flats: with
# the network that comes with it it stays below that.
_HINTS = (
    _Check("same_phone", _if("same_phone", 40), N_("The friend's phone number is the referrer's own.")),
    _Check("same_payment", _if("same_payment", 40), N_("The friend paid with the referrer's card.")),
    _Check("same_home", _home, N_("The friend's address is the referrer's own.")),
    _Check("sent_home", _sent_home, N_("The order went to the referrer's address, though the friend lives elsewhere.")),
    _Check("same_house", _house, N_("The friend lives in the referrer's house, in another flat.")),
    _Check("same_name", _if("same_name", 25), N_("The friend has the referrer's first and last name.")),
    _Check("same_visitor", _if("same_visitor", 20), N_("The friend used a browser that the referrer has used.")),
    _Check("same_network", _if("same_network", 5), N_("The friend was in the referrer's network.")),
    _Check("disposable", _if("disposable", 40), N_("The friend's e-mail address is one to be thrown away.")),
    _Check(
        "shared_phone", _from("shared_phone", (1, 30), (2, 40)),
        N_("Other friends who were brought gave the same phone number: %(n)s."), "shared_phone",
    ),
    _Check(
        "shared_payment", _from("shared_payment", (1, 30), (2, 40)),
        N_("Other friends who were brought paid with the same card: %(n)s."), "shared_payment",
    ),
    _Check(
        "shared_home", _from("shared_home", (3, 5), (5, 25), (8, 40)),
        N_("Other friends who were brought live at the same address: %(n)s."), "shared_home",
    ),
    _Check(
        "numbered_email", _from("numbered", (1, 25), (2, 40)),
        N_("The referrer's friends have e-mail addresses that differ in a number only: %(n)s more."), "numbered",
    ),
    _Check(
        "visitor_claims", _from("visitor_claims", (1, 10), (2, 25), (3, 40)),
        N_("Other e-mail addresses that were entered in the same browser within 30 days: %(n)s."), "visitor_claims",
    ),
    _Check(
        "network_claims", _from("network_claims", (5, 5), (20, 10)),
        N_("Other e-mail addresses that were entered from the same network within a day: %(n)s."), "network_claims",
    ),
    _Check(
        "code_claims", _from("code_claims", (10, 10), (30, 20)),
        N_("E-mail addresses that were entered for this code within an hour: %(n)s."), "code_claims",
    ),
    _Check(
        "busy_referrer", _from("day_referrals", (5, 20), (10, 40)),
        N_("Other friends of the referrer who ordered within a day: %(n)s."), "day_referrals",
    ),
    _Check(
        "undone_before", _undone,
        N_("The referrer's friends who cancelled or sent everything back: %(n)s, at least every second."), "ended",
    ),
    _Check(
        "circle", _if("circle", 40),
        N_("The friend brought the referrer, maybe through others: %(n)s people in a circle."), "circle",
    ),
)  # fmt: skip

_NOTES = (
    _Check("family", _family, N_("They share a home and a surname, as families do.")),
    _Check(
        "not_told", lambda evidence: int(not evidence.told),
        N_("Shopify did not let us see names, addresses, phone numbers and cards, so these were not compared."),
    ),
)  # fmt: skip


TEXTS = {check.key: check.text for check in (*_PROOFS, *_HINTS, *_NOTES)}
