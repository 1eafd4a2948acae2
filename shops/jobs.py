"""Jobs of the tenant: they hold nothing but the call."""

from core.db import database
from shops import plans, upkeep


def warm_tokens() -> None:
    upkeep.warm_tokens(database())


def read_plans() -> None:
    plans.request_all(database())
