"""Gathers what is known of a referral: both sides from Shopify, asked once, and our own tables. Of people only keyed
hashes, counts and booleans remain.
"""

import unicodedata
from collections.abc import Iterable
from typing import Any

from sqlalchemy.orm import Session

from core import crypto
from core.db import Database
from referrals.cases import Case
from referrals.fraud import history, mails, network, people
from referrals.fraud.addresses import Place, place
from referrals.fraud.history import Marks, Traces
from referrals.fraud.people import Person, Sides
from referrals.fraud.rules import Evidence
from referrals.models import ReferralClaim


def gather(database: Database, shop_id: int, case: Case) -> Evidence:
    """The evidence of a case. Asks Shopify outside any transaction; harmless to repeat.

    Raises Unavailable where Shopify does not answer: try again later. What it denies to tell is left out, and
    `Evidence.told` says so.
    """
    sides = people.ask(database, case)
    with database.transaction(shop_id) as session:
        return _evidence(session, case, sides)


def _evidence(session: Session, case: Case, sides: Sides) -> Evidence:
    kept, claim = history.emails(session, case), history.claim_of(session, case)
    friend, referrer = sides.friend, sides.referrer
    addresses = list(dict.fromkeys((*friend.emails, *kept.friend)))
    theirs = {*map(mails.index, addresses), *filter(None, (case.email_index, claim and claim.email_index))}
    referrers = {*map(mails.index, (*referrer.emails, *kept.referrer)), *kept.indices}
    marks = _marks(friend, addresses, case.email_index)
    return Evidence(
        first_only=case.first_only,
        told=sides.told,
        same_customer=_same_customer(case, friend),
        same_email=bool(theirs & referrers),
        disposable=any(mails.disposable(mails.domain_of(address)) for address in addresses),
        **_of_marks(marks),
        **_likeness(friend, referrer),
        **_traces(session, case, sides, claim, referrers),
        **_orders(session, case, friend, addresses),
        **(history.claim_counts(session, case, claim) if claim else {}),
        **history.shared(session, case, marks),
        **history.referrers_past(session, case),
        circle=history.circle(session, case),
    )


def _mark(kind: str, *values: str) -> str:
    return crypto.blind_index(f"referral-{kind}:{' '.join(values)}")


def _marks(friend: Person, addresses: list[str], index: str | None) -> Marks:
    """Of several of a kind the best one, which is the first."""
    email = addresses[0] if addresses else None
    return Marks(
        email=mails.index(email) if email else index,
        stem=mails.stem(email) if email else None,
        phone=next((_mark("phone", phone) for phone in friend.phones), None),
        home=next((_mark("home", *home) for home in friend.places), None),
        payment=next((_mark("card", card) for card in friend.cards), None),
    )


def _of_marks(marks: Marks) -> dict[str, Any]:
    return {name: getattr(marks, name) for name in marks.__struct_fields__}


def _same_customer(case: Case, friend: Person) -> bool:
    members = case.friend_member_id is not None and case.friend_member_id == case.referrer_member_id
    customers = {case.friend_customer_id, friend.customer_id} - {None}
    return members or case.referrer_customer_id in customers


def _likeness(friend: Person, referrer: Person) -> dict[str, Any]:
    """What both sides have in common, as far as Shopify told it of both."""
    own_name, name = _words(friend.name), _words(referrer.name)
    surname = _words([friend.surname])
    sent_to = friend.sent_to and place(friend.sent_to)
    return {
        "same_phone": bool(set(friend.phones) & set(referrer.phones)),
        "same_payment": bool(set(friend.cards) & set(referrer.cards)),
        "same_home": any(_lives(home, referrer) for home in friend.places),
        "same_house": any(home.house == other.house for home in friend.places for other in referrer.places),
        "sent_home": bool(sent_to and _lives(sent_to, referrer)),
        # One word alone is a first name that many have.
        "same_name": len(own_name) > 1 and own_name == name,
        "same_surname": bool(surname) and surname == _words([referrer.surname]),
    }


def _lives(home: Place, referrer: Person) -> bool:
    return any(home.same_home(other) for other in referrer.places)


def _words(names: Iterable[str]) -> list[str]:
    """The words of a name, without case and accents, in whatever order they were typed."""
    apart = unicodedata.normalize("NFKD", " ".join(names).casefold())
    return sorted("".join(letter for letter in apart if not unicodedata.combining(letter)).split())


def _traces(
    session: Session, case: Case, sides: Sides, claim: ReferralClaim | None, referrers: set[str]
) -> dict[str, Any]:
    """Whether both were seen in one browser or network; and the friend's own."""
    told = history.referrers_traces(session, case, referrers)
    networks = told.networks | set(filter(None, map(network.index, sides.referrer.ips)))
    friend = _friends_traces(sides.friend, claim)
    return {
        "same_visitor": bool(friend.visitors & told.visitors),
        "same_network": bool(friend.networks & networks),
        "visitor": next(iter(friend.visitors), None),
        "network": next(iter(sorted(friend.networks)), None),
    }


def _friends_traces(friend: Person, claim: ReferralClaim | None) -> Traces:
    networks = {*map(network.index, friend.ips), claim.network if claim else ""}
    return Traces(frozenset([claim.visitor] if claim and claim.visitor else []), frozenset(networks - {""}))


def _orders(session: Session, case: Case, friend: Person, addresses: list[str]) -> dict[str, Any]:
    earlier = friend.earlier | history.earlier_orders(session, case, addresses)
    twins = history.twin_orders(session, case, addresses) - earlier
    return {"earlier_orders": len(earlier), "twin_orders": len(twins)}
