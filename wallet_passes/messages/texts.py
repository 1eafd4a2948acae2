"""How cards say a message, in the words of the cards themselves. Pure."""

from typing import NamedTuple

from wallet_passes import content
from wallet_passes.content import Facts, Field
from wallet_passes.google import bodies
from wallet_passes.messages.rules import Shown

# The words to an erased person are gone.
_NOTHING = Field("message", "", "", "back")


class Texts(NamedTuple):
    """Apple Wallet shows one text on the back of a card, and announces it; Google Wallet has a header and a body.

    `announced` is what an iPhone shows when the message comes; None for a quiet one.
    """

    apple: str
    announced: str | None
    google_header: str
    google_body: str


def texts(shown: Shown) -> Texts:
    """What both wallets make of a message."""
    facts = Facts(
        shop="", program="", member=None, points=0, tier="", next_tier=None, offers=(), currency="", message=shown.body,
        message_title=shown.title, message_link=shown.link, message_quiet=shown.quiet,
    )  # fmt: skip
    field = next((field for field in content.card(facts, "", "").fields if field.key == "message"), _NOTHING)
    told = bodies.message(shown, announce=not shown.quiet)["message"]
    announced = field.change.replace("%@", field.text) if field.change else None
    return Texts(field.text, announced, told["header"], told["body"])
