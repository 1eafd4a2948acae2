"""The thinking behind claims: what is an address, what a friend's code is called, until when it is good. Pure.

making ──▶ made ──▶ used
   │         └───▶ ended        over, or another referrer came last
   └──▶ failed
"""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from email_validator import EmailNotValidError, validate_email

from core.errors import InvalidInput
from core.i18n import N_, _, day
from loyalty.program import instant
from loyalty.rewards.rules import ALPHABET
from loyalty.wording.words import capital, sentences

PREFIX = "FRIEND-"
# What a friend agrees to where the shop's own page or app does not say it in words of its own.
CONSENT = N_("I agree that my e-mail address is kept to give me my code and to thank the friend who invited me.")
# What the claim of somebody fails with who has ordered before; for the merchant.
EXISTING = "the address belongs to a customer who has ordered before"
ALREADY_HERE = N_(
    "You're already with us, so this is for new customers only. You can bring friends yourself, though: "
    "your own link is in your account."
)
NOT_MADE = N_("We couldn't make your code. Please try again in a few minutes.")
_BAD_ADDRESS = N_("This isn't an e-mail address we can use. Please check it, such as anna@example.com.")


def address(text: str) -> str:
    """An e-mail address in lower case, its domain as DNS writes it. Raises InvalidInput (`bad_email`).

    Checked by its form alone. Addresses that are not ASCII before the @ are refused: few mail servers take them.
    """
    try:
        checked = validate_email(text.strip(), check_deliverability=False, allow_smtputf8=False, strict=True)
    except EmailNotValidError:
        raise InvalidInput(_(_BAD_ADDRESS), code="bad_email") from None
    return (checked.ascii_email or checked.normalized).lower()


def discount_code(digest: str) -> str:
    """A friend's code from a keyed hash (hex): FRIEND-7KQ4M2XD."""
    number = int(digest, 16)
    return PREFIX + "".join(ALPHABET[number >> 5 * place & 31] for place in range(8))


def expires_at(at: datetime, days: int, zone: ZoneInfo) -> datetime:
    """When a claim made `at` is over: with the last of its days, by the shop's clock."""
    last = at.astimezone(zone).date() + timedelta(days=days)
    found = instant(datetime.combine(last + timedelta(days=1), time()), zone)
    assert found is not None
    return found


def state_text(state: str, error: str | None, discount: str | None, gift: str, ends: datetime, zone: ZoneInfo) -> str:
    """What a claim's state means, for the friend. `gift` is what they get, `discount` their code if it is one."""
    if state == "failed":
        return _(ALREADY_HERE if error == EXISTING else NOT_MADE)
    if state == "used":
        return _("You've used it. Welcome.")
    if state == "ended":
        return _("This isn't valid any more.")
    gift = capital(gift) or _("You're invited")
    until = day(ends - timedelta(seconds=1), zone)
    if discount is None:
        return sentences(_("%(gift)s.", gift=gift), _("Order by %(day)s.", day=until))
    return sentences(
        _("%(gift)s: enter %(code)s at checkout.", gift=gift, code=discount),
        _("It works in a few seconds.") if state == "making" else "",
        _("Use it by %(day)s.", day=until),
    )
