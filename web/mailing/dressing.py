"""A letter in a shop's clothes: its name, logo and colours, as a page and as plain text."""

from typing import Any

from sqlalchemy.orm import Session

from core import mail
from core.i18n import _, direction, language
from core.mail import Mail
from shops.appearance import appearance_of
from shops.models import Shop
from wallet_passes.design import parsed, text_on
from wallet_passes.designs.addresses import address
from wallet_passes.designs.queries import design_of
from web import shop_looks
from web.mailing.letters import Letter


def dressed(
    session: Session, shop: Shop, letter: Letter, *, to: str, place: str, stop: str, key: str, test: bool = False
) -> Mail:
    """The mail in the language spoken now. `place` is where its button leads, `stop` where its reader ends mails."""
    reason = _("You get this mail because you collect points at %(shop)s.", shop=shop.name)
    told = {
        "letter": letter,
        "shop": shop.name,
        "place": place,
        "language": language(),
        "direction": direction(),
        "reason": _("This is a test. Members get it with their own facts.") if test else reason,
        "stop_words": _("Stop these mails"),
        "code_words": _("Your code"),
    }
    return mail.written("member", to=to, sender=shop.name, key=key, stop=stop, **told, **_look(session, shop))


def _look(session: Session, shop: Shop) -> dict[str, Any]:
    chosen, design = appearance_of(shop.settings), design_of(session, shop, "")
    logo = address(shop.id, design, "icon") if chosen.logo else ""
    if chosen.accent:
        ground = parsed(chosen.accent)
        design = design._replace(background=ground, foreground=text_on(ground))
    colours = shop_looks.colours(design)
    return {"light": colours["light"], "dark": colours["dark"], "logo": logo}
