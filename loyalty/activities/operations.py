"""The only writers of what members did, told and agreed to. Each takes a session and never commits.

`award` is the one path to points. What a member tells us (an answer, a consent, a birthday) is kept whether it earns
anything or not.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import crypto
from core.errors import Conflict, InvalidInput, NotFound
from core.events import Happened, record
from core.i18n import N_, _, day
from loyalty import programs
from loyalty.activities import queries, rules
from loyalty.activities.models import ActivityDone, Answer, Birthday, Consent
from loyalty.activities.points import Earned, note_points
from loyalty.models import Member
from loyalty.operations import acting_member, post
from loyalty.program import Activity
from loyalty.program.earning import Nps, Question, Review, Social
from loyalty.programs import Programs, Version
from loyalty.rules import Move

ONCE = "once"
# `mails` are the program's own, such as that points expire: a member gets them until they say otherwise.
MAILS = "mails"
CHANNELS = ("newsletter", "sms", MAILS)
LONGEST_ANSWER = 500
LONGEST_FACT = 255  # as an Idempotency-Key, which may stand in
MOST_DATA = 4096  # bytes
OLDEST_YEAR = 1900
_PRODUCT = re.compile("[1-9][0-9]{0,18}", re.ASCII)

_REFUSED = {
    "already_done": N_("you have earned this already"),
    "not_open": N_("this can't be earned yet"),
    "over": N_("this is over"),
    "not_your_tier": N_("this is for other tiers"),
    "limit_reached": N_("you have earned all there is to earn here"),
    "member_blocked": N_("your membership is on hold"),
    "too_soon": N_("you have told us lately; you can again later"),
}
_ELSEWHERE = {
    "birthday": "birthdays come round by themselves, once the date is set",
    "anniversary": "anniversaries come round by themselves",
    "question": "a question is answered, not reported",
    "newsletter": "a consent is given, not reported",
    "sms": "a consent is given, not reported",
    "nps": "send the score",
}


class NotEarned(Conflict):
    """Why an activity brings no points, as `code`: already_done (with what it earned), limit_reached, not_your_tier,
    not_open, over, too_soon. `again_on` names the day from which it does."""

    code = "not_earned"


class Kept(NamedTuple):
    """What a member told us, kept, and what it earned: an activity, or the code of why it earned nothing."""

    what: Any
    earned: ActivityDone | None
    not_earned: str | None


@dataclass(frozen=True)
class Deed:
    """Something a member did under a rule. `fact` names what it was about and counts once; `told` explains it."""

    member: Member
    rule: Activity
    fact: str
    at: datetime
    actor: str
    data: Mapping[str, Any]

    @property
    def worth(self) -> int:
        return self.rule.points + self.photo_points

    @property
    def photo_points(self) -> int:
        photos = self.data.get("photos")
        shown = isinstance(photos, int) and photos > 0
        return self.rule.photo_points if isinstance(self.rule, Review) and shown else 0

    @property
    def told(self) -> dict[str, Any]:
        rule = self.rule
        if isinstance(rule, Question):
            return {"question": rule.question}
        if isinstance(rule, Social):
            return {"network": rule.network, "action": rule.action}
        return {"photo_points": self.photo_points} if self.photo_points else {}


def award(
    session: Session,
    shop_id: int,
    member_id: int,
    rule_key: str,
    *,
    fact: str,
    at: datetime,
    actor: str,
    data: Mapping[str, Any] | None = None,
) -> ActivityDone:
    """Give a member the points of an activity, as far as the rule of the program in force and its limit allow.

    `fact` names what it was about: the same fact earns once. Raises NotFound (no_member, no_rule), Conflict
    (member_merged), NotEarned.
    """
    member = acting_member(session, shop_id, member_id)
    published = programs.load(session, [shop_id])
    version = published.in_force(shop_id, at)
    deed = Deed(member, rule_of(version, rule_key), fact, at, actor, data or {})
    return _award(session, deed, version, published)


def rule_of(version: Version, key: str) -> Activity:
    """The activity with this key. Raises NotFound."""
    rule = version.program.activity(key)
    if rule is None:
        raise NotFound(f"the program has no activity {key[:40]!r}", code="no_rule")
    return rule


def _award(session: Session, deed: Deed, version: Version, published: Programs) -> ActivityDone:
    verdict = _judged(session, deed, version)
    member, rule = deed.member, deed.rule
    done = ActivityDone(
        shop_id=member.shop_id, member_id=member.id, rule=rule.key, kind=rule.kind, fact=deed.fact, at=deed.at,
        points=verdict.points, data=dict(deed.data), actor=deed.actor,
    )  # fmt: skip
    session.add(done)
    key = posting_key(done)
    explanation = explain(rule, deed.worth, verdict) | deed.told
    post(
        session, member, Move("bonus", "issued", "available", verdict.points), rule=rule.key, explanation=explanation,
        actor=deed.actor, key=key, program_version=version.number, occurred_at=deed.at,
    )  # fmt: skip
    note_points(session, published, [Earned(member.shop_id, member.id, key, deed.at, verdict.points)])
    return done


def posting_key(done: ActivityDone) -> str:
    """The key of the posting that an activity made. Birthdays and anniversaries have keys of their own."""
    return f"activity:{done.rule}:{done.member_id}:{done.fact}"


def _judged(session: Session, deed: Deed, version: Version) -> rules.Verdict:
    """What the deed earns. Raises NotEarned."""
    member, rule, zone = deed.member, deed.rule, version.program.zone
    if member.blocked_at is not None:
        raise refusal("member_blocked")
    before = queries.done(session, member.shop_id, member.id, rule.key, deed.fact)
    if before is not None:
        raise refusal("already_done", earned={"points": before.points, "at": before.at.isoformat()})
    today = rules.local_day(deed.at, zone)
    used = queries.used(session, member.shop_id, rule.key, [member.id], rules.day_bounds(today, zone))[member.id]
    verdict = rules.judge(rule, deed.worth, zone=zone, at=deed.at, tier_key=member.tier_key, used=used)
    if verdict.refused is None:
        return verdict
    if verdict.capped != "day":
        raise refusal(verdict.refused)
    tomorrow = (today + rules.ONE_DAY).isoformat()
    raise refusal("limit_reached", N_("you have reached today's limit; there is more tomorrow"), again_on=tomorrow)


def explain(rule: Activity, worth: int, verdict: rules.Verdict) -> dict[str, Any]:
    """The explanation of an activity's posting: what it is worth, and the limit that cut it."""
    told = {"rule": rule.key, "reason": rule.kind, "name": rule.name, "points": verdict.points}
    return told | ({"worth": worth, "capped": verdict.capped} if verdict.capped else {})


