"""How we speak with Google: the account, one token at a time, never too fast, and what each answer means."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from core.config import Settings, settings
from core.errors import RapportError
from sandbox.google.account import Account as Files
from sandbox.google.world import Google
from wallet_passes.google import account, client
from wallet_passes.google.account import BadAccount, GoogleAway, NotSetUp
from wallet_passes.google.bucket import BURST, Bucket
from wallet_passes.google.client import Exists, GoogleRefused, Limited, Missing, NotAllowed, TooLoud


def together(count: int, work: Callable[[], object]) -> list[object]:
    """Do it in so many threads at once; what each came to."""
    told: list[object] = []

    def one() -> None:
        try:
            told.append(work())
        except Exception as error:
            told.append(error)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


# The account.


def configured(path: Path | None, issuer: str = "3388") -> Settings:
    return Settings(google_wallet_account=path, google_wallet_issuer=issuer)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "can't be read"),
        ("", "is not the key file"),
        ("[]", "is not the key file"),
        ('{"type": "service_account"}', "is not the key file"),
        ("\x00\xff", "is not the key file"),
        ("wrong key", "is not the key file"),
    ],
)
def test_what_is_wrong_with_a_key_file_is_said_without_the_key(
    google_account: Files, tmp_path: Path, text: str | None, sentence: str
) -> None:
    path = tmp_path / "account.json"
    if text == "wrong key":
        text = json.dumps(google_account.read() | {"private_key": "no key: SECRET"})
    if text is not None:
        path.write_text(text)
    with pytest.raises(BadAccount, match=sentence) as refused:
        account._loaded(configured(path))
    assert "SECRET" not in refused.value.detail


def test_an_issuer_is_a_number(google_account: Files) -> None:
    with pytest.raises(BadAccount, match="GOOGLE_WALLET_ISSUER"):
        account._loaded(configured(google_account.key_file, "my shop"))
    with pytest.raises(NotSetUp):
        account._loaded(configured(None))


def test_a_token_is_fetched_once_for_all_who_need_it(environ: pytest.MonkeyPatch, google: Google) -> None:
    settings.cache_clear()
    told = together(8, lambda: account.current().token())
    assert len(set(told)) == 1
    assert google.door.calls["token"] == 1
    account.current().token(instead_of=str(told[0]))
    assert google.door.calls["token"] == 2


def test_a_token_is_fetched_anew_before_it_ends(environ: pytest.MonkeyPatch, google: Google) -> None:
    settings.cache_clear()
    google.tokens.lives = 60
    account.current().token()
    account.current().token()
    assert google.door.calls["token"] == 2


def test_an_account_that_google_does_not_know(environ: pytest.MonkeyPatch, google: Google) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa

    settings.cache_clear()
    google.tokens.key = rsa.generate_private_key(65537, 2048).public_key()
    with pytest.raises(BadAccount, match="does not let our service account in"):
        account.current().token()


# How fast.


def elapsed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


@pytest.fixture
def store(redis_url: str) -> redis.Redis:
    return redis.Redis.from_url(redis_url)


def away() -> redis.Redis:
    return redis.Redis.from_url("redis://127.0.0.1:1/0", socket_connect_timeout=0.1)


def test_processes_share_one_pace(store: redis.Redis) -> None:
    buckets = [Bucket(lambda: store, rate=100) for _ in range(3)]
    took = elapsed(lambda: together(9, lambda: [buckets[i % 3].take(1, 10) for i in range(10)]))
    assert (90 - BURST) / 100 <= took < 3


def test_without_redis_a_process_keeps_to_a_pace_of_its_own() -> None:
    bucket = Bucket(away, rate=100)
    assert elapsed(lambda: together(5, lambda: [bucket.take(2, 10) for _ in range(6)])) >= (60 - BURST) / 100


@pytest.mark.parametrize("with_redis", [True, False])
def test_who_has_no_patience_is_told_at_once_and_takes_nothing(store: redis.Redis, with_redis: bool) -> None:
    bucket = Bucket((lambda: store) if with_redis else away, rate=10)
    bucket._turn(5, 100)
    for _ in range(20):
        with pytest.raises(GoogleAway) as refused:
            bucket.take(1, 1)
    assert refused.value.retry_after in (3, 4)
    assert bucket._turn(0.1, 100) < 5.2


def test_when_google_asks_to_wait_all_wait(store: redis.Redis) -> None:
    Bucket(lambda: store).rest(0.5)
    assert elapsed(lambda: Bucket(lambda: store).take(1, 10)) > 0.3


def test_a_long_rest_is_shortened_for_somebody_has_to_ask_again(store: redis.Redis) -> None:
    bucket = Bucket(lambda: store)
    bucket.rest(86400)
    assert bucket._turn(0, 1000) <= 61


# What answers mean.


def error(status: str = "", reason: str = "", message: str = "no") -> bytes:
    return json.dumps({"error": {"status": status, "message": message, "errors": [{"reason": reason}]}}).encode()


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        (400, error(), GoogleRefused),
        (401, error(), NotAllowed),
        (403, error(reason="permissionDenied"), NotAllowed),
        (403, error(reason="rateLimitExceeded"), Limited),
        (403, error("RESOURCE_EXHAUSTED"), Limited),
        (403, b"<!doctype html>", NotAllowed),
        (404, error(), Missing),
        (408, error(), GoogleAway),
        (409, error(), Exists),
        (413, b"", GoogleRefused),
        (429, b"", Limited),
        (429, error(message="QuotaExceededException: 3 notifications were sent."), TooLoud),
        (500, b"", GoogleAway),
        (502, b"<!doctype html>", GoogleAway),
        (503, b'"a text"', GoogleAway),
        (302, b"", GoogleAway),
        (400, b'{"error": "text"}', GoogleRefused),
        (400, b'{"error": {"errors": [3], "message": null}}', GoogleRefused),
    ],
)
def test_each_refusal_is_of_a_kind(status: int, content: bytes, kind: type[RapportError]) -> None:
    assert type(client._refusal(status, content, "")) is kind


@pytest.mark.parametrize(("header", "wait"), [("17", 17), ("", 1), ("Wed, 21 Oct 2026 07:28:00 GMT", 1), ("-3", 1)])
def test_how_long_google_asks_to_wait(header: str, wait: int) -> None:
    refusal = client._refusal(429, b"", header)
    assert isinstance(refusal, Limited)
    assert refusal.retry_after == wait


@pytest.mark.parametrize("content", [b"", b"<p>", b"[]", b"3", b'"text"', b"\xff"])
def test_what_is_no_resource_is_no_answer(content: bytes) -> None:
    assert isinstance(client._outcome(200, content, ""), GoogleAway)


def part(key: str, status: str, body: str) -> str:
    head = f"Content-Type: application/http\r\nContent-ID: <{key}>\r\n\r\n"
    return f"--b\r\n{head}HTTP/1.1 {status}\r\nContent-Type: application/json\r\nRetry-After: 9\r\n\r\n{body}\r\n"


def read(text: str, kind: str = "multipart/mixed; boundary=b") -> dict[int, Any]:
    return dict(client._answers(kind, (text + "--b--\r\n").encode()))


def test_a_batch_is_read_by_the_ids_of_its_parts() -> None:
    told = read(part("response-1", "404 Not Found", "{}") + part("response-0", "200 OK", '{"id": "é"}'))
    assert told[0] == {"id": "é"}
    assert isinstance(told[1], Missing)
    limited = read(part("response-7", "429 Too Many Requests", ""))[7]
    assert limited.retry_after == 9


@pytest.mark.parametrize(
    "text", [part("response-0", "", ""), part("response-0", "OK", ""), part("response-0", "200 OK", "<p>")]
)
def test_a_part_that_can_t_be_read_is_no_answer(text: str) -> None:
    assert isinstance(read(text)[0], GoogleAway)


def test_a_part_that_is_not_ours_is_passed_over() -> None:
    assert read(part("nobody", "200 OK", "{}")) == {}


@pytest.mark.parametrize("kind", ["text/html", "application/json", ""])
def test_what_is_no_batch_is_no_answer(kind: str) -> None:
    with pytest.raises(GoogleAway):
        read("<p>", kind)


def test_a_body_is_inserted_without_what_it_does_not_have() -> None:
    assert client.given_only({"a": None, "b": [{"c": None, "d": 0}], "e": "", "f": []}) == {
        "b": [{"d": 0}], "e": "", "f": [],
    }  # fmt: skip
