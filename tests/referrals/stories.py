"""Forty stories of a referral, each labelled before anything was weighed: what really happened, and how it looks.

The hard ones are marked: a family that shares everything looks much like one person with two accounts.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from msgspec.structs import replace as written

from sandbox.orders import Address, Card

HOME = Address(address1="Hauptstraße 5", city="Berlin", zip="10115", country="DE")
FLAT = Address(address1="240 East 5th Street", address2="Apt 4B", city="New York", zip="10003", country="US")
AWAY = Address(address1="Lindenweg 12 a", city="Hamburg", zip="20095", country="DE")
FAR = Address(address1="18 Rue de la Paix", city="Paris", zip="75002", country="FR")
OFFICE = Address(address1="90 Market St", address2="Suite 1200", city="San Francisco", zip="94103", country="US")
DORM = Address(address1="1 College Road", address2="Room 101", city="Princeton", zip="08540", country="US")

HOME_IP, AWAY_IP, FAR_IP, OFFICE_IP, CAMPUS_IP = "203.0.113.7", "198.51.100.20", "192.0.2.77", "8.8.4.4", "9.9.9.9"
CARD, OTHER_CARD, THIRD_CARD = Card("455612", "4242"), Card("520082", "1881", "Mastercard"), Card("371449", "8431")


@dataclass(frozen=True)
class Who:
    """A person as a store sees them. `orders` is how many standing orders they had before, `guest` means no account."""

    name: str = "Anna Berg"
    email: str = "anna.berg@example.com"
    phone: str | None = "+49 30 901820"
    address: Address | None = HOME
    card: Card | None = CARD
    ip: str | None = HOME_IP
    orders: int = 0
    cancelled: int = 0
    guest: bool = False


@dataclass(frozen=True)
class Claimed:
    """An e-mail left on the code's page, so many minutes before the order."""

    email: str
    visitor: str
    ip: str
    minutes: float = 60


@dataclass(frozen=True)
class Brought:
    """A friend of the referrer's before this one (or of `by`), so many hours earlier, and what became of it."""

    who: Who
    hours: float = 240
    state: str = "rewarded"
    by: str = "referrer"


@dataclass(frozen=True)
class Story:
    """`sent_to` where the order went if not to the friend. `browser` is the referrer's own, as their page knows it.

    `same` is true when friend and referrer are one customer; `old` holds orders by others that our tables know;
    `chain` names who brought the referrer, and who brought them.
    """

    name: str
    label: Literal["genuine", "fraud"]
    friend: Who
    referrer: Who = field(default_factory=Who)
    claim: Claimed | None = None
    claims: tuple[Claimed, ...] = ()
    brought: tuple[Brought, ...] = ()
    old: tuple[Who, ...] = ()
    chain: tuple[str, ...] = ()
    browser: str | None = None
    sent_to: Address | None = None
    same: bool = False
    partner: bool = False
    hard: bool = False


NOOR = Who("Noor Haddad", "noor@example.org", "+49 40 8090100", AWAY, OTHER_CARD, AWAY_IP)
SISTER = replace(NOOR, name="Lena Berg", email="lena.berg@example.org", address=HOME, ip=HOME_IP)
ROOMMATE = replace(NOOR, address=FLAT, ip=HOME_IP, phone="+1 212 555 0188")
TWO_B = written(FLAT, address2="Apt 2B")


