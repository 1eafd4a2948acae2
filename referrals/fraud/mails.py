"""Which mailbox an address leads to, however it is written. Pure, but for the key of the hash.

Only what a provider documents counts as the same mailbox; plus tags count everywhere, as RFC 5233 has them.
"""

import re
import unicodedata
from typing import NamedTuple

from disposable_email_domains import blocklist
from email_validator import EmailNotValidError, validate_email

from core import crypto

# Shorter ones are names that many people share: anna1 and anna2 are two people.
SHORTEST_STEM = 6

_GMAIL = ("gmail.com", "googlemail.com")
_PROTON = ("proton.me", "protonmail.com", "protonmail.ch", "pm.me")
_FASTMAIL = ("fastmail.com", "fastmail.fm")
# Domains that share their mailboxes, each with the one it is compared by. Sources:
# https://support.google.com/mail/answer/10313 (googlemail.com), https://support.apple.com/en-us/111767 (iCloud),
# https://proton.me/support/addresses-and-aliases, https://yandex.com/support/id/authorization/email-addresses.html
_SAME = {
    **dict.fromkeys(_GMAIL, "gmail.com"),
    **dict.fromkeys(("icloud.com", "me.com", "mac.com"), "icloud.com"),
    **dict.fromkeys(_PROTON, "proton.me"),
    **dict.fromkeys(("yandex.ru", "yandex.com", "yandex.by", "yandex.kz", "ya.ru"), "yandex.ru"),
}
# Characters that a provider ignores in the part before the @. Sources:
# https://support.google.com/mail/answer/7436150, https://proton.me/support/addresses-and-aliases
_IGNORED = {"gmail.com": ".", "proton.me": ".-_"}


def normalise(email: str) -> str:
    """The address as it is compared: without case, tags, and what its provider ignores. Never raises.

    What is no address is folded as text, so that it equals only itself.
    """
    local, domain = _parts(email)
    domain = _SAME.get(domain, domain)
    # https://www.fastmail.help/hc/en-us/articles/360060591053: anything@name.fastmail.com is name@fastmail.com.
    for host in _FASTMAIL:
        if domain.endswith(f".{host}"):
            local, domain = domain.removesuffix(f".{host}"), host
    tagless = local.partition("+")[0] or local
    kept = "".join(letter for letter in tagless if letter not in _IGNORED.get(domain, ""))
    return f"{kept or tagless}@{domain}" if domain else tagless


# Most addresses are only taken apart at the @, and every order of a shop with codes has one.
_PLAIN = re.compile(r"[a-z0-9._+-]+@(?!.*xn--)[a-z0-9.-]+")


def _parts(email: str) -> tuple[str, str]:
    if _PLAIN.fullmatch(plain := email.strip().lower()):
        local, _, domain = plain.partition("@")
        return local, domain
    # Half a surrogate pair is no character, and no hash can be made of it.
    email = email.encode(errors="replace").decode().strip()
    try:
        checked = validate_email(email, check_deliverability=False, allow_quoted_local=True)
        local, domain = checked.local_part, checked.ascii_domain
    except EmailNotValidError:
        local, _, domain = email.rpartition("@")
        if not local:
            local, domain = domain, ""
    return _folded(local), _folded(domain)


def _folded(text: str) -> str:
    """Full-width letters, ligatures and the like become the letters they look like."""
    return unicodedata.normalize("NFKC", text).casefold()


def index(email: str) -> str:
    """The keyed hash by which an address is known again; the same for every way to write it."""
    return crypto.blind_index(f"referral-email:{normalise(email)}")


def stem(email: str) -> str | None:
    """A keyed hash that numbered addresses share (`shopper.one1@`, `shopper.one22@`); None where many people would."""
    local, _, domain = normalise(email).rpartition("@")
    letters = "".join(letter for letter in local if letter.isalpha())
    return crypto.blind_index(f"referral-stem:{letters}@{domain}") if len(letters) >= SHORTEST_STEM else None


def domain_of(email: str) -> str:
    """The domain as it is written in DNS, empty for what has none."""
    return _parts(email)[1]


def disposable(domain: str) -> bool:
    """Whether addresses of this domain, or of one it is under, are made to be thrown away.

    The list is that of the package `disposable-email-domains`.
    """
    labels = _folded(domain).rstrip(".").split(".")
    return any(".".join(labels[start:]) in blocklist for start in range(len(labels) - 1))


class Ways(NamedTuple):
    """How SQL finds all writings of a mailbox: the bare local part, its domains, and the letters that do not count."""

    local: str
    domains: list[str]
    ignored: str


def ways(email: str) -> Ways:
    """The ways to write the mailbox of an address."""
    local, _, domain = normalise(email).rpartition("@")
    domains = [written for written, same in _SAME.items() if same == domain]
    return Ways(local, domains or [domain], _IGNORED.get(domain, ""))
