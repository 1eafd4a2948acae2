"""What staff read: short, and plain from an arm's length."""

from core.i18n import _
from loyalty.rewards.models import MemberReward
from wallet_passes import scanning
from web.staff import visits


def signed_out() -> str:
    return _("You have been signed out. Sign in again with your PIN.")


def errors() -> dict[str, tuple[str, str]]:
    """Titles and sentences by an error's code, where the error's own sentence is for somebody else."""
    return {
        "stale_form": (_("Open for too long"), _("Go back to the scanner and try once more.")),
        "not_found": (_("Nothing here"), _("This page doesn't exist.")),
        "no_member": (_("No such member"), _("They have left the program.")),
        "away": (_("We can't reach the shop"), _("Nothing was changed. Try again in a moment.")),
        "unexpected": (_("Something went wrong"), _("Nothing was changed. Try again in a moment.")),
        "too_many_requests": (_("Too fast"), _("Wait a moment, then try again.")),
    }


def validity(found: str) -> str:
    """What a scanned code, or the way a member was found, means for whoever serves them."""
    said = {
        "current": _("This card is good."),
        "outdated": _("This code is from before a redemption. To spend points, scan the card on the phone itself."),
        "used": _("This code was scanned already. It changes every 30 seconds: to spend points, scan the next one."),
        "stale": _("This code is too old, or a picture of one. To spend points, scan the card on the phone itself."),
        "ended": _("This card has ended: its member has left the program."),
        "unknown": _("There is no card with this code any more."),
        "forged": _("This is no card of this shop."),
        "unreadable": _("This is no whole code of a card. Scan it again, or type the characters below it."),
        visits.LOOKED_UP: _("Found without a card. Make sure it is them."),
        visits.ENROLLED: _("A member from now on."),
    }
    return said.get(found) or scanning.TEXTS[found]


def perk(key: str) -> str:
    """What to honour. Perks of a shop's own are called what the shop calls them."""
    said = {"free-shipping": _("Free shipping"), "early-access": _("Early access")}
    return said.get(key) or key.replace("-", " ").capitalize()


def reward_state(row: MemberReward) -> str:
    """How far a redeemed reward is."""
    if row.status == "issuing":
        return _("Being made ready: a few seconds.")
    return _("Hand it over.") if row.terms["kind"] == "custom" else _("Enter the code at the till.")
