"""The program as a document: one module for each part of it, put together in `document`."""

from loyalty.program.document import Expiry, Program, demo_program
from loyalty.program.earning import Activity, Bonus, JoiningRule, OrderRule
from loyalty.program.ladder import Ladder, Tier
from loyalty.program.parts import Limit, instant
from loyalty.program.referring import Benefit, Milestone, Partnership, Referral, TierBenefit
from loyalty.program.spending import DISCOUNTS, Reward

__all__ = [
    "DISCOUNTS",
    "Activity",
    "Benefit",
    "Bonus",
    "Expiry",
    "JoiningRule",
    "Ladder",
    "Limit",
    "Milestone",
    "OrderRule",
    "Partnership",
    "Program",
    "Referral",
    "Reward",
    "Tier",
    "TierBenefit",
    "demo_program",
    "instant",
]