def refusal(code: str, detail: str = "", **extra: Any) -> NotEarned:
    return NotEarned(_(detail or _REFUSED[code]), code=code, **extra)


def act(
    session: Session,
    shop_id: int,
    member_id: int,
    rule_key: str,
    *,
    fact: str | None,
    data: Mapping[str, Any],
    at: datetime,
    actor: str,
) -> ActivityDone:
    """What a member did, reported by the shop's own systems: followed, joined, reviewed, or a custom action.

    A custom action needs a `fact` of its own, of which only a digest is kept. Raises what `award` does, and
    InvalidInput.
    """
    rule = rule_of(programs.load(session, [shop_id]).in_force(shop_id, at), rule_key)
    if rule.kind in _ELSEWHERE:
        raise InvalidInput(_ELSEWHERE[rule.kind], code="not_reported")
    _check_data(data)
    if rule.kind == "review":
        fact = review_fact(data)
    elif rule.kind == "custom":
        fact = _custom_fact(fact)
    else:
        fact = ONCE
    return award(session, shop_id, member_id, rule_key, fact=fact, data=data, at=at, actor=actor)


def _check_data(data: Mapping[str, Any]) -> None:
    try:
        encoded = json.dumps(data, allow_nan=False)
    except (ValueError, RecursionError):
        raise InvalidInput("data: numbers that are none, or nested too deeply", code="bad_data") from None
    if len(encoded) > MOST_DATA:
        raise InvalidInput(f"data: at most {MOST_DATA:,} bytes of JSON", code="bad_data")
    if r"\u0000" in encoded:
        raise InvalidInput("data: a character that can't be kept", code="bad_data")


def review_fact(review: Mapping[str, Any]) -> str:
    """What a review is about: its product, or without one the review itself. Raises InvalidInput."""
    product, named = str(review.get("product_id") or ""), review.get("review_id")
    if _PRODUCT.fullmatch(product):
        return f"product:{product}"
    if product or not named:
        raise InvalidInput("data: name the product_id (a Shopify id) or the review_id", code="bad_data")
    return f"review:{crypto.digest(str(named))}"


def _custom_fact(fact: str | None) -> str:
    if not fact or len(fact) > LONGEST_FACT:
        raise InvalidInput("a custom action needs a fact (or an Idempotency-Key) of its own", code="no_fact")
    # A shop may put anything into it, a person's address included, and the ledger's keys are for ever.
    return crypto.digest(fact)


