"""One home has many ways to be written, one network many addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referrals.fraud import network
from referrals.fraud.addresses import Address, Place, place

BERLIN = Address("Hauptstraße 5", "", "Berlin", "10115", "DE")
NEW_YORK = Address("240 East 5th Street", "Apt 4B", "New York", "10003", "US")


def in_berlin(line1: str, line2: str = "") -> Address:
    return Address(line1, line2, "Berlin", "10115", "DE")


def in_new_york(line1: str, line2: str = "", postcode: str = "10003") -> Address:
    return Address(line1, line2, "new york", postcode, "US")


def found(address: Address) -> Place:
    there = place(address)
    assert there is not None
    return there


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (BERLIN, in_berlin("Hauptstr. 5")),
        (BERLIN, in_berlin("HAUPTSTRASSE 5")),
        (BERLIN, in_berlin("Haupt-Str 5")),
        (BERLIN, in_berlin("5 Hauptstr")),
        (BERLIN, in_berlin("Hauptstraße 5", "Whg. 3")),
        (BERLIN, in_berlin("", "Hauptstr. 5")),
        (in_berlin("Müllerstr. 12 a"), in_berlin("Muellerstraße 12a")),
        (in_berlin("Müllerstr. 12 a"), in_berlin("Mullerstrasse 12-A")),
        (NEW_YORK, in_new_york("240 E 5th St #4b")),
        (NEW_YORK, in_new_york("240 E. 5th St., Unit 4-B", postcode="10003-1234")),
        (NEW_YORK, in_new_york("Apt. 4 B, 240 East 5th Street")),
        (NEW_YORK, in_new_york("240 East 5th Street")),
        (
            Address("10 Kings Rd", "Flat 3", "London", "SW3 4UZ", "GB"),
            Address("Flat 3, 10 Kings Road", "", "", "sw34uz", "GB"),
        ),
        (
            Address("Rose Cottage, Mill Lane", "", "Bath", "BA1 1AA", "GB"),
            Address("Rose Cottage Mill Ln", "", "", "BA11AA", "GB"),
        ),
    ],
)
def test_one_home(one: Address, other: Address) -> None:
    assert found(one).same_home(found(other))
    assert found(other).same_home(found(one))


@pytest.mark.parametrize(
    ("one", "other", "same_house"),
    [
        (NEW_YORK, in_new_york("240 East 5th Street", "Apt 4C"), True),
        (NEW_YORK, in_new_york("240 E 5th St", "9Z"), True),
        (NEW_YORK, in_new_york("240 West 5th Street", "Apt 4B"), False),
        (NEW_YORK, in_new_york("241 East 5th Street", "Apt 4B"), False),
        (NEW_YORK, in_new_york("240 East 5th Avenue", "Apt 4B"), False),
        (NEW_YORK, in_new_york("240 East 5th Street", "Apt 4B", "10004"), False),
        (BERLIN, in_berlin("Hauptstraße 6"), False),
        (BERLIN, in_berlin("Nebenstraße 5"), False),
        (BERLIN, Address("Hauptstraße 5", "", "Berlin", "10115", "AT"), False),
        (in_berlin("Müllerstr. 12"), in_berlin("Müllerstr. 12a"), False),
    ],
)
def test_another_home(one: Address, other: Address, same_house: bool) -> None:
    assert not found(one).same_home(found(other))
    assert (found(one).house == found(other).house) is same_house


@pytest.mark.parametrize("address", [Address(), Address("Berlin"), Address("Main Street", "", "X", "1", "US"),
                                     Address("Hauptstraße 5", "", "", "", "DE")])  # fmt: skip
def test_what_names_no_house_is_not_compared(address: Address) -> None:
    assert place(address) is None


@given(st.builds(Address, *[st.text(max_size=40)] * 5))
def test_any_text_can_be_looked_at(address: Address) -> None:
    there = place(address)
    assert there is None or there.same_home(there)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.7", "203.0.113.250", True),
        ("203.0.113.7", "203.0.114.7", False),
        ("203.0.113.7", "::ffff:203.0.113.9", True),
        ("2001:db8:0:1::1", "2001:db8:0:ff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:100::1", False),
        ("fe80::1%eth0", "fe80::2", True),
    ],
)
def test_networks(one: str, other: str, same: bool) -> None:
    assert (network.index(one) == network.index(other)) is same
    assert one not in network.index(one)


@pytest.mark.parametrize("text", [None, "", "unknown", "203.0.113", "203.0.113.7, 198.51.100.1", "\x00"])
def test_no_address_is_no_network(text: str | None) -> None:
    assert network.index(text) == ""
