"""Jobs of cards."""

from core.db import database
from wallet_passes import rollouts


def roll_out() -> None:
    """Have cards follow what concerns all of them."""
    rollouts.work(database())