def answer(
    session: Session, shop_id: int, member_id: int, rule_key: str, text: str, *, at: datetime, actor: str
) -> Kept:
    """Keep what a member answers to a question. A changed answer is kept too, but earns nothing again.

    Raises NotFound (no_member, no_rule), InvalidInput (bad_answer), Conflict (member_merged).
    """
    member = acting_member(session, shop_id, member_id)
    rule = rule_of(programs.load(session, [shop_id]).in_force(shop_id, at), rule_key)
    if not isinstance(rule, Question):
        raise NotFound(f"{rule_key!r} is no question", code="no_rule")
    text = _checked(rule, text)
    row = session.get(Answer, (shop_id, member.id, rule_key)) or Answer(
        shop_id=shop_id, member_id=member.id, question=rule_key
    )
    row.answer, row.answered_at = text, at
    session.add(row)
    return Kept(row, *_try(session, member, rule_key, fact=ONCE, at=at, actor=actor))


def _checked(rule: Question, text: str) -> str:
    text = text.strip()
    if not text or len(text) > LONGEST_ANSWER or "\x00" in text:
        raise InvalidInput(_("an answer has 1 to %(most)s characters", most=LONGEST_ANSWER), code="bad_answer")
    if rule.choices and text not in rule.choices:
        raise InvalidInput(_("choose one of: %(choices)s", choices=", ".join(rule.choices)), code="bad_answer")
    return text


def _try(
    session: Session, member: Member, rule_key: str, *, fact: str, at: datetime, actor: str
) -> tuple[ActivityDone | None, str | None]:
    try:
        return award(session, member.shop_id, member.id, rule_key, fact=fact, at=at, actor=actor), None
    except NotEarned as refused:
        return None, refused.code


def consent(
    session: Session,
    shop_id: int,
    member_id: int,
    channel: str,
    *,
    given: bool,
    source: str,
    at: datetime,
    actor: str,
) -> Kept:
    """Keep that a member may, or may no longer, be written to over a channel, since when, and where they said so.

    Said again, the first time stays. Withdrawing takes no points, and giving again earns none. Raises NotFound
    (no_member, no_channel), Conflict (member_merged).
    """
    if channel not in CHANNELS:
        raise NotFound(f"consent is for {' or '.join(CHANNELS)}", code="no_channel")
    member = acting_member(session, shop_id, member_id)
    row = session.get(Consent, (shop_id, member.id, channel))
    if row is None or row.given != given:
        row = row or Consent(shop_id=shop_id, member_id=member.id, channel=channel)
        row.given, row.at, row.source = given, at, source
        session.add(row)
        kind = "consent.given" if given else "consent.withdrawn"
        record(session, [Happened(shop_id, kind, {"channel": channel}, at, member.id, actor=actor)])
    published = programs.load(session, [shop_id])
    rule = _rule_of_kind(published, shop_id, channel, at)
    if not given or rule is None:
        return Kept(row, None, None)
    return Kept(row, *_try(session, member, rule.key, fact=ONCE, at=at, actor=actor))


def _rule_of_kind(published: Programs, shop_id: int, kind: str, at: datetime) -> Activity | None:
    """The first activity of a kind in the program in force."""
    if not published.of(shop_id):
        return None
    return next((a for a in published.in_force(shop_id, at).program.activities if a.kind == kind), None)


def set_birthday(
    session: Session, shop_id: int, member_id: int, month: int, day: int, year: int | None, *, at: datetime
) -> Birthday:
    """Keep a member's birthday. It may be changed once a year, and a slip on the day it was told.

    Raises NotFound, InvalidInput (bad_birthday), Conflict (member_merged; birthday_fixed with `again_at`).
    """
    member = acting_member(session, shop_id, member_id)
    if not rules.is_date(month, day, year) or not OLDEST_YEAR <= (year or at.year) <= at.year:
        raise InvalidInput(_("there is no such birthday"), code="bad_birthday")
    row = queries.birthday(session, shop_id, member.id)
    if row is None:
        row = Birthday(shop_id=shop_id, member_id=member.id, set_at=at)
        session.add(row)
    elif (row.month, row.day) != (month, day):
        _check_change(row, at)
        # From here the days before a birthday count anew.
        row.set_at = at
    row.month, row.day, row.year = month, day, year
    session.flush()
    return row


def _check_change(row: Birthday, at: datetime) -> None:
    free = rules.may_change_at(row.set_at, at)
    if free > at:
        raise Conflict(
            _("a birthday can be changed once a year; again from %(day)s", day=day(free)),
            code="birthday_fixed",
            again_at=free.isoformat(),
        )


