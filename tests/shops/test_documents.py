"""What the documents for operators and reviewers point at exists."""

import re
from pathlib import Path

import pytest

from core.config import Settings

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`([a-z_.\-/]+/[a-z_.\-/]*|[a-z.]+\.(?:toml|md|py))`")


@pytest.mark.parametrize("name", ["app-store.md", "going-live.md"])
def test_every_file_and_folder_that_is_named_exists(name: str) -> None:
    text = (ROOT / "docs" / name).read_text()
    named = {found for found in NAMED.findall(text) if not found.startswith("/") and "rapport.example" not in found}
    assert len(named) > 2
    missing = [one for one in sorted(named) if not any((ROOT / within / one).exists() for within in ("", "docs"))]
    assert [one for one in missing if not _topic(one)] == []
    linked = re.findall(r"\]\(([a-z-]+\.md)\)", text)
    assert [one for one in linked if not (ROOT / "docs" / one).exists()] == []


def _topic(name: str) -> bool:
    """Topics of webhooks look like paths."""
    return name.split("/")[0] in ("app", "customers", "orders", "shop", "refunds")


def test_every_setting_that_is_named_is_one() -> None:
    text = (ROOT / "docs/going-live.md").read_text()
    named = {name.lower() for name in re.findall(r"`([A-Z][A-Z_]{4,})`", text)}
    assert named - set(Settings.model_fields) == set()
    assert "PLANS" in (ROOT / ".env.example").read_text()
