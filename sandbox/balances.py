"""What shoppers can pay with besides a card: gift cards and store credit. Money is minor units of the shop's currency.

Every function that changes something expects to be called inside the store's transaction.
"""

from datetime import datetime

import msgspec
from msgspec import field

from sandbox.orders import OrderError, Shop
from sandbox.payloads import zone
from sandbox.world import World

# The most one card or account may hold, in whole units of currency.
GIFT_CARD_LIMIT, CREDIT_LIMIT = 2_000, 15_000


class GiftCard(msgspec.Struct):
    """Times are epoch seconds; `expires_on` is a date of the shop's calendar, its last good day."""

    id: int
    code: str
    initial: int
    balance: int
    created_at: int
    expires_on: str | None = None
    customer_id: int | None = None
    note: str | None = None
    deactivated_at: int | None = None
    spent_on: list[int] = field(default_factory=list)


class Movement(msgspec.Struct):
    """One transaction of an account: `credit`, `debit` or `expiration`; `amount` is signed."""

    id: int
    kind: str
    amount: int
    at: int
    event: str
    balance_after: int
    expires_at: int | None = None
    remaining: int = 0


class Account(msgspec.Struct):
    """A customer's store credit."""

    id: int
    customer_id: int
    balance: int = 0
    movements: list[Movement] = field(default_factory=list)


# Gift cards


def gift_card(world: World, domain: str, code: str) -> GiftCard | None:
    """By its code, in any case and with the spaces and dashes people write."""
    plain = code.replace(" ", "").replace("-", "").lower()
    return world.store.get(domain, "gift_card", plain, GiftCard)


def gift_cards(world: World, domain: str) -> list[GiftCard]:
    return sorted(world.store.all(domain, "gift_card", GiftCard), key=lambda card: card.id)


def save_gift_card(world: World, domain: str, card: GiftCard) -> None:
    world.store.put(domain, "gift_card", card.code.lower(), card)


def expired(shop: Shop, card: GiftCard, at: int) -> bool:
    today = datetime.fromtimestamp(at, zone(shop.timezone)).date().isoformat()
    return card.expires_on is not None and card.expires_on < today


def pay_by_gift_card(world: World, domain: str, code: str, due: int, order_id: int, at: int) -> int:
    """Take up to `due` from a card; returns what it gave. Raises OrderError with a sentence for the shopper."""
    card = gift_card(world, domain, code)
    if card is None:
        raise OrderError(f"{code} isn't a gift card of this shop.")
    if card.deactivated_at:
        raise OrderError("This gift card is no longer active.")
    if expired(world.shop(domain), card, at):
        raise OrderError(f"This gift card ended on {card.expires_on}.")
    if not card.balance:
        raise OrderError("This gift card has nothing left on it.")
    taken = min(card.balance, due)
    card.balance -= taken
    card.spent_on.append(order_id)
    save_gift_card(world, domain, card)
    return taken


# Store credit


def account(world: World, domain: str, customer_id: int) -> Account | None:
    """A customer's account as it stands now: what has ended is taken off first."""
    found = world.store.get(domain, "store_credit", customer_id, Account)
    if found and expire(world, found):
        save_account(world, domain, found)
    return found


def account_by_id(world: World, domain: str, account_id: int) -> Account | None:
    every = world.store.all(domain, "store_credit", Account)
    return next((account(world, domain, one.customer_id) for one in every if one.id == account_id), None)


def save_account(world: World, domain: str, account: Account) -> None:
    world.store.put(domain, "store_credit", account.customer_id, account)


def expire(world: World, account: Account) -> bool:
    now = int(world.clock())
    ended = [m for m in account.movements if m.remaining and m.expires_at is not None and m.expires_at <= now]
    for movement in ended:
        lost, movement.remaining = movement.remaining, 0
        move(account, "expiration", -lost, movement.expires_at or now, "ADJUSTMENT")
    return bool(ended)


def move(account: Account, kind: str, amount: int, at: int, event: str, expires_at: int | None = None) -> Movement:
    account.balance += amount
    number = account.id * 1000 + len(account.movements) + 1
    movement = Movement(number, kind, amount, at, event, account.balance, expires_at, max(0, amount))
    account.movements.append(movement)
    return movement


def credit(world: World, domain: str, customer_id: int, amount: int, expires_at: int | None = None) -> Account:
    """The account, opened if need be; the credit is its last movement."""
    found = account(world, domain, customer_id)
    found = found or Account(61_000_000 + world.store.count(domain, "store_credit"), customer_id)
    move(found, "credit", amount, int(world.clock()), "ADJUSTMENT", expires_at)
    save_account(world, domain, found)
    return found


def debit(world: World, domain: str, account: Account, amount: int, event: str = "ADJUSTMENT") -> Movement:
    """Spends the soonest-ending credit first. The balance must hold the amount."""
    left = amount
    for movement in sorted(account.movements, key=lambda m: (m.expires_at or 2**62, m.id)):
        taken = min(left, movement.remaining)
        movement.remaining -= taken
        left -= taken
    made = move(account, "debit", -amount, int(world.clock()), event)
    save_account(world, domain, account)
    return made


def pay_by_store_credit(world: World, domain: str, customer_id: int, due: int) -> int:
    """Take up to `due` from a customer's credit; returns what it gave."""
    found = account(world, domain, customer_id)
    if found is None or not (taken := min(found.balance, due)):
        return 0
    debit(world, domain, found, taken, "ORDER_PAYMENT")
    return taken
