"""Shopify Flow: each signal starts the workflows that wait for its trigger.

Source: https://shopify.dev/docs/apps/build/flow/triggers/create
"""

from core.db import Database
from core.effects import PermanentFailure
from loyalty.telling import operations, rules
from loyalty.telling.rules import Event, Signal, Standing
from shops import connections
from shops.admin import Admin, AdminRefused


def tell_flow(database: Database, shop_id: int, member_id: str) -> None:
    """An effect: tell Flow what it has not heard of a member. Raises PermanentFailure when Shopify refuses."""
    with database.transaction(shop_id) as session:
        connection = connections.connection(session, shop_id, connections.FLOW)
    if connection is None:
        return
    with Admin.of(database, shop_id) as admin:

        def send(_: Event, signal: Signal, standing: Standing) -> None:
            admin.call("flow_trigger_receive", handle=signal.handle, payload=rules.flow_payload(signal, standing))

        try:
            operations.tell(database, shop_id, int(member_id), connection, send)
        except AdminRefused as error:
            raise PermanentFailure(error.detail) from None
