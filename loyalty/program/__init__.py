"""The program as a document: one module for each part of it, put together in `document`."""

from loyalty.program.document import Expiry, Program, Referral, demo_program
from loyalty.program.earning import Activity, Bonus, JoiningRule, OrderRule
from loyalty.program.ladder import Ladder, Tier
from loyalty.program.parts import Limit, instant
from loyalty.program.spending import DISCOUNTS, Reward

__all__ = [
    "DISCOUNTS",
    "Activity",
    "Bonus",
    "Expiry",
    "JoiningRule",
    "Ladder",
    "Limit",
    "OrderRule",
    "Program",
    "Referral",
    "Reward",
    "Tier",
    "demo_program",
    "instant",
]
