"""The sandbox's mailbox takes mail over SMTP and shows it where nothing in it can run."""

import smtplib
from email.message import EmailMessage

import httpx

from sandbox import mailbox
from sandbox.processes import free_port
from sandbox.testing import Running
from tests.sandbox.conftest import PLAIN


def letter(number: int, html: str) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"] = "North Pier <rewards@rapport.example>", "sam@example.com"
    made["Subject"], made["Message-ID"] = f"Grüße <{number}>", f"<{number}@rapport.example>"
    made.set_content("plain words")
    made.add_alternative(html, subtype="html")
    return made


def test_mail_is_kept_once_and_shown_harmlessly(store: Running) -> None:
    controller = mailbox.start(store.sandbox.world.store, free_port())
    store.sandbox.mail = controller
    with smtplib.SMTP("127.0.0.1", controller.port) as server:
        for number in (1, 1, 2):
            server.send_message(letter(number, '<p>Hello</p><script>alert("1")</script>'))
    told = httpx.get(f"{store.url}/mail/letters.json", verify=PLAIN).json()["letters"]
    assert [(one["id"], one["to"], one["sender"]) for one in told] == [
        (2, "sam@example.com", "North Pier"),
        (1, "sam@example.com", "North Pier"),
    ]
    assert told[0]["text"].strip() == "plain words"
    page = httpx.get(f"{store.url}/mail/", verify=PLAIN)
    assert "Grüße &lt;2&gt;" in page.text
    shown = httpx.get(f"{store.url}/mail/2", verify=PLAIN)
    assert "<script>" not in shown.text
    assert 'sandbox="allow-popups' in shown.text
    assert "script-src" not in shown.headers["Content-Security-Policy"]
    assert shown.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert httpx.get(f"{store.url}/mail/3", verify=PLAIN).status_code == 404
