"""iPhones: they add passes, register for news of them, fetch what changed when a push comes, and show what it was."""

import logging
import re
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec

from sandbox.apple.passfile import BadPass, PassFile, opened, read
from sandbox.apple.pushes import milliseconds
from sandbox.store import Store

PASS = "application/vnd.apple.pkpass"
SHOP = "apple"  # the sandbox's documents belong to a shop; phones to none
MOST_NOTES = 50

# As Safari on an iPhone says who it is, and the button that it would be shown.
_SAFARI = {
    "User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.0 Mobile/15E148 Safari/604.1"
}
_BUTTON = re.compile(r'<form method="post" action="([^"]+/apple)">')

# Reads a pass file, given whose root certificate is believed. Raises BadPass.
Check = Callable[[bytes, Path], PassFile]

log = logging.getLogger("sandbox.apple")


class Note(msgspec.Struct):
    """A notification on the lock screen. `at` is in seconds of the epoch."""

    at: float
    title: str
    text: str


class Held(msgspec.Struct):
    """A pass on a phone, as it was fetched last."""

    file: bytes
    modified: str
    fetched_at: float

    def read(self) -> PassFile:
        return read(self.file)


class Phone(msgspec.Struct):
    """A phone. `tags` is what each web service told it last; `missed`: a push came while it was off."""

    name: str
    device: str
    push_token: str
    on: bool = True
    missed: bool = False
    passes: dict[str, Held] = {}
    tags: dict[str, str] = {}
    notes: list[Note] = []
    language: str = "en"


