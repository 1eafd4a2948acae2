"""Google's Wallet API over HTTPS: single calls, and many in one request. What went wrong is told by its kind.

Nothing is tried again here but a call whose token had just been taken back: the effect that asked decides. Every call
is harmless to repeat but `addMessage`. Sources: https://developers.google.com/wallet/reference/rest and, for batches,
https://developers.google.com/wallet/retail/loyalty-cards/resources/performance-tips
"""

import functools
import json
import secrets
from collections.abc import Iterable, Sequence
from email.message import Message
from email.parser import BytesParser
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx

from core.config import settings
from core.errors import RapportError
from wallet_passes.google import account
from wallet_passes.google.account import TIMEOUT, Account, GoogleAway
from wallet_passes.google.bodies import OBJECT, Body
from wallet_passes.google.bucket import Bucket, bucket

# Calls in one request. Half a second of what we may send, so that a person who waits is never far behind.
AT_ONCE = 10
# Seconds that work in the background waits for its turn, and that a person does.
PATIENT, IMPATIENT = 60.0, 3.0

_PREFIX = "/walletobjects/v1"
_QUOTA = ("ratelimit", "quota", "resource_exhausted")


class GoogleRefused(RapportError):
    """Google understood a call and refused it. The sentence is Google's own."""

    status = HTTPStatus.BAD_GATEWAY
    code = "google_refused"


class NotAllowed(GoogleRefused):
    """Google does not let our service account at what is the issuer's."""

    code = "google_not_allowed"


class Missing(GoogleRefused):
    """There is no such class or object at Google, or an object's class is not there."""


class Exists(GoogleRefused):
    """There is one already."""


class Limited(GoogleAway):
    """Google asks for fewer calls."""


class TooLoud(Limited):
    """Google announces nothing more of this card today: it can be told in silence."""


class Call(NamedTuple):
    """One call: method, path under the API, body."""

    method: str
    path: str
    body: Body | None = None


# What became of a call: the resource as Google has it now, or why not.
Outcome = Body | RapportError


def insert(kind: str, body: Body) -> Call:
    return Call("POST", f"{_PREFIX}/{kind}", given_only(body))


def patch(kind: str, body: Body) -> Call:
    return Call("PATCH", _path(kind, body["id"]), body)


def replace(kind: str, body: Body) -> Call:
    """What the body does not have goes."""
    return Call("PUT", _path(kind, body["id"]), body)


def get(kind: str, id_: str) -> Call:
    return Call("GET", _path(kind, id_))


def add_message(id_: str, body: Body) -> Call:
    return Call("POST", f"{_path(OBJECT, id_)}/addMessage", body)


def _path(kind: str, id_: str) -> str:
    return f"{_PREFIX}/{kind}/{quote(id_)}"


def given_only(body: Any) -> Any:
    """A body without what it says there is none of."""
    if isinstance(body, dict):
        return {name: given_only(value) for name, value in body.items() if value is not None}
    return [given_only(one) for one in body] if isinstance(body, list) else body


class Client:
    """Speaks as one account. Safe to share among threads."""

    def __init__(self, url: str, who: Account, pace: Bucket = bucket) -> None:
        self._who = who
        self._pace = pace
        self._http = httpx.Client(base_url=url.rstrip("/"), timeout=TIMEOUT)

    def send(self, calls: Sequence[Call], patience: float = PATIENT) -> list[Outcome]:
        """Make these calls, which don't depend on one another, and tell what became of each. Raises nothing.

        Once Google is away, or lets us not in, nothing more is tried: what is left has the same error.
        """
        told: list[Outcome] = []
        for start in range(0, len(calls), AT_ONCE):
            try:
                told += self._sent(calls[start : start + AT_ONCE], patience)
            except RapportError as error:
                return told + [error] * (len(calls) - len(told))
        return told

    def put(self, kind: str, wanted: Sequence[tuple[Body, bool]], patience: float = PATIENT) -> list[Outcome]:
        """Have these classes or objects be like their bodies, each with whether it is believed to be there."""
        first = [(patch if known else insert)(kind, body) for body, known in wanted]
        told = self.send(first, patience)
        wrong = [place for place, one in enumerate(told) if isinstance(one, Missing | Exists)]
        second = [(insert if first[place].method == "PATCH" else patch)(kind, wanted[place][0]) for place in wrong]
        for place, one in zip(wrong, self.send(second, patience), strict=True):
            told[place] = one
        return told

    def _sent(self, calls: Sequence[Call], patience: float) -> list[Outcome]:
        self._pace.take(len(calls), patience)
        told = [self._alone(calls[0])] if len(calls) == 1 else self._together(calls)
        limited = [one.retry_after for one in told if isinstance(one, Limited) and not isinstance(one, TooLoud)]
        if limited:
            self._pace.rest(min(limited))
        return told

    def _alone(self, call: Call) -> Outcome:
        content = None if call.body is None else json.dumps(call.body).encode()
        answer = self._asked(call.method, call.path, content, "application/json")
        return _outcome(answer.status_code, answer.content, answer.headers.get("Retry-After", ""))

    def _together(self, calls: Sequence[Call]) -> list[Outcome]:
        boundary = f"batch_{secrets.token_hex(16)}"
        content = b"".join(_part(boundary, number, call) for number, call in enumerate(calls))
        kind = f'multipart/mixed; boundary="{boundary}"'
        answer = self._asked("POST", "/batch", content + f"--{boundary}--\r\n".encode(), kind)
        if answer.status_code >= 300:
            raise _refusal(answer.status_code, answer.content, answer.headers.get("Retry-After", ""))
        told = dict(_answers(answer.headers.get("Content-Type", ""), answer.content))
        lost = GoogleAway("Google left a part of our request unanswered")
        return [told.get(number, lost) for number in range(len(calls))]

    def _asked(self, method: str, path: str, content: bytes | None, kind: str) -> httpx.Response:
        """An answer to a call made with a good token. Raises GoogleAway."""
        token = self._who.token()
        answer = self._request(method, path, content, kind, token)
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            answer = self._request(method, path, content, kind, self._who.token(instead_of=token))
        return answer

    def _request(self, method: str, path: str, content: bytes | None, kind: str, token: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} | ({"Content-Type": kind} if content is not None else {})
        try:
            return self._http.request(method, path, content=content, headers=headers)
        except httpx.HTTPError:
            raise GoogleAway("Google does not answer; try again in a moment") from None


