"""The Wallet Objects API over HTTP: tokens, classes, objects, and batches of calls.

Paths, methods and statuses are those of Google's discovery document, a batch is as "Batching requests" describes it.
"""

import json
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from email import policy
from email.parser import BytesParser
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import parse_qs, unquote, urlsplit

import jwt
from flask import Blueprint, Response, current_app, jsonify, request

from sandbox.faults import hang_up
from sandbox.google import faults
from sandbox.google.account import EMAIL, KEYS_PATH, TOKEN_PATH
from sandbox.google.faults import Fault, Faults
from sandbox.google.refusal import Refusal, invalid, planned
from sandbox.google.wallet import Kind, Wallet

if TYPE_CHECKING:
    from sandbox.google.world import Google

SCOPE = "https://www.googleapis.com/auth/wallet_object.issuer"
# Whom google-auth addresses an assertion to, wherever it sends it.
AUDIENCE = "https://oauth2.googleapis.com/token"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_LIVES = 3600
MOST_PARTS = 1000
QUOTA = 20  # requests per second

api = Blueprint("google_api", __name__)


class Answer(NamedTuple):
    status: int
    body: dict[str, Any]
    retry_after: int = 0


class Call(NamedTuple):
    """One request, on its own or as a part of a batch."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes


class Quota:
    """A bucket of tokens that fills at `rate` a second and holds a second's worth; 0 is no limit."""

    def __init__(self, rate: float = QUOTA) -> None:
        self.rate = rate
        self.level = rate
        self.at = time.monotonic()
        self.lock = threading.Lock()

    def take(self) -> bool:
        with self.lock:
            now = time.monotonic()
            self.level = min(self.rate, self.level + (now - self.at) * self.rate)
            self.at = now
            if self.rate and self.level < 1:
                return False
            self.level -= 1
            return True


