"""Pushes over a real connection: TLS with the pass certificate, HTTP/2, and everything Apple may answer."""

import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from core.errors import Unavailable
from sandbox.apple import authority, pushes
from sandbox.apple.authority import PASS_TYPE, Files
from sandbox.apple.pushes import Answer, PushService
from wallet_passes.apple import push
from wallet_passes.apple.push import Pusher, PushRefused, Reply

TOKENS = [f"{number:064x}" for number in range(2500)]


class Service(PushService):
    """Takes every push token but those in `gone`."""

    def __init__(self, files: Files) -> None:
        self.gone: dict[str, int] = {}
        self.paths: list[str] = []
        self.got: list[str] = []
        super().__init__(files, self.gone.get, lambda token, topic: self.got.append(token))

    def answer(self, headers: Mapping[str, str], body: bytes, topic: str) -> Answer:
        self.paths.append(headers[":path"])
        return super().answer(headers, body, topic)


@pytest.fixture
def service(apple_files: Files) -> Iterator[Service]:
    service = Service(apple_files)
    yield service
    service.close()


def context(files: Files, root: Path | None = None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=root or files.root)
    made.set_alpn_protocols(["h2"])
    made.load_cert_chain(files.certificate, files.key)
    return made


@pytest.fixture
def pusher(service: Service, apple_files: Files) -> Iterator[Pusher]:
    made = Pusher(service.url, PASS_TYPE, context(apple_files))
    yield made
    made.close()


def test_thousands_on_one_connection(service: Service, pusher: Pusher) -> None:
    replies = pusher.push(TOKENS)
    assert [reply.push_token for reply in replies] == TOKENS
    assert all(reply.taken for reply in replies)
    assert sorted(service.got) == TOKENS
    pusher.push(TOKENS[:1])
    assert service.connections == 1


def test_each_token_once(service: Service, pusher: Pusher) -> None:
    assert len(pusher.push([TOKENS[0], TOKENS[1], TOKENS[0]])) == 2
    assert service.got == TOKENS[:2]


def test_threads_share_the_connection(service: Service, pusher: Pusher) -> None:
    threads = [threading.Thread(target=pusher.push, args=(TOKENS[n * 50 : n * 50 + 50],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(service.got) == TOKENS[:400]
    assert service.connections == 1


def test_a_connection_that_was_closed_while_idle(service: Service, pusher: Pusher) -> None:
    pusher.push(TOKENS[:1])
    service.hang_up()
    assert pusher.push(TOKENS[1:2])[0].taken
    assert service.connections == 2


def test_a_connection_that_dies_midway(service: Service, pusher: Pusher) -> None:
    """What was not answered is sent again on a new connection; nobody is forgotten."""
    heard = threading.Event()
    taken = service.deliver

    def deliver(token: str, topic: str) -> None:
        taken(token, topic)
        if len(service.got) == 700 and not heard.is_set():
            heard.set()
            service.hang_up()

    service.deliver = deliver  # type: ignore[method-assign]
    assert all(reply.taken for reply in pusher.push(TOKENS))
    assert set(service.got) == set(TOKENS)
    assert service.connections == 2


def test_one_that_nothing_is_said_of_has_no_other_told_again(
    service: Service, pusher: Pusher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "TIMEOUT", 0.5)
    answered = pushes._Conversation.reply

    def reply(self: pushes._Conversation, stream: int) -> None:
        if not self.requests[stream][0][":path"].endswith(TOKENS[1]):
            answered(self, stream)

    monkeypatch.setattr(pushes._Conversation, "reply", reply)
    replies = pusher.push(TOKENS[:4])
    assert [reply.status for reply in replies] == [200, 503, 200, 200]
    assert service.got == [TOKENS[0], *TOKENS[2:4]]


def test_a_made_up_token_is_a_path_like_any_other(service: Service, pusher: Pusher) -> None:
    """Whoever has a card can register what they like as a token; it must not end the connection of all."""
    assert [reply.status for reply in pusher.push(["../x y", "ключ", TOKENS[0]])] == [400, 400, 200]
    assert service.paths[:2] == ["/3/device/..%2Fx%20y", "/3/device/%D0%BA%D0%BB%D1%8E%D1%87"]
    assert service.connections == 1


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"reason": 7}', b'{"timestamp": null}'])
def test_an_answer_that_makes_no_sense_is_a_refusal_without_a_reason(body: bytes) -> None:
    stream = push._Stream(TOKENS[0])
    stream.headers, stream.body = {":status": "400"}, body
    assert stream.reply() == Reply(TOKENS[0], 400)


def test_a_device_that_is_gone(service: Service, pusher: Pusher) -> None:
    service.gone |= {TOKENS[1]: 1_790_000_000_000, TOKENS[2]: 0}
    first, gone, never = pusher.push(TOKENS[:3])
    assert first.taken
    assert (gone.status, gone.reason, gone.gone_since) == (410, "Unregistered", 1_790_000_000_000)
    assert (never.status, never.reason) == (400, "BadDeviceToken")


def test_an_ailing_service_is_left_alone_for_a_while(service: Service, pusher: Pusher) -> None:
    service.planned.append(Answer(503, "ServiceUnavailable"))
    assert pusher.push(TOKENS[:1])[0].status == 503
    with pytest.raises(Unavailable):
        pusher.push(TOKENS[:1])
    pusher._rests_until = 0
    assert pusher.push(TOKENS[:1])[0].taken


def test_too_many_for_one_device_is_that_device_s_own_affair(service: Service, pusher: Pusher) -> None:
    service.planned.append(Answer(429, "TooManyRequests"))
    assert pusher.push(TOKENS[:1])[0].status == 429
    assert pusher.push(TOKENS[1:2])[0].taken


def test_how_long_to_wait_is_obeyed(service: Service, pusher: Pusher) -> None:
    service.planned.append(Answer(429, "TooManyRequests", retry_after=600))
    assert pusher.push(TOKENS[:1])[0].retry_after == 600
    with pytest.raises(Unavailable):
        pusher.push(TOKENS[1:2])


def test_nobody_is_silenced_for_days(service: Service, pusher: Pusher) -> None:
    service.planned.append(Answer(429, "TooManyRequests", retry_after=10**9))
    pusher.push(TOKENS[:1])
    assert pusher._rests_until <= time.monotonic() + push.MOST_REST


def test_another_topic(service: Service, apple_files: Files) -> None:
    other = Pusher(service.url, "pass.of.somebody.else", context(apple_files))
    assert other.push(TOKENS[:1])[0].reason == "TopicDisallowed"
    other.close()


def test_nobody_there(service: Service, apple_files: Files) -> None:
    service.close()
    with pytest.raises(Unavailable):
        Pusher(service.url, PASS_TYPE, context(apple_files)).push(TOKENS[:1])


def test_a_service_we_do_not_believe(service: Service, apple_files: Files, tmp_path: Path) -> None:
    other = authority.files(tmp_path / "other")
    with pytest.raises(PushRefused, match="don't trust"):
        Pusher(service.url, PASS_TYPE, context(apple_files, other.root)).push(TOKENS[:1])


def test_a_service_that_does_not_believe_us(service: Service, tmp_path: Path, apple_files: Files) -> None:
    other = authority.files(tmp_path / "other")
    with pytest.raises((PushRefused, Unavailable)):
        Pusher(service.url, PASS_TYPE, context(other, apple_files.root)).push(TOKENS[:1])
    assert service.taken == 0


def test_nothing_to_push(service: Service, pusher: Pusher) -> None:
    assert pusher.push([]) == []
