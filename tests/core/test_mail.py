"""Mail over a real SMTP server: what arrives, what is tried again, and what never will be."""

import email
from collections.abc import Iterator
from email import policy
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from core import mail
from core.config import load, settings
from core.effects import PermanentFailure
from core.errors import Unavailable
from sandbox.processes import free_port

FACTS = {"name": "Sam", "shop": "North Pier", "link": "https://rapport.example/staff/join/x", "days": 7}


class Server:
    """Answers what it is told to, and keeps what it takes."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.answer = "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if self.answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.taken.append(email.message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    held = Server()
    controller = Controller(held, hostname="127.0.0.1", port=free_port())
    controller.start()
    use(monkeypatch, controller.port)
    yield held
    controller.stop()


def use(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    config = load(smtp_host="127.0.0.1", smtp_port=port, smtp_security="none", mail_from="rewards@rapport.example")
    monkeypatch.setattr(mail, "settings", lambda: config)


def invitation(**changed: Any) -> mail.Mail:
    facts: dict[str, Any] = {"to": "sam@example.com", "sender": "North Pier", "key": "staff:1:2:0", **FACTS, **changed}
    return mail.written("staff_invitation", **facts)


def test_a_mail_arrives_as_text_and_as_a_page(server: Server) -> None:
    mail.send(invitation(name="Zoë <b>"))
    (told,) = server.taken
    assert told["To"] == "sam@example.com"
    assert told["From"] == "North Pier <rewards@rapport.example>"
    assert told["Subject"] == "North Pier asks you to join its counter"
    text, html = (told.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert "Zoë <b>, you can now scan" in text
    assert "Zoë &lt;b&gt;, you can now" in html
    assert all(FACTS["link"] in part for part in (text, html))


def test_a_repeat_is_known_by_its_id(server: Server) -> None:
    for key in ("staff:1:2:0", "staff:1:2:0", "staff:1:2:1"):
        mail.send(invitation(key=key))
    first, again, other = (told["Message-ID"] for told in server.taken)
    assert first == again != other


def test_nobody_writes_headers(server: Server) -> None:
    mail.send(invitation(sender="Pier\r\nBcc: all@example.com", shop="Pier\r\nBcc: all@example.com"))
    (told,) = server.taken
    assert told["Bcc"] is None
    for address in ("sam@example.com\r\nBcc: all@example.com", "sam@example.com, all@example.com", "sam", ""):
        with pytest.raises(PermanentFailure):
            mail.send(invitation(to=address))
    assert len(server.taken) == 1


@pytest.mark.parametrize(
    ("answer", "raised"),
    [("450 busy", Unavailable), ("421 later", Unavailable), ("550 nobody here", PermanentFailure)],
)
def test_the_servers_word_decides_on_another_try(server: Server, answer: str, raised: type[Exception]) -> None:
    server.answer = answer
    with pytest.raises(raised):
        mail.send(invitation())


def test_a_server_that_is_away_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, 9)
    with pytest.raises(Unavailable):
        mail.send(invitation())


def test_without_a_server_there_is_no_mail() -> None:
    assert not settings().smtp_host
    assert not mail.is_on()


def test_a_password_is_never_sent_in_the_open(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    config = mail.settings().model_copy(update={"smtp_security": "starttls"})
    monkeypatch.setattr(mail, "settings", lambda: config)
    with pytest.raises(Unavailable):
        mail.send(invitation())
    assert server.taken == []