class Phones:
    """All phones of the sandbox. Each does one thing at a time; what pushes start is done by `workers`."""

    def __init__(self, store: Store, root: Path, check: Check = opened) -> None:
        self.store = store
        self.root = root
        self.check = check
        self.client = httpx.Client(timeout=10, trust_env=False, follow_redirects=True)
        self.gone: dict[str, int] = {}
        self.names = {phone.push_token: phone.name for phone in self.all()}
        self.lock = threading.RLock()
        self.turns: dict[str, threading.RLock] = defaultdict(threading.RLock)
        self.workers = ThreadPoolExecutor(4, thread_name_prefix="phone")

    def close(self) -> None:
        self.workers.shutdown(wait=True, cancel_futures=True)
        self.client.close()

    def phone(self, name: str) -> Phone:
        """The phone of this name, bought when it is first asked for."""
        with self.lock:
            found = self.store.get(SHOP, "phone", name, Phone)
            if found is None:
                found = Phone(name, secrets.token_hex(16), secrets.token_hex(32))
                self._save(found)
            return found

    def all(self) -> list[Phone]:
        return self.store.all(SHOP, "phone", Phone)

    @contextmanager
    def change(self, name: str) -> Iterator[Phone]:
        """A phone to be changed; kept at the end, also of what was begun and failed."""
        with self.turns[name]:
            phone = self.phone(name)
            try:
                yield phone
            finally:
                self._save(phone)

    def _save(self, phone: Phone) -> None:
        self.names[phone.push_token] = phone.name
        self.store.put(SHOP, "phone", phone.name, phone)

    # What the push service asks and tells.

    def known(self, push_token: str) -> int | None:
        """See `sandbox.apple.pushes.Known`."""
        if push_token in self.gone:
            return self.gone[push_token]
        return None if push_token in self.names else 0

    def deliver(self, push_token: str, topic: str) -> None:
        name = self.names.get(push_token)
        if name is not None:
            self.workers.submit(self._pushed, name, topic)

    def _pushed(self, name: str, topic: str) -> None:
        """A push came in. A phone that is off finds out when it is turned on, as the push service keeps one for it."""
        try:
            with self.change(name) as phone:
                phone.missed = not phone.on
                if phone.on:
                    self._fetch_changed(phone, topic)
        except (httpx.HTTPError, BadPass) as error:
            log.warning("%s could not fetch: %s", name, error)

    # What its owner does.

    def add(self, name: str, url: str) -> str:
        """Open a link to a pass, or to a page with a button for one, and add it. Returns its serial.

        Raises BadPass, httpx.HTTPError.
        """
        answer = self.client.get(url, headers=_SAFARI).raise_for_status()
        if button := _BUTTON.search(answer.text if _is_page(answer) else ""):
            answer = self.client.post(answer.url.join(button[1]), headers=_SAFARI).raise_for_status()
        if answer.headers.get("content-type", "").split(";")[0] != PASS:
            raise BadPass("this link leads to no pass")
        with self.change(name) as phone:
            return self._take(phone, answer).told["serialNumber"]

    def remove(self, name: str, serial: str) -> None:
        with self.change(name) as phone:
            held = phone.passes.pop(serial).read()
            if "webServiceURL" in held.told:
                self.client.delete(_registration(phone, held), headers=_token(held)).raise_for_status()

    def turn(self, name: str, *, on: bool) -> None:
        with self.change(name) as phone:
            missed, phone.on, phone.missed = phone.missed and on, on, phone.missed and not on
            topics = {held.read().told["passTypeIdentifier"] for held in phone.passes.values()}
            for topic in topics if missed else ():
                self._fetch_changed(phone, topic)

    def speak(self, name: str, language: str) -> None:
        """Its owner chooses a language, such as `fr`. Cards are shown in it at once, as far as they have its words."""
        with self.change(name) as phone:
            phone.language = language

    def erase(self, name: str) -> None:
        """The phone is wiped: it says goodbye to nobody, and its push token is good for nothing from now on."""
        with self.change(name) as phone:
            self._retire(phone.push_token)
            phone.device, phone.push_token = secrets.token_hex(16), secrets.token_hex(32)
            phone.passes, phone.tags, phone.notes = {}, {}, []

    def new_push_token(self, name: str) -> None:
        """As after an update of iOS: every pass is registered again."""
        with self.change(name) as phone:
            self._retire(phone.push_token)
            phone.push_token = secrets.token_hex(32)
            for held in phone.passes.values():
                self._register(phone, held.read())

    def _retire(self, push_token: str) -> None:
        self.gone[push_token] = milliseconds()
        self.names.pop(push_token, None)

    # What it does by itself.

    def _fetch_changed(self, phone: Phone, topic: str) -> None:
        held = [one.read() for one in phone.passes.values()]
        services = {one.told["webServiceURL"] for one in held if one.told["passTypeIdentifier"] == topic if _asks(one)}
        for service in sorted(services):
            since = {"passesUpdatedSince": phone.tags[service]} if service in phone.tags else {}
            url = f"{service}/v1/devices/{phone.device}/registrations/{topic}"
            answer = self.client.get(url, params=since).raise_for_status()
            if answer.status_code == httpx.codes.NO_CONTENT:
                continue
            told = answer.json()
            for serial in told["serialNumbers"]:
                self._fetch(phone, service, topic, serial)
            phone.tags[service] = told["lastUpdated"]

    def _fetch(self, phone: Phone, service: str, topic: str, serial: str) -> None:
        held = phone.passes.get(serial)
        if held is None:
            return
        before = held.read()
        headers = _token(before) | {"If-Modified-Since": held.modified}
        answer = self.client.get(f"{service}/v1/passes/{topic}/{serial}", headers=headers)
        if answer.status_code == httpx.codes.NOT_MODIFIED:
            return
        after = self._take(phone, answer.raise_for_status(), register=False)
        phone.notes = [*_notes(before, after, phone.language), *phone.notes][:MOST_NOTES]

    def _take(self, phone: Phone, answer: httpx.Response, *, register: bool = True) -> PassFile:
        """Check and keep a pass file, and register for news of it."""
        found = self.check(answer.content, self.root)
        held = Held(answer.content, answer.headers.get("last-modified", ""), time.time())
        phone.passes[found.told["serialNumber"]] = held
        if register and _asks(found):
            self._save(phone)
            self._register(phone, found)
        return found

    def _register(self, phone: Phone, held: PassFile) -> None:
        told = {"pushToken": phone.push_token}
        self.client.post(_registration(phone, held), json=told, headers=_token(held)).raise_for_status()


def _asks(held: PassFile) -> bool:
    return "webServiceURL" in held.told


def _registration(phone: Phone, held: PassFile) -> str:
    told = held.told
    path = f"{told['passTypeIdentifier']}/{told['serialNumber']}"
    return f"{told['webServiceURL']}/v1/devices/{phone.device}/registrations/{path}"


def _is_page(answer: httpx.Response) -> bool:
    return answer.headers.get("content-type", "").startswith("text/html")


def _token(held: PassFile) -> dict[str, str]:
    return {"Authorization": f"ApplePass {held.told['authenticationToken']}"}


def _notes(before: PassFile, after: PassFile, language: str) -> list[Note]:
    """One for each field that was there before, has changed, and says what to announce, as iOS does."""
    old = {field["key"]: field["value"] for field in before.fields()}
    return [
        Note(time.time(), after.told["organizationName"], field["changeMessage"].replace("%@", str(field["value"])))
        for field in after.spoken(language)
        if "changeMessage" in field and old.get(field["key"], field["value"]) != field["value"]
    ]
