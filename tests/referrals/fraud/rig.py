"""Plays the stories: people and their orders in the sandbox store, what we know of them in our own tables."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import httpx
import msgspec
import sqlalchemy as sa

from core import crypto
from loyalty import operations as ledger
from loyalty import programs
from loyalty.operations import Customer
from loyalty.program import Referral as Terms
from referrals.cases import Case
from referrals.fraud import facts, mails, network
from referrals.fraud.rules import Evidence, Verdict, judge
from referrals.models import Referral, ReferralClaim, ReferralCode, ReferralPartner, ReferralVisit
from referrals.visits import OWN
from sandbox import payloads
from sandbox.catalogue import DEMO
from sandbox.orders import Basket, Order
from sandbox.testing import Running
from tests.referrals.stories import Claimed, Story, Who
from tests.webhooks.rig import LONG_AGO, House, delivery

NOW = datetime.fromisoformat("2026-11-20T12:00:00Z")
OWNED = ("referrals", "referral_claims", "referral_visits", "referral_codes", "referral_partners", "orders")
CODE = "ANNA7K"
TERMS = Terms()

numbers = count(1)
client = httpx.Client(trust_env=False)


class Person:
    """Somebody in a story, once they are in the store."""

    def __init__(self, who: Who, customer_id: int | None, member_id: int | None) -> None:
        self.who, self.customer_id, self.member_id = who, customer_id, member_id

    @property
    def friend(self) -> str:
        return f"m{self.member_id}" if self.member_id else mails.index(self.who.email)


class Stage:
    """One story at a time. The order that counts is placed at NOW."""

    def __init__(self, house: House, shop: int, running: Running) -> None:
        self.house, self.shop, self.running = house, shop, running
        self.world = running.sandbox.world
        self.people: dict[str, Person] = {}

    def clear(self) -> None:
        """Nobody in the store, and nothing of referrals in our tables."""
        self.people = {}
        self.world.store.change("delete from documents where kind in ('customer', 'order')")
        self.calm()
        with self.house.owner() as connection:
            for table in OWNED:
                connection.execute(f"DELETE FROM {table}")  # type: ignore[call-overload]
            # The ledger keeps its members; nobody must take those of an earlier test for their own.
            connection.execute("UPDATE members SET email = NULL, email_verified = false")

    def play(self, story: Story) -> Case:
        """Everything that happened, in order; the case is the story's own referral."""
        referrer = self.person("referrer", story.referrer)
        self.order(referrer, NOW - timedelta(days=90))
        self.write(ReferralCode(shop_id=self.shop, key=CODE, code=CODE, created_at=LONG_AGO, **self.owner_of(story)))
        friend = referrer if story.same else self.person("friend", story.friend)
        for who in story.old:
            self.hear(self.order(self.person(who.email, who), NOW - timedelta(days=200)))
        if story.browser:
            self.visit(story.browser, story.referrer.ip or "")
        self.chain(story.chain)
        for past in story.brought:
            self.bring(past.who, NOW - timedelta(hours=past.hours), past.state)
        for other in story.claims:
            self.claim(other, ended=True)
        return self.case(story, friend)

    def case(self, story: Story, friend: Person) -> Case:
        claim_id = self.claim(story.claim) if story.claim else None
        order = self.order(friend, NOW, story)
        return self.case_of(friend, order, NOW, claim_id, partner=story.partner)

    def case_of(
        self, friend: Person, order: Order, at: datetime, claim_id: int | None = None, *, partner: bool = False
    ) -> Case:
        referrer = self.people["referrer"]
        known = {"referrer_member_id": referrer.member_id, "referrer_customer_id": referrer.customer_id}
        if partner:
            known = {"referrer_member_id": None, "referrer_customer_id": None}
        return Case(
            shop_id=self.shop, order_id=order.id, at=at, friend=friend.friend, friend_member_id=friend.member_id,
            friend_customer_id=friend.customer_id, email_index=mails.index(friend.who.email),
            partner_id=self.partner_id if partner else None, code_key=CODE, claim_id=claim_id, via="code", **known,
        )  # fmt: skip

    # People.

    def person(self, name: str, who: Who) -> Person:
        """In the store and, unless a guest, one of our members."""
        if who.guest:
            person = Person(who, None, None)
        else:
            first, _, last = who.name.rpartition(" ")
            made = self.world.create_customer(DEMO.domain, first, last, who.email, at=self.second(NOW) - 86400)
            self.world.update_customer(DEMO.domain, made.id, {"phone": who.phone, "address": who.address})
            person = Person(who, made.id, self.enrol(made.id, who.email))
        self.people[name] = person
        for back in range(who.orders):
            self.order(person, NOW - timedelta(days=30 + back))
        for back in range(who.cancelled):
            placed = self.order(person, NOW - timedelta(days=10 + back))
            self.world.cancel(DEMO.domain, placed.id)
        return person

    def enrol(self, customer_id: int, email: str) -> int:
        customer = Customer(self.shop, customer_id, email, True, None, LONG_AGO)
        with self.house.database.transaction(self.shop) as session:
            known = programs.load(session, [self.shop])
            return ledger.enrol(session, [customer], known).members[self.shop, customer_id]

    def order(self, person: Person, at: datetime, story: Story | None = None) -> Order:
        """An order as the person would place it; in a story, sent where it says."""
        who = person.who
        item = self.world.products(DEMO.domain)[0]

        def checkout(order: Order) -> None:
            order.ip, order.card, order.bills_to = who.ip, who.card, who.address
            order.ships_to = (story and story.sent_to) or who.address
            order.phone = who.phone if who.guest else None

        buyer = self.world.customer(DEMO.domain, person.customer_id) if person.customer_id else None
        return self.world.place(
            DEMO.domain, Basket([(item, 3)]), self.second(at), pay=checkout, customer=buyer, email=who.email
        )

    def hear(self, order: Order) -> None:
        """The app hears of an order as it would from Shopify."""
        body = payloads.body("orders/paid", DEMO, order, self.world.buyer(DEMO.domain, order))
        self.house.settle(self.shop, [delivery("orders/paid", body)])

    # What our tables hold.

    def owner_of(self, story: Story) -> dict[str, int | None]:
        if not story.partner:
            return {"member_id": self.people["referrer"].member_id}
        partner = ReferralPartner(
            shop_id=self.shop, partnership="press", name="Anna", email=crypto.encrypt(story.referrer.email),
            email_index=mails.index(story.referrer.email), actor="test", created_at=LONG_AGO,
        )  # fmt: skip
        self.partner_id = self.write(partner)
        return {"partner_id": self.partner_id}

    def write(self, row: Any) -> int:
        with self.house.database.transaction(self.shop) as session:
            session.add(row)
            session.flush()
            return int(getattr(row, "id", 0))

    def visit(self, visitor: str, ip: str) -> None:
        self.write(
            ReferralVisit(shop_id=self.shop, code_key=CODE, visitor=visitor, network=network.index(ip), via=OWN, at=NOW)
        )

    def claim(self, claimed: Claimed, *, ended: bool = False) -> int:
        at = NOW - timedelta(minutes=claimed.minutes)
        row = ReferralClaim(
            shop_id=self.shop, code_key=CODE, email=crypto.encrypt(claimed.email),
            email_index=mails.index(claimed.email), visitor=claimed.visitor, network=network.index(claimed.ip),
            consent="yes", program_version=1, terms={}, discount=f"FRIEND-{next(numbers)}", state="made", at=at,
            expires_at=at + timedelta(days=30), ended_at=at + timedelta(minutes=1) if ended else None,
        )  # fmt: skip
        return self.write(row)

    def bring(self, who: Who, at: datetime, state: str) -> Case:
        """A friend who came before, judged when they came."""
        friend = self.person(who.email, who)
        case = self.case_of(friend, self.order(friend, at), at)
        self.keep(case, state, self.gather(case))
        return case

    def chain(self, names: Iterable[str]) -> None:
        """Who brought the referrer, who brought them, and so on."""
        whom = self.people["referrer"]
        for back, name in enumerate(names, 1):
            by = self.people.get(name) or self.person(name, Who("Cleo Dorn", "cleo@example.net"))
            case = self.case_of(whom, self.order(by, NOW - timedelta(days=20 * back)), NOW - timedelta(days=20 * back))
            self.world.store.remove(DEMO.domain, "order", case.order_id)
            self.keep(msgspec.structs.replace(case, referrer_member_id=by.member_id), "rewarded", Evidence())
            whom = by

    def keep(self, case: Case, state: str, evidence: Evidence) -> int:
        """The referral as it would be kept."""
        row = Referral(
            shop_id=self.shop, friend=case.friend, friend_member_id=case.friend_member_id,
            referrer_member_id=case.referrer_member_id, partner_id=case.partner_id, code_key=CODE, via=case.via,
            claim_id=case.claim_id, order_id=case.order_id, at=case.at, amount=5000, currency="USD", program_version=1,
            state=state, evidence=msgspec.to_builtins(evidence), created_at=case.at, updated_at=case.at,
        )  # fmt: skip
        return self.write(row)

    # The checks.

    def gather(self, case: Case) -> Evidence:
        return facts.gather(self.house.database, self.shop, case)

    def judge(self, story: Story) -> tuple[Evidence, Verdict]:
        evidence = self.gather(self.play(story))
        return evidence, judge(evidence, TERMS)

    def fault(self, kind: str, field: str | None = None, **more: Any) -> None:
        body = {"kind": kind, "field": field, "seconds": 0} | more
        assert client.post(f"{self.running.url}/sandbox/faults", json=body).status_code == 204

    def calm(self) -> None:
        """No more faults."""
        client.delete(f"{self.running.url}/sandbox/faults")

    def rows(self, table: Any) -> list[Any]:
        with self.house.database.transaction(self.shop) as session:
            return list(session.scalars(sa.select(table).where(table.shop_id == self.shop)))

    @staticmethod
    def second(at: datetime) -> int:
        return int(at.timestamp())
