"""A shop with a long past installs the app: 20,000 orders come in while web, worker and clock run as in production.

What the merchant sees, what it costs in time and memory, and that nothing is missing, doubled or left behind.
"""

import html
import json
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from sandbox import instance, oracle
from sandbox.catalogue import SECOND, SECOND_PRODUCTS
from sandbox.cli import tell_store
from sandbox.supervisor import MARK
from sandbox.traffic import Mix, final_orders
from tests.browser.conftest import Rapport
from tests.browser.test_second_shop import Town, delivered, until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(3600)]

ORDERS = 20_000
LARGEST = 512  # MiB that a process may ever have
WEEK = range(0, 24 * 7 + 1, 8)  # hours
# The first program's ladder counts in the smallest unit of the shop's currency, which here is the yen itself.
IN_YEN = oracle.Program(ladder=(("insider", 0, 1, 1), ("advocate", 50_000, 5, 4), ("ambassador", 150_000, 3, 2)))


@dataclass
class Watch:
    """What the processes of an instance have in memory, and how long a merchant's page takes meanwhile."""

    state: Path
    most: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    pages: list[float] = field(default_factory=list)

    def look(self) -> None:
        for process in psutil.process_iter():
            name = self._name(process)
            if name:
                self.most[name] = max(self.most[name], process.memory_info().rss >> 20)

    def _name(self, process: psutil.Process) -> str | None:
        try:
            if process.environ().get(MARK) != str(self.state):
                return None
            words = " ".join(process.cmdline())
        except psutil.Error:
            return None
        return next((name for name in ("granian", "worker", "clock", "sandbox") if name in words), None)


@pytest.fixture(scope="module")
def rapport() -> Iterator[Rapport]:
    folder = tempfile.TemporaryDirectory(prefix="rapport-large-", ignore_cleanup_errors=True)
    with folder as state, instance.running(Path(state)) as facts:
        yield Rapport(Path(state), facts)


def past() -> Mix:
    return Mix(
        orders=ORDERS, shop=SECOND, catalogue=SECOND_PRODUCTS, members=4000, refunds=0.04, gift_cards=0, discounts=0.2,
        foreign=0, now=int(time.time()) - 86_400, days=700,
    )  # fmt: skip


def test_twenty_thousand_orders_come_in_and_go(rapport: Rapport, capsys: pytest.CaptureFixture[str]) -> None:
    town, mix, watch = Town(rapport), past(), Watch(rapport.state)
    tell_store(town.store, mix)
    known = len(town.ask("GET", "orders")["orders"])
    took = {"coming in": timed(lambda: its_past_comes_in(town, rapport, watch))}
    took["reconcile"] = timed(lambda: nothing_is_missing(rapport, known))
    took["awarding"] = timed(lambda: everything_earns(rapport, mix))
    took["ledger verify"] = timed(lambda: rapport.flask("ledger", "verify"))
    took["a week of tokens"] = timed(lambda: tokens_are_fresh_for_a_week(rapport))
    took["leaving"] = timed(lambda: leaves_nothing(town, rapport))
    watch.look()
    with capsys.disabled():
        print(f"\n{known:,} orders: " + ", ".join(f"{name} {seconds:.0f} s" for name, seconds in took.items()))
        print(f"largest: {', '.join(f'{name} {most} MiB' for name, most in sorted(watch.most.items()))}; slowest page "
              f"{max(watch.pages):.2f} s of {len(watch.pages)}")  # fmt: skip
    assert max(most for name, most in watch.most.items() if name != "sandbox") < LARGEST


def timed(work: Any) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def its_past_comes_in(town: Town, rapport: Rapport, watch: Watch) -> None:
    """The bar only ever goes on, to its end."""
    shares = [0]
    with httpx.Client(base_url=rapport.facts["base_url"], timeout=30) as client:
        look_at(client, town, "/merchant")
        while True:
            watch.look()
            began = time.monotonic()
            told = look_at(client, town, "/merchant/settings/past/progress")
            watch.pages.append(time.monotonic() - began)
            if "past is here" in html.unescape(told):
                break
            found = re.search(r'aria-label="(\d+) percent"', told)
            assert found, told
            shares.append(int(found[1]))
            time.sleep(2)
    assert shares == sorted(shares)
    assert len(set(shares)) > 10


