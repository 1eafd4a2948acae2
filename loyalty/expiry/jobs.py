"""The job of expiry."""

from core.db import database
from loyalty.expiry import upkeep


def expire() -> None:
    upkeep.expire(database())
