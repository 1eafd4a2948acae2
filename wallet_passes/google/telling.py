"""The effect `wallet.google`: members' cards may have changed, so make what Google shows equal to them.

Classes are told first, for objects need them; then objects, and what merchants have to say. What has not changed costs
no call. What follows within moments of the last telling is gathered and told together.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from core import clock
from core.db import Database
from core.effects import NotYet, PermanentFailure, Wanted
from core.errors import RapportError
from wallet_passes import operations as passes
from wallet_passes.google import account, bodies, client, operations
from wallet_passes.google.account import BadAccount, GoogleAway, NotSetUp
from wallet_passes.google.bodies import CLASS, MOST_MESSAGES, NOTIFY, OBJECT, Body
from wallet_passes.google.client import Client, Exists, GoogleRefused, Missing, Outcome, TooLoud
from wallet_passes.google.operations import ClassPlan, Key, Look, Plan, Told

GATHERING = timedelta(seconds=1.5)

Failures = dict[Key, Exception]


class Wishes(NamedTuple):
    """What Google is to be told, as it was worked out at `at`."""

    at: datetime
    classes: Sequence[ClassPlan]
    cards: Sequence[Plan]


class Overtaken(NotYet):
    """Somebody else told Google of the same card at the same time, so nobody knows what it has now."""


def tell_many(database: Database, wanted: Sequence[Wanted]) -> Mapping[Wanted, Exception]:
    """Bring the cards of these members up to date, here and at Google. Returns those that failed, with why.

    NotYet while changes are gathered; Unavailable to be tried again; PermanentFailure for what stays as it is.
    """
    by_key = {(one.shop_id, int(one.target)): one for one in wanted}
    try:
        issuer = account.current().issuer
    except (NotSetUp, BadAccount) as error:
        return dict.fromkeys(wanted, _as_effect(error))
    now = clock.now()
    with database.transaction(*{one.shop_id for one in wanted}) as session:
        found = passes.refresh_many(session, list(by_key))
        every = operations.plans(session, issuer, found, now)
        same = [plan for plan in every if not plan.due]
        operations.record_unchanged(session, same)
        gathered, ready = _gathered(every, now)
        classes = operations.class_plans(session, issuer, [found[plan.key] for plan in every])
    # A card whose class alone has changed is not done before its class is.
    failed = tell(database, Wishes(now, classes, [*ready, *same] if classes else ready), client.PATIENT)
    return {by_key[key]: _as_effect(error) for key, error in (gathered | failed).items()}


def _gathered(every: Sequence[Plan], now: datetime) -> tuple[Failures, list[Plan]]:
    """Those that were told of a moment ago, with until when they wait; and those to be told now."""
    later = {
        plan.key: NotYet(plan.held.told_at + GATHERING)
        for plan in every
        # A telling that lies ahead of a clock that was set back is none to wait for.
        if plan.due and plan.known and plan.held.told_at <= now < plan.held.told_at + GATHERING
    }
    return dict(later), [plan for plan in every if plan.due and plan.key not in later]


def _as_effect(error: Exception) -> Exception:
    """What trying again would not help."""
    if isinstance(error, GoogleRefused | BadAccount | NotSetUp):
        return PermanentFailure(error.detail)
    return error


def tell(database: Database, wishes: Wishes, patience: float) -> Failures:
    """Tell Google, and write down what it took. Returns the cards that failed, with why."""
    if not (wishes.classes or wishes.cards):
        return {}
    speaker = client.client()
    without = _tell_classes(database, speaker, wishes, patience)
    failed: Failures = {plan.key: without[plan.look] for plan in wishes.cards if plan.look in without}
    ready = [plan for plan in wishes.cards if plan.due and plan.key not in failed]
    outcomes = _tell_cards(speaker, ready, patience)
    outcomes |= _tell_messages(speaker, [plan for plan in ready if plan.message], outcomes, patience)
    return failed | _record(database, ready, outcomes, wishes.at)


def _tell_classes(database: Database, speaker: Client, wishes: Wishes, patience: float) -> dict[Look, Exception]:
    told = speaker.put(CLASS, [(plan.body, plan.known) for plan in wishes.classes], patience)
    taken = [plan for plan, one in zip(wishes.classes, told, strict=True) if not isinstance(one, RapportError)]
    if taken:
        with database.transaction(*{plan.look[0] for plan in taken}) as session:
            operations.record_classes(session, taken, wishes.at)
    return {plan.look: one for plan, one in zip(wishes.classes, told, strict=True) if isinstance(one, RapportError)}


Outcomes = dict[Key, Outcome]


def _tell_cards(speaker: Client, plans: Sequence[Plan], patience: float) -> Outcomes:
    """What Google has of each card now."""
    over = [plan for plan in plans if plan.ended]
    put = [plan for plan in plans if not plan.ended and (plan.changed or plan.unsaid)]
    same = [plan for plan in plans if not plan.ended and not (plan.changed or plan.unsaid)]
    calls = [client.replace(OBJECT, plan.body) for plan in over] + [
        client.get(OBJECT, plan.body["id"]) for plan in same
    ]
    told = speaker.send(calls, patience) + speaker.put(OBJECT, [(_wish(plan), plan.known) for plan in put], patience)
    return {plan.key: one for plan, one in zip([*over, *same, *put], told, strict=True)}


def _wish(plan: Plan) -> Body:
    loud = {"notifyPreference": NOTIFY} if plan.announce_change else {}
    return plan.body | loud | ({"messages": []} if plan.unsaid else {})


def _tell_messages(speaker: Client, plans: Sequence[Plan], outcomes: Outcomes, patience: float) -> Outcomes:
    """Add each message once: an earlier try that seemed to fail may have come through, so Google's word counts."""
    lacking = [(plan, there) for plan in plans if isinstance(there := outcomes[plan.key], dict) and _lacks(plan, there)]
    full = [(plan, there["messages"]) for plan, there in lacking if len(there.get("messages") or ()) >= MOST_MESSAGES]
    speaker.send([client.patch(OBJECT, {"id": p.body["id"], "messages": held[2:]}) for p, held in full], patience)
    calls = [client.add_message(plan.body["id"], _message(plan)) for plan, _ in lacking]
    told = speaker.send(calls, patience)
    return {plan.key: one for (plan, _), one in zip(lacking, told, strict=True)}


