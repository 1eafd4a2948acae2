"""Periodic work of telling others."""

from core.db import database
from loyalty.telling import risk


def find_at_risk() -> None:
    risk.find(database())
