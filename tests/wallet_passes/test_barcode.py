"""The code on a card: thirty characters that only we can make, good in one shop."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_passes import barcode
from wallet_passes.barcode import BadCode

KEY, OLDER = b"k" * 32, b"o" * 32
SHOP = 7
HANDLE = "ABCDEFGH"
CODE = barcode.write([KEY], SHOP, HANDLE, 3)


def refusal(code: str, keys: tuple[bytes, ...] = (KEY,), shop: int = SHOP) -> str:
    with pytest.raises(BadCode) as refused:
        barcode.read(keys, shop, code)
    return refused.value.reason


@given(
    st.text(barcode.ALPHABET, min_size=8, max_size=8),
    st.integers(0, barcode.GENERATIONS - 1),
    st.integers(1, 2**62),
)
def test_what_is_written_is_read(handle: str, generation: int, shop: int) -> None:
    code = barcode.write([KEY], shop, handle, generation)
    assert re.fullmatch(r"[0-9A-Z]{30}", code)
    assert barcode.read([KEY], shop, code) == (handle, generation, None)
    assert barcode.read([KEY], shop, barcode.grouped(code).lower()) == (handle, generation, None)


def test_letters_that_look_like_digits_are_read_as_those() -> None:
    typed = CODE.replace("0", "o").replace("1", "l")
    assert barcode.read([KEY], SHOP, typed) == (HANDLE, 3, None)


@pytest.mark.parametrize("place", range(30))
def test_no_character_can_be_changed(place: int) -> None:
    other = "2" if CODE[place] != "2" else "3"
    assert refusal(CODE[:place] + other + CODE[place + 1 :]) == "forged"


@pytest.mark.parametrize("version", ["0", "3", "A", "Z"])
def test_another_version_is_none_of_ours(version: str) -> None:
    assert refusal(version + CODE[1:]) == "unreadable"


def test_a_code_is_good_in_its_own_shop_alone() -> None:
    assert refusal(CODE, shop=8) == "forged"


@pytest.mark.parametrize(
    "code", ["", "1", CODE[:-1], CODE + "0", "HTTPS://EXAMPLE.COM/0123456789", "Ü" * 30, "1" + "U" * 29]
)
def test_what_is_no_code_is_unreadable(code: str) -> None:
    assert refusal(code) == "unreadable"


def test_keys_can_be_changed_without_reprinting() -> None:
    old = barcode.write([OLDER], SHOP, HANDLE, 1)
    assert barcode.read([KEY, OLDER], SHOP, old) == (HANDLE, 1, None)
    assert refusal(old, keys=(KEY,)) == "forged"


def test_handles_don_t_repeat() -> None:
    made = {barcode.new_handle() for _ in range(2000)}
    assert len(made) == 2000
    assert all(re.fullmatch(f"[{barcode.ALPHABET}]{{8}}", one) for one in made)


# Rotating codes.

ROTATING = barcode.write_rotating([KEY], SHOP, HANDLE)


@given(st.text(barcode.ALPHABET, min_size=8, max_size=8), st.text("0123456789", min_size=8, max_size=8))
def test_a_rotating_code_is_read_with_its_digits(handle: str, digits: str) -> None:
    code = barcode.write_rotating([KEY], SHOP, handle) + digits
    assert re.fullmatch(r"[0-9A-Z]{38}", code)
    assert barcode.read([KEY], SHOP, code) == (handle, 0, digits)


def test_without_its_digits_it_is_still_no_still_code() -> None:
    assert barcode.read([KEY], SHOP, ROTATING) == (HANDLE, 0, "")
    assert refusal("1" + ROTATING[1:]) == "forged"


@pytest.mark.parametrize(
    "code", [ROTATING + "1234567", ROTATING + "123456789", ROTATING + "1234567A", CODE + "12345678"]
)
def test_digits_are_eight_or_none_and_for_rotating_codes_alone(code: str) -> None:
    assert refusal(code) == "unreadable"
