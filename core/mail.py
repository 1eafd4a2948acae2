"""Mail: one message at a time over SMTP, from templates in `templates/email/`. Called by effects, which try again.

Source: RFC 5321 for what a reply code means: 4xx is for now, 5xx for good.
"""

import smtplib
import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from core import clock, crypto
from core.config import settings
from core.effects import PermanentFailure
from core.errors import Unavailable

TIMEOUT = 15  # seconds

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1] / "templates" / "email"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class Mail(NamedTuple):
    """A message to one person. `key` names the reason: a repeat carries the same Message-ID, which mailboxes know.

    `stop` is an address by which its reader ends mails like it, without signing in.
    """

    to: str
    sender: str
    subject: str
    text: str
    html: str
    key: str
    stop: str | None = None


def is_on() -> bool:
    """Whether there is a server to send by."""
    return bool(settings().smtp_host and settings().mail_from)


def written(name: str, /, *, to: str, sender: str, key: str, stop: str | None = None, **facts: Any) -> Mail:
    """A mail from the templates `<name>.txt` (its first line is the subject) and `<name>.html`."""
    facts["stop"] = stop
    subject, _, text = _templates.get_template(f"{name}.txt").render(**facts).partition("\n")
    html = _templates.get_template(f"{name}.html").render(subject=subject, **facts)
    return Mail(to, sender, subject.strip(), text.strip() + "\n", html, key, stop)


def send(mail: Mail) -> None:
    """Hand a mail to the server. Raises Unavailable (try again) and PermanentFailure (it will never be taken)."""
    message = _message(mail)
    try:
        with _connection() as server:
            server.send_message(message)
    except smtplib.SMTPRecipientsRefused as error:
        _give_up(next(iter(error.recipients.values()))[0])
    except smtplib.SMTPResponseException as error:
        _give_up(error.smtp_code)
    except (smtplib.SMTPException, OSError):
        raise Unavailable("the mail server does not answer; try again") from None


def _give_up(code: int) -> None:
    # What is wrong with our own account is mended by us, and the mail then still wanted.
    if code >= 500 and code not in (530, 534, 535):
        raise PermanentFailure(f"the mail server refuses this mail ({code})")
    raise Unavailable(f"the mail server does not take mail just now ({code})")


def _message(mail: Mail) -> EmailMessage:
    """Raises PermanentFailure for an address that is none."""
    message, sender = EmailMessage(), settings().mail_from
    try:
        message["To"] = Address(addr_spec=mail.to)
        message["From"] = Address(_one_line(mail.sender), addr_spec=sender)
        message["Subject"] = _one_line(mail.subject)
    except (ValueError, IndexError):
        raise PermanentFailure("this is no address that mail can be sent to") from None
    message["Date"] = formatdate(clock.now().timestamp())
    message["Message-ID"] = f"<{crypto.digest(mail.key)}@{urlsplit(settings().app_url).hostname}>"
    message["Auto-Submitted"] = "auto-generated"
    if mail.stop:
        # RFC 8058: mailboxes offer a button that posts there.
        message["List-Unsubscribe"] = f"<{mail.stop}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message


def _one_line(text: str) -> str:
    """Names come from shops and people: no line break may begin a header of theirs."""
    return " ".join(text.split())


def _connection() -> smtplib.SMTP:
    config = settings()
    if config.smtp_security == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            config.smtp_host, config.smtp_port, timeout=TIMEOUT, context=ssl.create_default_context()
        )
    else:
        server = smtplib.SMTP(config.smtp_host, config.smtp_port, timeout=TIMEOUT)
    if config.smtp_security == "starttls":
        server.starttls(context=ssl.create_default_context())
    if config.smtp_user:
        server.login(config.smtp_user, config.smtp_password.get_secret_value())
    return server