# Batches: each part holds a whole request or answer, as `application/http`.


def _part(boundary: str, number: int, call: Call) -> bytes:
    body = b"" if call.body is None else json.dumps(call.body).encode()
    head = (
        f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: <{number}>\r\n\r\n"
        f"{call.method} {call.path} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body + b"\r\n"


def _answers(kind: str, content: bytes) -> Iterable[tuple[int, Outcome]]:
    """What became of each call by its number. Raises GoogleAway for what is no batch."""
    whole = BytesParser().parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + content)
    if not whole.is_multipart():
        raise GoogleAway("Google's answer can't be read; it may have done what was asked")
    for part in whole.get_payload():
        assert isinstance(part, Message)
        number = part.get("Content-ID", "").strip("<>").removeprefix("response-")
        if number.isdecimal():
            yield int(number), _inner(part)


def _inner(part: Message) -> Outcome:
    """`HTTP/1.1 200 OK`, headers, an empty line, the body."""
    payload = part.get_payload(decode=True)
    line, _, rest = (payload if isinstance(payload, bytes) else b"").lstrip().partition(b"\n")
    words = line.split()
    status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 502
    answer = BytesParser().parsebytes(rest)
    body = answer.get_payload(decode=True)
    return _outcome(status, body if isinstance(body, bytes) else b"", answer.get("Retry-After", ""))


def _outcome(status: int, content: bytes, retry_after: str) -> Outcome:
    """The resource, or what kind of refusal this is."""
    if status >= 300:
        return _refusal(status, content, retry_after)
    try:
        told = json.loads(content)
    except ValueError:
        told = None
    return (
        told if isinstance(told, dict) else GoogleAway("Google's answer can't be read; it may have done what was asked")
    )


def _refusal(status: int, content: bytes, retry_after: str) -> RapportError:
    message, reasons = _said(content)
    wait = int(retry_after) if retry_after.isdigit() else 0
    if status == HTTPStatus.TOO_MANY_REQUESTS or (status == HTTPStatus.FORBIDDEN and _of_quota(reasons)):
        loud = "notification" in message.lower()
        return (TooLoud if loud else Limited)(f"Google asks us to wait: {message}", wait or 1)
    if status >= 500 or status < 400 or status == HTTPStatus.REQUEST_TIMEOUT:
        return GoogleAway(f"Google answered {status}; try again in a moment", wait or GoogleAway.retry_after)
    kinds: dict[int, type[GoogleRefused]] = {401: NotAllowed, 403: NotAllowed, 404: Missing, 409: Exists}
    return kinds.get(status, GoogleRefused)(f"Google refused ({status}): {message}")


def _of_quota(reasons: str) -> bool:
    return any(word in reasons.lower() for word in _QUOTA)


def _said(content: bytes) -> tuple[str, str]:
    """An error's message, and every word that tells its reason. Google's shape, or whatever stands before Google."""
    try:
        error = json.loads(content)["error"]
        listed = [one.get("reason", "") for one in error.get("errors") or ()]
        return " ".join(str(error.get("message", "")).split())[:300], " ".join([*listed, str(error.get("status", ""))])
    except (ValueError, KeyError, TypeError, AttributeError):
        return "no reason given", ""


def client() -> Client:
    """The process's client. Raises NotSetUp or BadAccount."""
    return _client(settings().google_wallet_url, account.current())


@functools.lru_cache(maxsize=2)
def _client(url: str, who: Account) -> Client:
    return Client(url, who)
