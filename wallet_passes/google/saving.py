"""The link that saves a card to Google Wallet.

It is short, for it only names what Google has already: a link that held a whole card would not fit into an address.
Source: https://developers.google.com/wallet/retail/loyalty-cards/use-cases/jwt
"""

from typing import Any
from urllib.parse import urlsplit

from core import clock, effects
from core.config import settings
from core.db import Database
from core.effects import NotYet, Wanted
from wallet_passes import operations as passes
from wallet_passes.google import account, operations, telling
from wallet_passes.google.account import Account
from wallet_passes.google.client import IMPATIENT
from wallet_passes.google.operations import EFFECT, Plan
from wallet_passes.google.telling import Wishes


def save_url(database: Database, shop_id: int, member_id: int) -> str:
    """Where a member saves their card; Google has it by then. No transaction may be open, for Google is asked.

    Raises NotSetUp (`no_google_wallet`), NotFound (`no_member`, `no_pass`), Unavailable (`google_unavailable`),
    GoogleRefused, BadAccount.
    """
    who, key, now = account.current(), (shop_id, member_id), clock.now()
    with database.transaction(shop_id) as session:
        current = passes.issue(session, shop_id, member_id)
        operations.reserve(session, current.row, now)
        (plan,) = operations.plans(session, who.issuer, {key: current}, now)
        classes = operations.class_plans(session, who.issuer, [current])
    error = telling.tell(database, Wishes(now, classes, [plan] if plan.due else []), IMPATIENT).get(key)
    if isinstance(error, NotYet):
        with database.transaction(shop_id) as session:
            effects.request(session, [Wanted(shop_id, EFFECT, str(member_id))])
    elif error is not None:
        raise error
    return f"{settings().google_save_url.rstrip('/')}/{who.sign(_claims(who, plan))}"


def _claims(who: Account, plan: Plan) -> dict[str, Any]:
    ours = urlsplit(settings().app_url)
    return {
        "iss": who.email,
        "aud": "google",
        "typ": "savetowallet",
        "iat": int(clock.now().timestamp()),
        "origins": [f"{ours.scheme}://{ours.netloc}"],
        "payload": {"loyaltyObjects": [{"id": plan.body["id"], "classId": plan.body["classId"]}]},
    }
