"""Jobs of messages. One that fails delays no other."""

from collections.abc import Callable, Sequence

from core import clock, logs
from core.db import Database, database
from core.errors import one_line
from wallet_passes.messages import queries, sending

log = logs.logger(__name__)


def send_messages() -> None:
    """Send what is due."""
    _each(queries.due_to_send(database(), clock.now()), sending.send)


def end_messages() -> None:
    """Take what is over off the cards."""
    _each(queries.due_to_end(database(), clock.now()), sending.end)


def _each(due: Sequence[queries.Key], work: Callable[[Database, int, int], None]) -> None:
    for shop_id, message_id in due:
        try:
            work(database(), shop_id, message_id)
        except Exception as error:
            log.warning("message waits", shop_id=shop_id, message_id=message_id, error=one_line(error))
