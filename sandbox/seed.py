"""The demo world: a small coffee roaster, its regulars at different stages, and a year of orders behind them.

Times count back from the first start, everything else is the same on every machine. Nothing is sent: the past waits
in the outbox until the app is installed and asks for a replay.
"""

import heapq
import random
from collections.abc import Callable, Sequence

from sandbox.catalogue import DEMO, PRODUCTS, SECOND, SECOND_PRODUCTS
from sandbox.orders import Basket, Customer, Discount, Item
from sandbox.world import World

DAY = 86_400
GUEST = "rosa.marsh@example.com"

ESPRESSO, ESPRESSO_KILO, LIGHTHOUSE, LIGHTHOUSE_KILO, GUJI, DECAF, DRIPPER, FILTERS, MUG, GRINDER, GIFT_CARD = PRODUCTS


def seed(world: World) -> None:
    """Make both shops' pasts, unless they exist already."""
    if world.store.all(DEMO.domain, "seeded", bool):
        return
    with world.store.transaction():
        Past(world, DEMO.domain).north_pier()
        Past(world, SECOND.domain).kawabe()
        world.store.put(DEMO.domain, "seeded", "world", True)


class Past:
    """Collects what happened in one shop, then plays it in order of time, so that order numbers follow the calendar."""

    def __init__(self, world: World, domain: str) -> None:
        self.world = world
        self.domain = domain
        self.now = int(world.clock())
        self.plans: list[tuple[int, int, Callable[[int], object]]] = []
        self.chance = random.Random(f"demo {domain}")

    def plan(self, days_ago: float, happening: Callable[[int], object]) -> None:
        at = self.now - int(days_ago * DAY)
        heapq.heappush(self.plans, (at, len(self.plans), happening))

    def play(self) -> None:
        while self.plans:
            at, _, happening = heapq.heappop(self.plans)
            happening(at)

    def meet(self, first: str, last: str, days_ago: float) -> Customer:
        email = f"{first}.{last}@example.com".lower().replace("ö", "o")
        return self.world.create_customer(self.domain, first, last, email, self.now - int(days_ago * DAY))

    def buy(
        self,
        who: Customer | str,
        days_ago: float,
        items: Sequence[tuple[Item, int]],
        *,
        status: str = "paid",
        code: Discount | None = None,
        broken: Item | None = None,
    ) -> None:
        """An order of a customer, or of a guest by e-mail. Paid ones ship in two days; one `broken` unit goes back."""
        person = {"customer": who} if isinstance(who, Customer) else {"email": who}
        basket = Basket(items, (code,) if code else ())

        def happening(at: int) -> None:
            order = self.world.place(self.domain, basket, at, status=status, **person)
            if status == "paid" and days_ago > 2:
                self.plan(days_ago - 2, lambda at: self.world.fulfil(self.domain, order.id, at=at))
            if broken:
                one = {next(line.id for line in order.lines if line.item == broken): 1}
                self.plan(days_ago - 7, lambda at: self.world.refund(self.domain, order.id, one, at, "Arrived broken"))

        self.plan(days_ago, happening)

    def habit(self, who: Customer, days: range, items: Sequence[tuple[Item, int]]) -> None:
        """The same basket every so often, a little late."""
        for day in days:
            self.buy(who, day - self.chance.random() * 3, items)

    def north_pier(self) -> None:
        self.regulars()
        self.maya_is_new()
        self.theo_is_close_to_advocate()
        self.noor_is_an_ambassador_with_a_pending_order()
        self.silas_is_at_risk()
        self.june_had_a_refund()
        self.rosa_is_a_guest_to_be_claimed()
        self.play()

    def regulars(self) -> None:
        for first, last, since in REGULARS:
            favourite = self.chance.choice(PRODUCTS[:6])
            self.habit(self.meet(first, last, since), range(since, 12, -38), [(favourite, 1)])

    def maya_is_new(self) -> None:
        self.buy(self.meet("Maya", "Lindqvist", 3), 3, [(LIGHTHOUSE, 1), (MUG, 1)])

    def theo_is_close_to_advocate(self) -> None:
        """$491.99 in the last 365 days."""
        theo = self.meet("Theo", "Okafor", 210)
        self.habit(theo, range(205, 50, -29), [(ESPRESSO_KILO, 1), (LIGHTHOUSE, 1)])
        self.buy(theo, 20, [(GUJI, 2)])
        self.buy(theo, 4.5, [(LIGHTHOUSE, 1), (MUG, 1)])

    def noor_is_an_ambassador_with_a_pending_order(self) -> None:
        noor = self.meet("Noor", "Haddad", 364)
        self.buy(noor, 363, [(GRINDER, 1), (ESPRESSO_KILO, 2)])
        self.habit(noor, range(350, 12, -22), [(ESPRESSO_KILO, 1), (GUJI, 2), (FILTERS, 1)])
        self.buy(noor, 9, [(GIFT_CARD, 1), (LIGHTHOUSE_KILO, 1)])
        self.buy(noor, 0.1, [(ESPRESSO_KILO, 1), (GUJI, 1)], status="pending")

    def silas_is_at_risk(self) -> None:
        """An Advocate who stopped buying five months ago and will lose the tier next month."""
        self.habit(self.meet("Silas", "Brandt", 340), range(338, 150, -21), [(DECAF, 2), (LIGHTHOUSE, 2)])

    def june_had_a_refund(self) -> None:
        june = self.meet("June", "Park", 120)
        self.buy(june, 40, [(MUG, 2), (ESPRESSO, 1)], broken=MUG)
        self.buy(june, 15, [(ESPRESSO, 2)], code=Discount("WELCOME10", "percentage", 10))

    def rosa_is_a_guest_to_be_claimed(self) -> None:
        self.buy(GUEST, 61, [(LIGHTHOUSE, 2)])
        self.buy(GUEST, 18, [(GUJI, 1), (FILTERS, 1)])

    def kawabe(self) -> None:
        hana = self.meet("Hana", "Mori", 90)
        self.buy(hana, 80, [(SECOND_PRODUCTS[0], 2)])
        self.buy(hana, 12, [(SECOND_PRODUCTS[1], 1), (SECOND_PRODUCTS[2], 3)])
        self.play()


REGULARS = (
    ("Ada", "Ferreira", 355),
    ("Björn", "Holm", 312),
    ("Chidi", "Eze", 298),
    ("Delphine", "Roux", 266),
    ("Ewan", "MacLeod", 231),
    ("Farah", "Aziz", 187),
    ("Gus", "Novak", 154),
    ("Hiro", "Tanaka", 96),
    ("Iris", "Coleman", 61),
    ("Jonas", "Weber", 34),
)