class Tokens:
    """Access tokens that were handed out, and when each expires. They die with the process."""

    def __init__(self, key: Any, lives: float = TOKEN_LIVES) -> None:
        self.key = key
        self.lives = lives
        self.good: dict[str, float] = {}

    def grant(self, assertion: str, audience: list[str]) -> dict[str, Any]:
        """For an assertion that the service account signed. Raises Refusal."""
        try:
            told = jwt.decode(assertion, self.key, ["RS256"], audience=audience, issuer=EMAIL, options=_ASKED)
        except jwt.PyJWTError as error:
            raise Refusal(400, "invalid_grant", f"Invalid JWT: {error}") from None
        if told["exp"] - told["iat"] > TOKEN_LIVES:
            raise Refusal(400, "invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes).")
        if SCOPE not in str(told.get("scope", "")).split():
            raise Refusal(400, "invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        token = f"ya29.{secrets.token_urlsafe(32)}"
        self.good[token] = time.monotonic() + self.lives
        return {"access_token": token, "expires_in": int(self.lives), "token_type": "Bearer"}

    def check(self, header: str) -> None:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or self.good.get(token, 0) <= time.monotonic():
            raise Refusal(401, "authError", "Request had invalid authentication credentials.")

    def forget(self) -> None:
        """As when a token is taken back before its time."""
        self.good.clear()


_ASKED: Any = {"require": ["iss", "aud", "exp", "iat"]}


class Door:
    """What every call passes: planned faults, the quota, the API. `calls` counts what came, by method of the API."""

    def __init__(self, wallet: Wallet, faults: Faults, quota: Quota) -> None:
        self.wallet = wallet
        self.faults = faults
        self.quota = quota
        self.calls: Counter[str] = Counter()

    def answer(self, call: Call) -> Answer:
        """Google's answer to one call that is allowed to make it."""
        name, run = self._found(call)
        self.calls[name] += 1
        fault = self.faults.next(name, lambda fault: fault.kind.isdecimal())
        if fault:
            return Answer(int(fault.kind), planned(int(fault.kind)).body(), fault.retry_after)
        try:
            if not self.quota.take():
                raise planned(429)
            return Answer(200, run())
        except Refusal as refusal:
            return Answer(refusal.status, refusal.body())

    def name(self, call: Call) -> str:
        return self._found(call)[0]

    def _found(self, call: Call) -> tuple[str, Callable[[], Any]]:
        """The API's method for a path, by Google's name, and how to run it."""
        match = _PATH.fullmatch(call.path)
        if not match:
            return "unknown", _unknown
        kind, key, verb = cast(Kind, match["kind"]), unquote(match["key"] or ""), match["verb"]
        chosen = _METHODS.get((call.method, bool(key), bool(verb)))
        if not chosen:
            return "unknown", _unknown
        name, method = chosen
        return f"{kind.lower()}.{name}", lambda: method(self.wallet, kind, key, call)


def _unknown() -> Any:
    raise Refusal(404, "notFound", "The requested URL was not found on this server.")


def _insert(wallet: Wallet, kind: Kind, key: str, call: Call) -> Any:
    return wallet.insert(kind, _json(call.body))


def _get(wallet: Wallet, kind: Kind, key: str, call: Call) -> Any:
    return wallet.get(kind, key)


def _patch(wallet: Wallet, kind: Kind, key: str, call: Call) -> Any:
    return wallet.change(kind, key, _json(call.body), whole=False)


def _update(wallet: Wallet, kind: Kind, key: str, call: Call) -> Any:
    return wallet.change(kind, key, _json(call.body), whole=True)


def _add_message(wallet: Wallet, kind: Kind, key: str, call: Call) -> Any:
    return wallet.add_message(kind, key, _json(call.body))


def _list(wallet: Wallet, kind: Kind, key: str, call: Call) -> Any:
    """Pages of `maxResults`; the token is the place to go on from."""
    parent = call.query.get("issuerId" if kind == "loyaltyClass" else "classId", "")
    every = wallet.listed(kind, parent)
    size, start = _number(call.query, "maxResults", len(every) or 1), _number(call.query, "token", 0)
    page = every[start : start + size]
    after = {"nextPageToken": str(start + size)} if start + size < len(every) else {}
    return {"resources": page, "pagination": {"resultsPerPage": len(page)} | after}


# By method, whether a resource is named, and whether a message is added to it.
_METHODS: dict[tuple[str, bool, bool], tuple[str, Callable[[Wallet, Kind, str, Call], Any]]] = {
    ("POST", False, False): ("insert", _insert),
    ("GET", False, False): ("list", _list),
    ("GET", True, False): ("get", _get),
    ("PATCH", True, False): ("patch", _patch),
    ("PUT", True, False): ("update", _update),
    ("POST", True, True): ("addmessage", _add_message),
}
_PATH = re.compile(r"/walletobjects/v1/(?P<kind>loyaltyClass|loyaltyObject)(/(?P<key>[^/]+)(?P<verb>/addMessage)?)?")


def _json(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except ValueError:
        raise invalid("Invalid JSON payload received. Unexpected token.", "parseError") from None
    if not isinstance(body, dict):
        raise invalid('Invalid JSON payload received. Unknown name "": Root element must be a message.', "parseError")
    return body


def _number(query: dict[str, str], name: str, default: int) -> int:
    text = query.get(name, "")
    if text and not text.isdecimal():
        raise invalid(f"Invalid value at '{name}' (TYPE_INT32), \"{text}\"")
    return int(text) if text else default


# Over HTTP.


def running() -> "Google":
    found: Google = current_app.extensions["google"]
    return found


def spoilt(call: str, run: Callable[[], Response]) -> Response:
    """An answer, unless something was planned to be wrong with this call as a whole."""
    fault = running().faults.next(call, lambda fault: call in _WHOLE or not fault.kind.isdecimal())
    if fault is None:
        return run()
    if fault.kind == "delay":
        time.sleep(fault.seconds)
        return run()
    if fault.kind == "hang_up_after":
        run()
    if fault.kind.startswith("hang_up"):
        return hang_up(fault.seconds)
    return faults.page(200 if fault.kind == "html_200" else 502) if fault.kind.startswith("html") else _failed(fault)


# Calls that the API's own door does not count.
_WHOLE = ("token", "keys", "batch")


def _failed(fault: Fault) -> Response:
    status = int(fault.kind)
    return _sent(Answer(status, planned(status).body(), fault.retry_after))


def _sent(answer: Answer) -> Response:
    response = jsonify(answer.body)
    response.status_code = answer.status
    if answer.retry_after:
        response.headers["Retry-After"] = str(answer.retry_after)
    return response


@api.post(TOKEN_PATH)
def token() -> Response:
    return spoilt("token", _token)


def _token() -> Response:
    google = running()
    google.door.calls["token"] += 1
    try:
        if request.form.get("grant_type") != GRANT:
            raise Refusal(400, "unsupported_grant_type", f"Invalid grant_type: {request.form.get('grant_type')}")
        told = google.tokens.grant(request.form.get("assertion", ""), [AUDIENCE, google.url(request) + TOKEN_PATH])
    except Refusal as refusal:
        body = {"error": refusal.reason, "error_description": refusal.message}
        return _sent(Answer(refusal.status, body))
    return jsonify(told)


@api.route("/walletobjects/v1/<path:_rest>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def objects(_rest: str) -> Response:
    google = running()
    call = Call(request.method, _raw_path(), request.args.to_dict(), request.get_data())

    def run() -> Response:
        try:
            google.tokens.check(request.headers.get("Authorization", ""))
        except Refusal as refusal:
            return _sent(Answer(refusal.status, refusal.body()))
        return _sent(google.door.answer(call))

    return spoilt(google.door.name(call), run)


def _raw_path() -> str:
    return urlsplit(request.environ.get("RAW_URI") or request.path).path


@api.post("/batch")
@api.post("/batch/walletobjects/v1")
def batch() -> Response:
    return spoilt("batch", _batch)


def _batch() -> Response:
    google = running()
    google.door.calls["batch"] += 1
    try:
        google.tokens.check(request.headers.get("Authorization", ""))
        parts = _parts(request.content_type or "", request.get_data())
    except Refusal as refusal:
        return _sent(Answer(refusal.status, refusal.body()))
    boundary = f"batch_{secrets.token_urlsafe(16)}"
    answers = b"".join(_part(boundary, key, google.door.answer(call)) for key, call in parts)
    return Response(answers + f"--{boundary}--\r\n".encode(), content_type=f"multipart/mixed; boundary={boundary}")


def _parts(content_type: str, raw: bytes) -> list[tuple[str, Call]]:
    """Each part's Content-ID and the call in it. Raises Refusal."""
    whole = BytesParser(policy=policy.HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + raw)
    if not whole.is_multipart() or whole.get_content_type() != "multipart/mixed":
        raise invalid("Failed to parse batch request, error: no multipart/mixed body.", "parseError")
    parts = list(cast(Any, whole.iter_parts()))
    if len(parts) > MOST_PARTS:
        raise invalid(f"The batch request has more than {MOST_PARTS} parts.", "batchTooLarge")
    return [(part.get("Content-ID", ""), _inner(part)) for part in parts]


def _inner(part: Any) -> Call:
    """`PATCH /walletobjects/v1/… HTTP/1.1`, headers, an empty line, the body."""
    if part.get_content_type() != "application/http":
        raise invalid("Failed to parse batch request, error: a part is not application/http.", "parseError")
    head, _, body = part.get_payload(decode=True).replace(b"\r\n", b"\n").partition(b"\n\n")
    words = head.split(b"\n")[0].decode("latin-1").split(" ")
    if len(words) < 2:
        raise invalid("Failed to parse batch request, error: a part without a request line.", "parseError")
    address = urlsplit(words[1])
    query = {name: values[0] for name, values in parse_qs(address.query).items()}
    return Call(words[0], address.path, query, body.strip())


def _part(boundary: str, key: str, answer: Answer) -> bytes:
    content = json.dumps(answer.body).encode()
    named = f"Content-ID: <response-{key.strip('<>')}>\r\n" if key else ""
    retry = f"Retry-After: {answer.retry_after}\r\n" if answer.retry_after else ""
    head = (
        f"--{boundary}\r\nContent-Type: application/http\r\n{named}\r\n"
        f"HTTP/1.1 {answer.status} {_reason(answer.status)}\r\n"
        f"Content-Type: application/json; charset=UTF-8\r\n{retry}Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content + b"\r\n"


def _reason(status: int) -> str:
    return "OK" if status == 200 else "Error"


@api.get(KEYS_PATH)
def keys() -> Response:
    def run() -> Response:
        running().door.calls["keys"] += 1
        return jsonify(running().callbacks.keys())

    return spoilt("keys", run)