def look_at(client: httpx.Client, town: Town, path: str) -> str:
    token = town.ask("POST", "session-token")["session_token"]
    answer = client.get(path, headers={"Authorization": f"Bearer {token}"}, follow_redirects=True)
    answer.raise_for_status()
    return answer.text


def nothing_is_missing(rapport: Rapport, known: int) -> None:
    told = rapport.flask("reconcile", "--shop", SECOND.domain, "--since", "2020-01-01")
    assert f"{known:,} orders seen, {known:,} settled, 0 differed, 0 brought in" in told


def everything_earns(rapport: Rapport, mix: Mix) -> None:
    """The whole past is awarded, and each member of it has what they should."""
    ask(rapport, AWARD)
    until(lambda: ask(rapport, AWARDED), seconds=1800, every=5)
    books = oracle.books(final_orders(mix), program=IN_YEN).members.values()
    wanted = {str(m.customer_id): [m.available, m.pending] for m in books if m.customer_id}
    found = ask(rapport, POINTS)
    assert {id: found[id] for id in wanted} == wanted


# These run where the instance's own processes do.

SHOP = f"""
import json
import sqlalchemy as sa
from core.db import database
from shops.models import Shop
with database().transaction() as session:
    shop = session.scalar(sa.select(Shop.id).where(Shop.domain == {SECOND.domain!r}))
"""
TOKENS = f"""
from datetime import timedelta
from core import clock
from shops.admin import Admin
began, used = clock.now(), set()
for hour in {list(WEEK)}:
    with clock.fixed_at(began + timedelta(hours=hour)), Admin.of(database(), shop) as admin:
        assert admin.call("shop")["shop"]["id"]
        used.add(admin._token)
print(len(used))
"""
AWARD = """
from datetime import UTC, datetime
from webhooks import backfill
with database().transaction(shop) as session:
    backfill.award_since(session, shop, datetime(2000, 1, 1, tzinfo=UTC), actor="merchant")
print(1)
"""
AWARDED = """
from core.effects import Effect
with database().transaction(shop) as session:
    waits = sa.select(sa.func.count()).select_from(Effect).where(Effect.kind == "shopify.award")
    print(json.dumps(session.scalar(waits) == 0))
"""
POINTS = """
from loyalty.models import Member
with database().transaction(shop) as session:
    people = session.scalars(sa.select(Member).where(Member.customer_id.is_not(None)))
    print(json.dumps({str(one.customer_id): [one.available, one.pending] for one in people}))
"""
LEFT = """
with database().transaction(shop) as session:
    tables = session.scalars(sa.text(
        "SELECT table_name FROM information_schema.columns WHERE column_name = 'shop_id' AND table_schema = 'public'"))
    left = {t: session.scalar(sa.text(f"SELECT count(*) FROM {t} WHERE shop_id = {shop}")) for t in tables}
print(json.dumps({table: count for table, count in left.items() if count}))
"""


def ask(rapport: Rapport, code: str) -> Any:
    return json.loads(rapport.python(SHOP + code).splitlines()[-1])


def tokens_are_fresh_for_a_week(rapport: Rapport) -> None:
    assert ask(rapport, TOKENS) == len(WEEK)


def leaves_nothing(town: Town, rapport: Rapport) -> None:
    town.ask("POST", "uninstall")
    until(lambda: "app/uninstalled" in delivered(town))
    town.ask("POST", "redact")
    until(lambda: "shop/redact" in delivered(town))
    print(ask(rapport, LEFT))
    until(lambda: ask(rapport, LEFT) == {}, seconds=300)
