"""One mailbox has many ways to be written; two mailboxes never are one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referrals.fraud import mails

SAME = [
    ("noor@example.com", "NOOR@Example.COM"),
    ("noor@example.com", "  noor@example.com\n"),
    ("noor@example.com", "noor+shop@example.com"),
    ("noor@example.com", "noor+a+b@example.com"),
    ("noor@example.com", "ｎｏｏｒ@example.com"),
    ("fiona@example.com", "ﬁona@example.com"),
    ("noor@example.com", "noor@ｅxample.com"),
    ("noorhaddad@gmail.com", "noor.haddad@gmail.com"),
    ("noorhaddad@gmail.com", "N.o.o.r.Haddad+x@googlemail.com"),
    ("noor@icloud.com", "noor@me.com"),
    ("noor@icloud.com", "noor+x@mac.com"),
    ("noor@proton.me", "no-o_r@protonmail.com"),
    ("noor@fastmail.com", "shop@noor.fastmail.com"),
    ("noor@yandex.ru", "noor@ya.ru"),
    ("noor@bücher.example", "noor@xn--bcher-kva.example"),
    ("straße@example.com", "STRASSE@example.com"),
]
DIFFERENT = [
    ("noor@example.com", "noor@example.org"),
    ("noor.haddad@example.com", "noorhaddad@example.com"),
    ("noor.haddad@outlook.com", "noorhaddad@outlook.com"),
    ("noor@outlook.com", "noor@hotmail.com"),
    ("noor1@gmail.com", "noor2@gmail.com"),
    ("no-or@gmail.com", "noor@gmail.com"),
    ("noor@gmail.com.example", "noor@gmail.com"),
    ("noor@notgmail.com", "noor@gmail.com"),
    ("+tag@example.com", "+other@example.com"),
    ("", "@"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same_mailbox(one: str, other: str) -> None:
    assert mails.normalise(one) == mails.normalise(other)
    assert mails.index(one) == mails.index(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT[:-1])
def test_another_mailbox(one: str, other: str) -> None:
    assert mails.index(one) != mails.index(other)


@given(st.text(max_size=200) | st.text(alphabet="a.+@-\x00\r\n\ud800é", max_size=30))
def test_any_text_has_an_index(text: str) -> None:
    assert mails.index(text) == mails.index(text.strip())
    assert mails.disposable(mails.domain_of(text)) in (True, False)
    mails.stem(text)


@given(st.emails())
def test_what_is_normalised_stays_so(address: str) -> None:
    assert mails.normalise(mails.normalise(address)) == mails.normalise(address)


@given(st.emails(), st.text(alphabet="abc123", min_size=1, max_size=8))
def test_a_tag_never_makes_another_mailbox(address: str, tag: str) -> None:
    local, _, domain = address.rpartition("@")
    if not local.startswith("+") and len(local) < 50:
        assert mails.index(f"{local}+{tag}@{domain}") == mails.index(address)


def test_an_index_tells_nothing() -> None:
    assert "noor" not in mails.index("noor@example.com")
    assert len(mails.index("noor@example.com")) == 64


@pytest.mark.parametrize(
    ("domain", "thrown_away"),
    [
        ("mailinator.com", True),
        ("MAILINATOR.com", True),
        ("any.thing.mailinator.com", True),
        ("mailinator.com.", True),
        ("ourmailinator.example", False),
        ("mailinator.com.example.org", False),
        ("gmail.com", False),
        ("com", False),
        ("", False),
    ],
)
def test_addresses_to_throw_away(domain: str, thrown_away: bool) -> None:
    assert mails.disposable(domain) is thrown_away


@pytest.mark.parametrize(
    ("one", "other", "numbered"),
    [
        ("shopper.annie1@example.net", "shopperannie22@example.net", True),
        ("shopper.annie1@example.net", "shopper.annie1@example.com", False),
        ("anna1@example.net", "anna2@example.net", False),
        ("shopper.annie1@example.net", "shopper.anne1@example.net", False),
    ],
)
def test_numbered_addresses(one: str, other: str, numbered: bool) -> None:
    assert (mails.stem(one) is not None and mails.stem(one) == mails.stem(other)) is numbered


def test_the_ways_to_write_a_mailbox() -> None:
    assert mails.ways("N.oor+x@googlemail.com") == ("noor", ["gmail.com", "googlemail.com"], ".")
    assert mails.ways("n.oor+x@example.com") == ("n.oor", ["example.com"], "")
