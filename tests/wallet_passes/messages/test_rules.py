"""What may be said, when, and to whom it goes: tables of exact cases."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from wallet_passes.messages import rules
from wallet_passes.messages.composing import Composed
from wallet_passes.messages.rules import BadText, BadTime, Limit, Shown, checked, missed, outcome, sending_time
from wallet_passes.messages.texts import texts

NOW = datetime(2026, 3, 4, 16, 20, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
FLAG = "\U0001f1e9\U0001f1ea"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Sunday tasting", "Sunday tasting"),
        ("  Two\n lines\tand  spaces ", "Two lines and spaces"),
        ("5 < 6 and 7 > 2", "5 < 6 and 7 > 2"),
        ("evil\u202etxt.exe", "evil txt.exe"),
        ("\u2066hidden\u2069\u200f", "hidden"),
        ("zero\x00width", "zero width"),
        ("Cafe\u0301", "Café"),
        ("x" * 40, "x" * 40),
        (FLAG * 40, FLAG * 40),
        (FAMILY * 20, FAMILY * 20),
        ("قهوة مجانية", "قهوة مجانية"),
    ],
)
def test_what_may_be_said(text: str, kept: str) -> None:
    assert checked(text, rules.TITLE, rules.MOST_TITLE) == kept


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x" * 41, "must have at most 40 characters, and has 41"),
        ("x" * 10_000, "must have at most 40 characters, and has 10,000"),
        (FLAG * 41, "must have at most 40 characters, and has 41"),
        (FAMILY * 40, "takes more room than a card has; use fewer composed emoji or accents"),
        ("e" + "\u0301" * 200, "takes more room than a card has; use fewer composed emoji or accents"),
        ("\u202e\u2066 \n", "must say something that can be seen"),
        ("\u200b\u2060", "must say something that can be seen"),
        ("<b>Half price</b>", "holds HTML; cards show plain text, so leave the tags out"),
        ("Hi <img src=x onerror=alert(1)>", "holds HTML; cards show plain text, so leave the tags out"),
        ("<!-- -->", "holds HTML; cards show plain text, so leave the tags out"),
    ],
)
def test_what_may_not_be_said(text: str, why: str) -> None:
    with pytest.raises(BadText) as refused:
        checked(text, rules.TITLE, rules.MOST_TITLE)
    assert str(refused.value) == why


@given(st.text(max_size=300))
def test_what_is_kept_is_kept_again_and_fits(text: str) -> None:
    try:
        kept = checked(text, rules.BODY, rules.MOST_BODY)
    except BadText:
        return
    assert checked(kept, rules.BODY, rules.MOST_BODY) == kept
    assert len(kept) <= rules.MOST_BODY
    assert kept.isprintable() or not kept.isascii()


def test_the_longest_message_is_shown_whole() -> None:
    title, body = FLAG * rules.TITLE, FLAG * rules.BODY
    assert texts(Shown(1, title, body)).apple == f"{title} · {body}"
    assert len(f"{title} · {body}") <= 500


@pytest.mark.parametrize(
    ("link", "kept"),
    [
        ("https://roastery.example", "https://roastery.example/"),
        (" https://roastery.example/tasting?day=7#map ", "https://roastery.example/tasting?day=7#map"),
        ("https://röstérei.example/", "https://xn--rstrei-dva5h.example/"),
    ],
)
def test_links_are_written_as_browsers_do(link: str, kept: str) -> None:
    found = Composed(title="Hi", body="There", audience={"all": True}, link=link).link  # type: ignore[arg-type]
    assert found == kept


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "http://roastery.example",
        "https://",
        "//roastery.example",
        "https://shop@evil.example/",
        "https://user:secret@evil.example/",
        "data:text/html,hi",
        "",
        "https://roastery.example/" + "x" * 500,
        "https://exa\u202emple.example/",
    ],
)
def test_links_that_are_refused(link: str) -> None:
    with pytest.raises(ValidationError):
        Composed(title="Hi", body="There", audience={"all": True}, link=link)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("send_at", "ends_at", "when"),
    [
        (None, None, NOW),
        (NOW + HOUR, None, NOW + HOUR),
        (NOW + HOUR, NOW + 2 * HOUR, NOW + HOUR),
        (None, NOW + HOUR, NOW),
        (NOW + 366 * DAY, NOW + 732 * DAY, NOW + 366 * DAY),
    ],
)
def test_when_it_is_sent(send_at: datetime | None, ends_at: datetime | None, when: datetime) -> None:
    assert sending_time(send_at, ends_at, NOW) == when


@pytest.mark.parametrize(
    ("send_at", "ends_at", "why"),
    [
        (NOW, None, "send_at has passed"),
        (NOW - HOUR, None, "send_at has passed"),
        (NOW + 367 * DAY, None, "send_at may be a year ahead"),
        (None, NOW, "ends_at must come after"),
        (NOW + HOUR, NOW + HOUR, "ends_at must come after"),
        (None, NOW + 367 * DAY, "ends_at may be a year after"),
    ],
)
def test_when_it_is_not(send_at: datetime | None, ends_at: datetime | None, why: str) -> None:
    with pytest.raises(BadTime, match=why):
        sending_time(send_at, ends_at, NOW)


@pytest.mark.parametrize(
    ("send_at", "ends_at", "reason"),
    [
        (NOW, None, None),
        (NOW - DAY, None, None),
        (NOW - DAY - HOUR, None, "too_late"),
        (NOW - HOUR, NOW, "over"),
        (NOW - HOUR, NOW + HOUR, None),
    ],
)
def test_what_is_not_sent_any_more(send_at: datetime, ends_at: datetime | None, reason: str | None) -> None:
    assert missed(send_at, ends_at, NOW) == reason


@pytest.mark.parametrize(
    ("left", "recent", "became"),
    [(False, 0, "shown"), (False, 1, "shown"), (False, 2, "limited"), (False, 9, "limited"), (True, 0, "left")],
)
def test_what_becomes_of_it(left: bool, recent: int, became: str) -> None:
    assert outcome(left=left, recent=recent, limit=Limit(2, 7)) == became


def test_how_cards_say_it() -> None:
    said = texts(Shown(1, "Sunday tasting", "Come by at three.", "https://roastery.example/"))
    assert said.apple == said.announced == "Sunday tasting · Come by at three."
    assert said.google_header == "Sunday tasting"
    assert said.google_body == "Come by at three.\nhttps://roastery.example/"
    assert texts(Shown(1, "Sunday tasting", "Come by at three.", quiet=True)).announced is None
