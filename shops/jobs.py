"""Jobs of the tenant: they hold nothing but the call."""

from core.db import database
from shops import upkeep


def warm_tokens() -> None:
    upkeep.warm_tokens(database())
