"""Messages as a merchant sends them over the API, and the jobs that work them off."""

from datetime import datetime
from typing import Any

from core.db import database
from tests.web.stores import Store
from wallet_passes import operations
from wallet_passes.messages import jobs

TASTING = {"title": "Sunday tasting", "body": "Come by at three. Your first cup is on us."}
EVERYONE = {"all": True}


def compose(audience: Any = EVERYONE, **changes: Any) -> dict[str, Any]:
    return {**TASTING, "audience": audience, **changes}


def drafted(store: Store, audience: Any = EVERYONE, **changes: Any) -> dict[str, Any]:
    """A draft, as the API answers."""
    answer = store.post("/wallet/messages", compose(audience, **changes))
    assert answer.status_code == 201, answer.json
    return dict(answer.json)


def told_to_send(store: Store, audience: Any = EVERYONE, **changes: Any) -> str:
    """A message that is scheduled; its id."""
    number = str(drafted(store, audience, **changes)["id"])
    answer = store.post(f"/wallet/messages/{number}/send", {})
    assert answer.status_code == 200, answer.json
    return number


def sent(store: Store, audience: Any = EVERYONE, **changes: Any) -> str:
    """A message that was worked off; its id."""
    number = told_to_send(store, audience, **changes)
    jobs.send_messages()
    return number


def read(store: Store, number: str) -> dict[str, Any]:
    return dict(store.get(f"/wallet/messages/{number}").json)


def outcomes(store: Store, number: str) -> dict[str, str]:
    """What became of a message, by member."""
    items = store.get(f"/wallet/messages/{number}/recipients", limit=200).json["items"]
    return {item["member_id"]: item["outcome"] for item in items}


def put(store: Store, path: str, body: Any) -> Any:
    return store.client.put(f"/api/v1{path}", json=body, headers=store.headers)


def delete(store: Store, path: str) -> Any:
    return store.client.delete(f"/api/v1{path}", headers=store.headers)


def member(store: Store, number: int, amount: int = 80_00, *, card: bool = True, **changes: Any) -> str:
    """A member who has ordered once, with a card that is on no phone yet."""
    customer = store.customer(number)
    store.settle(store.order(number, customer, amount, **changes))
    found = str(store.member_of(customer)["id"])
    if card:
        with database().transaction(store.shop_id) as session:
            operations.issue(session, store.shop_id, int(found))
    return found


def written(moment: datetime) -> str:
    return moment.isoformat()
