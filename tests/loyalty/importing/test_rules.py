"""What rows of a spreadsheet say, and what is wrong with them."""

import pytest

from loyalty.importing.rules import BadFile, Fault, Row, rows

TIERS = {"insider": "Insider", "advocate": "Advocate"}


def read(text: str | bytes) -> list[Row | Fault]:
    return list(rows(text.encode() if isinstance(text, str) else text, TIERS))


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("email,points\nA@Example.com,1200\n", Row(2, "a@example.com", None, 1200)),
        ("Points Balance;E-Mail\n1.200;a@example.com\n", Row(2, "a@example.com", None, 1200)),
        ("Customer ID\tVIP Tier\n7640001\tADVOCATE\n", Row(2, None, 7640001, 0, "advocate")),
        ("id,tier\n'7640001,insider\n", Row(2, None, 7640001, 0, "insider")),
        ("email,birthday\na@b.co,1990-03-14\n", Row(2, "a@b.co", None, 0, None, (3, 14, 1990))),
        ("email,date of birth\na@b.co,02-29\n", Row(2, "a@b.co", None, 0, None, (2, 29, None))),
        ("email,points\n\n,\na@b.co,5.00\n", Row(4, "a@b.co", None, 5)),
        ("\ufeffemail,points\na@b.co,0\n", Row(2, "a@b.co", None, 0)),
    ],
)
def test_rows_are_read_as_other_programs_write_them(text: str, row: Row) -> None:
    assert read(text) == [row]


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("points", "12.5"), ("points", "-3"), ("points", "many"), ("points", "99999999999"), ("points", "1e9"),
        ("tier", "Gold"), ("birthday", "1990-02-30"), ("birthday", "14/03/1990"), ("customer id", "abc"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_and_the_next_row_is_read(column: str, cell: str) -> None:
    first, second = (
        read(f"email,points,{column}\na@b.co,,{cell}\nb@b.co,7,\n")
        if column != "points"
        else read(f"email,points\na@b.co,{cell}\nb@b.co,7\n")
    )
    assert isinstance(first, Fault)
    assert first.number == 2
    assert cell in first.text or "below zero" in first.text
    assert (second.number, second.points) == (3, 7)  # type: ignore[union-attr]


@pytest.mark.parametrize("data", [b"", b"name,age\nx,1\n", b"email\na@b.co\n", b"PK\x03\x04\x00\x00", b"points\n5\n"])
def test_what_is_no_table_of_members_is_refused(data: bytes) -> None:
    with pytest.raises(BadFile):
        read(data)


def test_files_of_old_spreadsheets_are_read_too() -> None:
    assert read("email,tier\nbjörn@example.com,Insider\n".encode("cp1252"))[0].email == "björn@example.com"  # type: ignore[union-attr]