def nps(
    session: Session, shop_id: int, member_id: int, score: int, comment: str | None, *, at: datetime, actor: str
) -> ActivityDone:
    """Keep how likely a member is to recommend the shop (0 to 10), and why in their words.

    Raises NotFound (no_member, no_rule), Conflict (member_merged), NotEarned (too_soon with `again_on`).
    """
    if not 0 <= score <= 10:
        raise InvalidInput(_("the score is 0 to 10"), code="bad_score")
    member = acting_member(session, shop_id, member_id)
    published = programs.load(session, [shop_id])
    rule = _rule_of_kind(published, shop_id, "nps", at)
    if not isinstance(rule, Nps):
        raise NotFound(_("the program does not ask for this"), code="no_rule")
    zone = published.in_force(shop_id, at).program.zone
    today = rules.local_day(at, zone)
    last = queries.last_done(session, shop_id, member.id, rule.key)
    if last is not None:
        again = rules.nps_again(rules.local_day(last.at, zone), rule.every_days)
        if again > today:
            raise refusal("too_soon", again_on=again.isoformat())
    said = {"score": score} | ({"comment": comment} if comment else {})
    return award(session, shop_id, member.id, rule.key, fact=today.isoformat(), at=at, data=said, actor=actor)


def review(
    session: Session, shop_id: int, member_id: int, told: Mapping[str, Any], *, at: datetime, actor: str
) -> ActivityDone:
    """A product review that a review app tells of: `product_id` or `review_id`, `rating`, `photos`.

    Once a product. Raises what `award` does; NotFound (no_rule) where the program has nothing for reviews.
    """
    rule = _rule_of_kind(programs.load(session, [shop_id]), shop_id, "review", at)
    if rule is None:
        raise NotFound(_("the program has nothing for reviews"), code="no_rule")
    return award(session, shop_id, member_id, rule.key, fact=review_fact(told), at=at, data=told, actor=actor)


# When two members become one, and when one is forgotten.

_MERGES = tuple(
    sa.text(statement)
    for statement in (
        # What both have done stays where it is: the kept member did it, so it earns nothing again.
        """UPDATE activities a SET member_id = :kept WHERE a.shop_id = :shop_id AND a.member_id = :deleted
            AND NOT EXISTS (SELECT 1 FROM activities b WHERE b.shop_id = a.shop_id AND b.member_id = :kept
                AND b.rule = a.rule AND b.fact = a.fact)""",
        "UPDATE spend_facts SET member_id = :kept WHERE shop_id = :shop_id AND member_id = :deleted AND order_id = 0",
        """INSERT INTO answers (shop_id, member_id, question, answer, answered_at)
            SELECT shop_id, :kept, question, answer, answered_at FROM answers
            WHERE shop_id = :shop_id AND member_id = :deleted
            ON CONFLICT (shop_id, member_id, question) DO UPDATE SET answer = excluded.answer,
                answered_at = excluded.answered_at WHERE excluded.answered_at > answers.answered_at""",
        """INSERT INTO consents (shop_id, member_id, channel, given, at, source)
            SELECT shop_id, :kept, channel, given, at, source FROM consents
            WHERE shop_id = :shop_id AND member_id = :deleted
            ON CONFLICT (shop_id, member_id, channel) DO UPDATE SET given = excluded.given, at = excluded.at,
                source = excluded.source WHERE excluded.at > consents.at""",
        """INSERT INTO birthdays (shop_id, member_id, month, day, year, set_at)
            SELECT shop_id, :kept, month, day, year, set_at FROM birthdays
            WHERE shop_id = :shop_id AND member_id = :deleted ON CONFLICT (shop_id, member_id) DO NOTHING""",
        "DELETE FROM answers WHERE shop_id = :shop_id AND member_id = :deleted",
        "DELETE FROM consents WHERE shop_id = :shop_id AND member_id = :deleted",
        "DELETE FROM birthdays WHERE shop_id = :shop_id AND member_id = :deleted",
    )
)


def merge_activities(session: Session, shop_id: int, deleted: int, kept: int) -> None:
    """What the deleted member did, told and agreed to is the kept one's. What was said last of each holds.

    The caller has locked both. Doing it again changes nothing.
    """
    for statement in _MERGES:
        session.execute(statement, {"shop_id": shop_id, "deleted": deleted, "kept": kept})


def forget(session: Session, shop_id: int, member_ids: list[int]) -> None:
    """Forget what these members told us and agreed to; what they did keeps its points and loses its details."""
    for table in (Answer, Consent, Birthday):
        session.execute(sa.delete(table).where(table.shop_id == shop_id, table.member_id.in_(member_ids)))
    session.execute(
        sa.update(ActivityDone)
        .where(ActivityDone.shop_id == shop_id, ActivityDone.member_id.in_(member_ids))
        .values(data={})
    )
