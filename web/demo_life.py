"""What the demo shop's members did of late: some keep their card in a phone, and one has spent points on a reward.

Each does it as people do: the phone opens the member's link, the code is used on an order.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import click
import httpx
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import clock
from core.db import database
from loyalty.models import Member
from loyalty.rewards import operations as rewards
from loyalty.rewards.models import MemberReward
from wallet_passes.adding import links
from wallet_passes.google import saving
from web.demo_friends import Ask, ids_of, patiently

# Whose card is in which of the sandbox's phones.
IPHONES = {"ada": "ada.ferreira@example.com", "delphine": "delphine.roux@example.com"}
ANDROIDS = {"bjorn": "bjorn.holm@example.com"}
SPENDER, REWARD = "delphine.roux@example.com", "free-shipping"
# Longer ago than the live view's news, as the friends' orders are.
SPENT = timedelta(hours=1)
KEY = f"demo:{REWARD}"

# POST to the sandbox world outside the store: (path, body).
AskWorld = Callable[[str, Mapping[str, Any]], Any]


def unfold(shop_id: int, ask: Ask, ask_world: AskWorld) -> bool:
    """Let it happen. False when it has happened already, or they are not there: then nothing is done."""
    with database().transaction(shop_id) as session:
        done = sa.select(MemberReward.id).where(MemberReward.shop_id == shop_id, MemberReward.key == KEY)
        if session.scalar(done):
            return False
        known = ids_of(session, shop_id, (*IPHONES.values(), *ANDROIDS.values(), SPENDER))
    if len(known) < len(IPHONES | ANDROIDS):
        return False
    try:
        _take_cards(shop_id, known, ask_world)
    except httpx.HTTPError as error:
        click.echo(f"The demo shop's members have no cards in their phones: {error}", err=True)
    _spend(shop_id, known[SPENDER], ask)
    return True


def _take_cards(shop_id: int, known: Mapping[str, int], ask_world: AskWorld) -> None:
    for phone, email in IPHONES.items():
        ask_world(f"iphone/{phone}/passes", {"url": links.link(shop_id, known[email]).url})
    for phone, email in ANDROIDS.items():
        ask_world(saving.save_url(database(), shop_id, known[email]), {"phone": phone})


def _spend(shop_id: int, member_id: int, ask: Ask) -> None:
    """Points spent, and an order with the code as soon as the shop knows it."""
    spent_at = clock.now() - SPENT
    with clock.fixed_at(spent_at), database().transaction(shop_id) as session:
        made = rewards.redeem(session, shop_id, member_id, REWARD, actor="demo", key=KEY)
        reward_id, code = made.id, made.code
        customer_id = session.scalar(sa.select(Member.customer_id).where(Member.id == member_id))
    if not patiently(lambda session: _status(session, reward_id) == "issued", shop_id):
        click.echo("The demo shop's reward has no code yet, so no order uses it.", err=True)
        return
    cheapest = min(ask("products", None)["products"], key=lambda item: item["price"])
    order = {"customer_id": customer_id, "lines": [{"variant_id": cheapest["variant_id"]}], "codes": [code]}
    ask("orders", order | {"at": (spent_at + timedelta(minutes=5)).isoformat()})


def _status(session: Session, reward_id: int) -> str | None:
    return session.scalar(sa.select(MemberReward.status).where(MemberReward.id == reward_id))
