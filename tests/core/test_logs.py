"""Logs carry ids, and neither personal data nor secrets."""

import json

import pytest
import structlog

from core import logs


def logged(capsys: pytest.CaptureFixture[str], **values: object) -> dict[str, object]:
    logs.configure("INFO")
    logs.logger("test").info("something happened", **values)
    line: dict[str, object] = json.loads(capsys.readouterr().err.strip().splitlines()[-1])
    return line


def test_secrets_and_people_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    line = logged(capsys, access_token="shpat", email="noor@example.com", error="duplicate key (noor@example.com)")
    assert "noor" not in json.dumps(line)
    assert "shpat" not in json.dumps(line)


def test_nothing_slips_through_in_exceptions_or_within_other_values(capsys: pytest.CaptureFixture[str]) -> None:
    line = logged(capsys, error=ValueError("noor@example.com"), told={"who": ["noor@example.com"], "email": "x"}, n=3)
    assert "noor" not in json.dumps(line)
    assert line["n"] == 3


def test_ids_of_the_request_are_carried_along(capsys: pytest.CaptureFixture[str]) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r-1", shop_id=3, delivery_id="d-9"):
        line = logged(capsys)
    assert (line["request_id"], line["shop_id"], line["delivery_id"]) == ("r-1", 3, "d-9")