def somebody(number: int, **known: object) -> Who:
    """One of many strangers, unlike every other."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    name = letters[number % 26] * 3 + letters[number // 26]
    stranger = Who(
        f"{name.title()} {name.upper()}son",
        f"{name}@mail-{name}.example",
        f"+49 30 7{number:06d}",
        Address(address1=f"Ringstraße {number + 100}", city="Köln", zip="50667", country="DE"),
        Card(f"4{number:05d}", f"{7000 + number}"),
        f"100.64.{number}.9",
    )
    return replace(stranger, **known)  # type: ignore[arg-type]


def claimed(who: Who, visitor: str, **more: object) -> Claimed:
    return Claimed(who.email, visitor, who.ip or "", **more)  # type: ignore[arg-type]


GENUINE = (
    Story("a friend in another city", "genuine", NOOR, claim=claimed(NOOR, "noor's phone"), browser="anna's phone"),
    Story("a sister in the same home", "genuine", SISTER, claim=claimed(SISTER, "lena's phone"), browser="anna's"),
    Story("a couple with one card", "genuine", replace(SISTER, name="Tom Adler", card=CARD), hard=True),
    Story("a family with one landline", "genuine", replace(SISTER, phone="030 901820"), hard=True),
    Story("a son who pays with his mother's card", "genuine", replace(SISTER, name="Ben Berg", card=CARD), hard=True),
    Story(
        "a family with one computer", "genuine", SISTER, claim=claimed(SISTER, "the computer"), browser="the computer",
        hard=True,
    ),
    Story(
        "the sixth colleague of an office", "genuine", somebody(6, address=OFFICE, ip=OFFICE_IP),
        Who(address=OFFICE, ip=OFFICE_IP), claim=Claimed(somebody(6).email, "desk 6", OFFICE_IP),
        claims=tuple(Claimed(somebody(n).email, f"desk {n}", OFFICE_IP, 100 + n) for n in range(1, 6)),
        brought=tuple(Brought(somebody(n, address=OFFICE, ip=OFFICE_IP), hours=n) for n in range(1, 6)), hard=True,
    ),
    Story(
        "a student next door on the campus", "genuine", replace(NOOR, address=written(DORM, address2="Room 102"),
        ip=CAMPUS_IP), Who(address=DORM, ip=CAMPUS_IP), claim=Claimed(NOOR.email, "noor's laptop", CAMPUS_IP),
        claims=tuple(Claimed(somebody(n).email, f"laptop {n}", CAMPUS_IP, 60 + 20 * n) for n in range(1, 25)),
    ),
    Story(
        "the fourth of five roommates", "genuine", ROOMMATE, Who(address=FLAT),
        brought=tuple(Brought(somebody(n, address=FLAT, ip=HOME_IP), hours=200 * n) for n in (1, 2, 3)), hard=True,
    ),
    Story("a first order as a present for the referrer", "genuine", NOOR, sent_to=HOME),
    Story(
        "a present in return", "genuine", replace(NOOR, address=FAR, ip=FAR_IP), sent_to=HOME,
        claim=Claimed(NOOR.email, "noor's phone", HOME_IP, 3 * 1440),
    ),
    Story("an account of long ago without an order", "genuine", replace(NOOR, email="noor.old@example.org")),
    Story("an order before that was cancelled", "genuine", replace(NOOR, cancelled=1)),
    Story("a namesake in another city", "genuine", replace(NOOR, name="Anna Berg", email="aberg@example.org")),
    Story("father and son of one name", "genuine", replace(SISTER, name="Anna Berg"), hard=True),
    Story("a neighbour in the same house", "genuine", replace(NOOR, address=TWO_B), Who(address=FLAT)),
    Story(
        "a popular referrer's seventh friend of a day", "genuine", NOOR, claim=claimed(NOOR, "noor's phone"),
        brought=tuple(Brought(somebody(n), hours=n) for n in range(1, 7)),
    ),
    Story(
        "signed up on the shop's tablet", "genuine", NOOR, claim=Claimed(NOOR.email, "tablet", FAR_IP),
        claims=tuple(Claimed(somebody(n).email, "tablet", FAR_IP, 500 * n) for n in range(1, 9)), hard=True,
    ),
    Story("a guest with a tag of their own", "genuine", replace(NOOR, email="noor+coffee@example.org", guest=True)),
    Story(
        "a referrer of whose friends one sent it back", "genuine", NOOR,
        brought=tuple(Brought(somebody(n), 100 * n, "reversed" if n == 1 else "rewarded") for n in (1, 2, 3, 4)),
    ),
)  # fmt: skip

FRAUD = (
    Story("their own code", "fraud", Who(), same=True),
    Story("a plus tag", "fraud", replace(NOOR, email="anna.berg+new@example.com")),
    Story("dots at Gmail", "fraud", replace(NOOR, email="a.nna.ber.g@gmail.com"), Who(email="annaberg@gmail.com")),
    Story("Gmail's other name", "fraud", replace(NOOR, email="annaberg@googlemail.com"),
          Who(email="anna.berg@gmail.com")),
    Story("letters that look alike", "fraud", replace(NOOR, email="ａｎｎａ.berg@example.com")),
    Story("a second account with the same phone", "fraud", replace(NOOR, name="A. Berg", phone="0049 (30) 90 18 20")),
    Story(
        "a second account at the same home, written otherwise", "fraud",
        replace(NOOR, name="Berg Anna", address=written(HOME, address1="HAUPTSTR. 5"), ip=HOME_IP),
    ),
    Story(
        "a flat that does not exist, and the same card", "fraud",
        replace(NOOR, address=written(FLAT, address1="240 E 5th St.", address2="#9-Z"), card=CARD, ip=HOME_IP),
        Who(address=FLAT),
    ),
    Story(
        "another name, but phone, home and card", "fraud",
        replace(NOOR, phone="+49 30 901820", address=written(HOME, address1="Haupt Str 5"), card=CARD),
    ),
    Story("a mailbox to throw away", "fraud", replace(NOOR, email="quick@mail.mailinator.com")),
    Story(
        "the third of numbered mailboxes", "fraud", somebody(3, email="shopper.annie3@example.net"),
        brought=tuple(Brought(somebody(n, email=f"shopper.annie{n}@example.net"), 24.0 * n) for n in (1, 2)),
    ),
    Story(
        "the fourth mailbox in one browser", "fraud", NOOR, claim=claimed(NOOR, "one browser"),
        claims=tuple(Claimed(somebody(n).email, "one browser", f"100.64.{n}.9", 90 * n) for n in (1, 2, 3)),
    ),
    Story(
        "a code on a coupon site", "fraud", NOOR, claim=claimed(NOOR, "noor's phone"),
        claims=tuple(Claimed(somebody(n).email, f"phone {n}", f"100.64.{n}.9", 60 + n) for n in range(20, 55)),
        brought=tuple(Brought(somebody(n), hours=n) for n in range(1, 13)),
    ),
    Story("a circle of two", "fraud", NOOR, chain=("friend",)),
    Story("a circle of three", "fraud", NOOR, chain=("another", "friend")),
    Story(
        "orders that are sent back after the reward", "fraud", NOOR,
        brought=tuple(Brought(somebody(n), 100 * n, "reversed" if n < 4 else "rewarded") for n in (1, 2, 3, 4)),
    ),
    Story("a customer of long standing", "fraud", replace(NOOR, orders=2)),
    Story(
        "a customer of long standing with a new way to write", "fraud", replace(NOOR, email="no.or+friend@gmail.com"),
        old=(replace(NOOR, email="noor@googlemail.com"),),
    ),
    Story(
        "one card for every friend", "fraud", replace(NOOR, card=THIRD_CARD),
        brought=tuple(Brought(somebody(n, card=THIRD_CARD), 48 * n) for n in (1, 2)),
    ),
    Story("an affiliate who buys by their own code", "fraud", replace(NOOR, email="anna.berg+deal@example.com"),
          partner=True),
)  # fmt: skip

STORIES = GENUINE + FRAUD
