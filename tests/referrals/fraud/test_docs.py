"""The page about the checks names each of them."""

import re
from pathlib import Path

from referrals.fraud.rules import TEXTS

PAGE = Path(__file__).parents[3] / "docs" / "referral-checks.md"


def test_every_reason_is_documented() -> None:
    rows = [line.split("|")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert {key for row in rows for key in re.findall(r"`(\w+)`", row)} == set(TEXTS)