def _lacks(plan: Plan, there: Body) -> bool:
    return plan.message is not None and not bodies.holds(there, plan.message)


def _message(plan: Plan) -> Body:
    assert plan.message is not None
    return bodies.message(plan.message, announce=plan.announce_message)


def _record(database: Database, plans: Sequence[Plan], outcomes: Outcomes, at: datetime) -> Failures:
    failed = {plan.key: one for plan in plans if isinstance(one := _outcome(plan, outcomes), RapportError)}
    told = [Told(plan, plan.announce_change + plan.announce_message) for plan in plans if plan.key not in failed]
    loud = [plan for plan in plans if isinstance(failed.get(plan.key), TooLoud)]
    unlike = [plan for plan in plans if isinstance(failed.get(plan.key), Missing | Exists)]
    if not plans:
        return {}
    with database.transaction(*{plan.key[0] for plan in plans}) as session:
        overtaken = operations.record(session, told, at)
        operations.silence(session, loud, at)
        operations.forget(session, unlike)
    return _explained(failed) | {key: Overtaken(at + GATHERING) for key in overtaken}


def _outcome(plan: Plan, outcomes: Outcomes) -> Outcome:
    """A card that is over and that Google does not have needs no telling."""
    one = outcomes[plan.key]
    return {} if plan.ended and isinstance(one, Missing) else one


def _explained(failed: Mapping[Key, RapportError]) -> Failures:
    """What was there or missing against all expectation comes right with the next try."""
    return {
        key: GoogleAway("Google has a card or its class in another state than we believed; it is told anew")
        if isinstance(error, Missing | Exists)
        else error
        for key, error in failed.items()
    }
