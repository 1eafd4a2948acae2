"""The digits of a rotating code: RFC 6238's own numbers, and how long a code is good."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_passes import rotating

# RFC 6238, appendix B, the rows of SHA-1.
RFC_SECRET = b"12345678901234567890"
RFC = [
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
    (20000000000, "65353130"),
]
KEY, OLDER = b"k" * 32, b"o" * 32
SERIAL = "7-0123456789abcdef0123"
NOON = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC)
NOW = rotating.step_at(NOON)


def digits(step: int, key: bytes = KEY, serial: str = SERIAL) -> str:
    """As the phone works them out: from what Google was told alone."""
    told = rotating.details([key], serial, "CODE")
    return rotating.totp(bytes.fromhex(told.key), step, told.digits)


@pytest.mark.parametrize(("seconds", "code"), RFC)
def test_the_numbers_of_the_rfc(seconds: int, code: str) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)
    assert rotating.totp(RFC_SECRET, rotating.step_at(moment)) == code


def test_what_google_is_told() -> None:
    told = rotating.details([KEY, OLDER], SERIAL, "CODE")
    assert told.pattern == "CODE{totp_value_0}"
    assert (told.digits, told.period) == (8, 30_000)
    assert len(told.key) == 40
    assert set(told.key) <= set("0123456789ABCDEF")
    assert told.key != rotating.details([KEY], SERIAL + "0", "CODE").key


@pytest.mark.parametrize(
    ("late", "good"), [(-61, False), (-30, True), (-1, True), (0, True), (29, True), (59, True), (60, False)]
)
def test_a_code_is_good_for_its_step_and_the_ones_beside_it(late: int, good: bool) -> None:
    found = rotating.step_of([KEY], SERIAL, digits(NOW), NOON + timedelta(seconds=late))
    assert found == (NOW if good else None)


def test_a_code_is_of_one_pass_alone() -> None:
    assert rotating.step_of([KEY], SERIAL, digits(NOW, serial="7-" + "f" * 20), NOON) is None
    assert rotating.step_of([KEY], SERIAL, "", NOON) is None


def test_keys_can_be_changed_before_google_is_told_anew() -> None:
    old = digits(NOW, key=OLDER)
    assert rotating.step_of([KEY, OLDER], SERIAL, old, NOON) == NOW
    assert rotating.step_of([KEY], SERIAL, old, NOON) is None


@given(st.integers(30, 2**33), st.integers(-1, 1))
def test_any_moment_knows_its_neighbours(seconds: int, aside: int) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)
    step = rotating.step_at(moment) + aside
    assert rotating.step_of([KEY], SERIAL, digits(step), moment) == step
