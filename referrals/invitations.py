"""What members tell their friends, in words and in links to share. Pure."""

from typing import NamedTuple
from urllib.parse import quote

from core.i18n import N_, _

# Kinds that become a code for the checkout.
DISCOUNTS = frozenset({"amount_off", "percentage", "free_shipping"})


class Share(NamedTuple):
    """The same invitation for each way to send it. All but `message`, `subject` and `body` are links to open."""

    message: str
    subject: str
    body: str
    email: str
    whatsapp: str
    sms: str
    x: str
    facebook: str


def share(shop: str, url: str, gift: str) -> Share:
    """The invitation to a shop by its name. `gift` is what the friend gets, as `referrals.sharing.gift` has it."""
    text = N_("Here's %(gift)s at %(shop)s.") if gift else N_("I think you'd like %(shop)s.")
    offer = _(text, gift=gift, shop=shop)
    message, subject = f"{offer} {url}", _("For you, from %(shop)s", shop=shop)
    body = f"{_('Hi,')}\n\n{offer}\n\n{url}\n"
    return Share(
        message=message,
        subject=subject,
        body=body,
        email=f"mailto:?subject={quote(subject)}&body={quote(body)}",
        whatsapp=f"https://wa.me/?text={quote(message)}",
        # iOS wants the ampersand, Android doesn't mind it.
        sms=f"sms:?&body={quote(message)}",
        x=f"https://x.com/intent/post?text={quote(offer)}&url={quote(url, safe='')}",
        facebook=f"https://www.facebook.com/sharer/sharer.php?u={quote(url, safe='')}",
    )
