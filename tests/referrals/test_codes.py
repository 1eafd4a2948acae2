"""Codes as text: what is made, what may be chosen, what is one and the same, and what was meant."""

import hashlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from referrals import codes

DIGESTS = st.binary(min_size=1, max_size=8).map(lambda seed: hashlib.sha256(seed).hexdigest())
KEYS = st.text("0123456789ABCDEFGHJKMNPQRSTUVWXYZ", min_size=3, max_size=12)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("ANNA10", "ANNA10"),
        (" anna-1o ", "ANNA10"),
        ("Änna lO", "ANNA10"),
        ("ＡＮＮＡ１０", "ANNA10"),
        ("OLIVIA", "011V1A"),
        ("", ""),
        ("李小龙", ""),
        ("\x00' OR 1=1 --", "0R11"),
        ("ANNA10\u202e", "ANNA10"),
    ],
)
def test_what_codes_are_compared_by(text: str, key: str) -> None:
    assert codes.key_of(text) == key
    assert codes.key_of(key) == key


@given(st.text())
def test_a_key_is_a_key_of_itself(text: str) -> None:
    key = codes.key_of(text)
    assert codes.key_of(key) == key
    assert set(key) <= set("0123456789ABCDEFGHJKMNPQRSTUVWXYZ")


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("Anna", "ANNA"),
        ("zoë Kaya", "ZOE"),
        ("Bo", "BO"),
        ("Alexander", "ALEX"),
        ("O'Neil", "ONEI"),
        ("李小龙", ""),
        ("Ørsted", ""),
        ("X", ""),
        ("", ""),
        (None, ""),
        ("   ", ""),
        ("<b>Eve</b>", "BEVE"),
    ],
)
def test_a_code_begins_with_the_first_name(name: str | None, first: str) -> None:
    digest = hashlib.sha256(b"whose").hexdigest()
    made = codes.make(name, digest, 0)
    assert made.startswith(first)
    assert 6 <= len(made) <= 8
    if not first:
        assert set(made) <= set(codes.SYMBOLS)


@given(st.one_of(st.none(), st.text(max_size=20)), DIGESTS, st.integers(0, 30))
def test_made_codes_are_short_unambiguous_and_their_own_spelling(name: str | None, digest: str, tried: int) -> None:
    made = codes.make(name, digest, tried)
    assert 6 <= len(made) <= 8
    assert set(made) <= set(string.ascii_uppercase + string.digits)
    assert not set(codes.SYMBOLS) & set("AEIOU01L")
    assert codes.make(name, digest, tried) == made


@given(st.sampled_from(["Anna", None, "Bo", "Alexandra"]), DIGESTS)
def test_every_try_makes_another_code(name: str | None, digest: str) -> None:
    made = {codes.make(name, digest, tried) for tried in range(16)}
    assert len(made) >= 12


@pytest.mark.parametrize(
    ("text", "shown"),
    [("anna10", "ANNA10"), (" Anna-10 ", "ANNA-10"), ("ＡＮＮＡ", "ANNA"), ("GRAPE", "GRAPE"), ("A" * 20, "A" * 20)],
)
def test_what_may_be_chosen(text: str, shown: str) -> None:
    assert codes.check_vanity(text) == shown


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "bad_code"),
        ("AB", "bad_code"),
        ("A-B", "bad_code"),
        ("A" * 21, "bad_code"),
        ("A" * 100_000, "bad_code"),
        ("ANNA 10", "bad_code"),
        ("-ANNA", "bad_code"),
        ("ANNA--10", "bad_code"),
        ("ANNA_10", "bad_code"),
        ("ÄNNA", "bad_code"),
        ("АННА10", "bad_code"),
        ("1234", "bad_code"),
        ("ANNA\x00", "bad_code"),
        ("admin", "reserved_code"),
        ("SH0PIFY", "reserved_code"),
        ("FRIEND-7KQ4M2XD", "reserved_code"),
        ("RAP-7KQ4", "reserved_code"),
        ("fuck10", "reserved_code"),
        ("5h1t", "reserved_code"),
        ("NAZI88", "reserved_code"),
    ],
)
def test_what_may_not_be_chosen(text: str, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        codes.check_vanity(text)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("ANNA7J", "ANNA7K"),
        ("ANNA7", "ANNA7K"),
        ("ANNA7KK", "ANNA7K"),
        ("NANA7K", "ANNA7K"),
        ("ANNA7K", None),
        ("ANNB8K", None),
        ("BEN34", None),
        ("", None),
        ("X" * 5000, None),
    ],
)
def test_what_was_meant(typed: str, meant: str | None) -> None:
    assert codes.nearest(codes.key_of(typed), ["ANNA7K", "BEN34P", "BEN34Q"]) == meant


@given(KEYS, st.data())
def test_neighbours_know_each_other(key: str, data: st.DataObject) -> None:
    near = data.draw(st.sampled_from(sorted(codes.neighbours(key))))
    assert key in codes.neighbours(near) or not 2 <= len(near) <= codes.LONGEST + 1
