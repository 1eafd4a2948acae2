"""What the shop has connected Rapport with: Shopify Flow and Klaviyo."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from shops import connections
from shops.connections import Connection
from web.api.endpoint import Call, Operation, endpoint
from web.api.shapes import Asked, Shape


class Connected(Shape):
    """Whether a channel is told what happens, and since when."""

    connected: bool
    since: datetime | None
    key: Annotated[str | None, Field(description="The end of the key that is kept, for people to know it by.")] = None


class Connections(Shape):
    flow: Connected
    klaviyo: Connected


class KlaviyoKey(Asked):
    private_key: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$", examples=["pk_…"])]


@endpoint("GET", "/connections")
def read_connections(call: Call) -> Connections:
    """What is told to whom."""
    held = {name: connections.connection(call.session, call.shop_id, name) for name in connections.CHANNELS}
    return Connections(flow=_shown(held[connections.FLOW]), klaviyo=_shown(held[connections.KLAVIYO]))


@endpoint("PUT", "/connections/flow")
def connect_flow(call: Call) -> Connected:
    """Start workflows of Shopify Flow from now on.

    Doing it again changes nothing.
    """
    return _shown(connections.connect_flow(call.session, call.shop_id, actor=call.actor))


@endpoint("DELETE", "/connections/flow")
def disconnect_flow(call: Call) -> Connected:
    """Start no more workflows."""
    connections.disconnect(call.session, call.shop_id, connections.FLOW, actor=call.actor)
    return _shown(None)


@endpoint("PUT", "/connections/klaviyo", problems=(400, 413, 415, 422))
def connect_klaviyo(call: Call, body: KlaviyoKey) -> Connected:
    """Tell Klaviyo what happens from now on, by a private key of yours that may write events and profiles.

    Sent again, the key takes the place of the one before.
    """
    return _shown(connections.connect_klaviyo(call.session, call.shop_id, body.private_key, actor=call.actor))


@endpoint("DELETE", "/connections/klaviyo")
def disconnect_klaviyo(call: Call) -> Connected:
    """Tell Klaviyo nothing more, and forget its key."""
    connections.disconnect(call.session, call.shop_id, connections.KLAVIYO, actor=call.actor)
    return _shown(None)


def _shown(held: Connection | None) -> Connected:
    if held is None:
        return Connected(connected=False, since=None)
    return Connected(connected=True, since=held.since, key=held.secret and f"…{held.secret[-4:]}")


OPERATIONS: tuple[Operation, ...] = (
    read_connections,
    connect_flow,
    disconnect_flow,
    connect_klaviyo,
    disconnect_klaviyo,
)
