"""Looking at a mail before members get it: a preview by a short-lived link, and a test to the merchant's address."""

from email.errors import HeaderParseError
from email.headerregistry import Address

from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy.orm import Session

from core import clock, effects, i18n, mail
from core.config import settings
from core.db import Database
from core.effects import PermanentFailure, Wanted
from core.errors import InvalidInput, NotFound
from core.i18n import _
from core.mail import Mail
from loyalty import programs
from referrals.links import home
from shops.mailings import KINDS
from shops.models import Shop
from web.mailing.dressing import dressed
from web.mailing.samples import sample
from web.portal import sessions

EFFECT = "mail.test"
LIVES = 3600  # seconds
_LONGEST = 254  # characters of an address


def preview_link(shop: Shop, kind: str, language: str) -> str:
    """Where a mail is shown for an hour. It holds examples and nobody's facts."""
    return f"{home(shop)}/mails/preview/{_signer().dumps([shop.id, kind, language])}"


def previewed(session: Session, shop: Shop, signed: str) -> Mail:
    """The mail behind a preview's link. Raises NotFound for one that has ended or is another shop's."""
    try:
        owner, kind, language = _signer().loads(signed, max_age=LIVES)
    except (BadSignature, TypeError, ValueError):
        owner, kind, language = 0, "", ""
    if owner != shop.id or kind not in KINDS:
        raise NotFound("this preview has ended; open it anew", code="link_broken")
    return written(session, shop, kind, language, to="preview@example.com")


def written(session: Session, shop: Shop, kind: str, language: str, *, to: str) -> Mail:
    """A mail of a kind in a language, as an example. Raises NotFound for a shop without a program."""
    now = clock.now()
    program = programs.load(session, [shop.id]).in_force(shop.id, now).program
    with i18n.speaking(language):
        said = sample(kind, shop, program, now)
        key = f"test:{shop.id}:{kind}:{language}:{to}:{int(now.timestamp())}"
        return dressed(session, shop, said, to=to, place=sessions.home(shop), stop="", key=key, test=True)


def ask(session: Session, shop_id: int, kind: str, language: str, to: str) -> None:
    """Have a test sent. Raises InvalidInput (`no_mail`, `bad_email`)."""
    if kind not in KINDS or language not in i18n.LANGUAGES:
        raise InvalidInput("there is no such mail", code="no_mail")
    effects.request(session, [Wanted(shop_id, EFFECT, f"{kind} {language} {checked(to)}")])


def checked(address: str) -> str:
    """An address that mail can be sent to. Raises InvalidInput (`bad_email`)."""
    to = address.strip()
    try:
        parsed = Address(addr_spec=to)
    except (ValueError, IndexError, HeaderParseError):
        parsed = Address()
    plain = to.isascii() and to.isprintable() and " " not in to and len(to) <= _LONGEST
    if not plain or not parsed.username or "." not in parsed.domain:
        raise InvalidInput(_("Check the e-mail address."), code="bad_email")
    return to


def send_test(database: Database, shop_id: int, target: str) -> None:
    """An effect: send the test that was asked for. Raises PermanentFailure, Unavailable."""
    kind, language, to = target.split(" ", 2)
    if not mail.is_on():
        raise PermanentFailure("there is no mail server to send a test by")
    with database.transaction(shop_id) as session:
        test = written(session, session.get_one(Shop, shop_id), kind, language, to=to)
    mail.send(test)


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings().secret_key.get_secret_value(), salt="mail preview")
