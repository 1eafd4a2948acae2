"""The sandbox's Google is as strict as the real one: what it lets through, and what it refuses and how."""

import io
import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import jwt
import pytest
from google.auth.transport.requests import Request
from google.oauth2 import service_account
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from sandbox.google import schema, totp
from sandbox.google.api import GRANT, SCOPE, Call
from sandbox.google.images import Held, loopback_client
from sandbox.google.world import Google

Body = dict[str, Any]
HTTP = loopback_client()


@pytest.fixture
def picture() -> Iterator[str]:
    """The address of an image."""
    made = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(made, "PNG")

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            good = self.path == "/logo.png"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(made.getvalue() if good else b"<p>no image</p>")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/logo.png"
    server.shutdown()
    server.server_close()


class Issuer:
    """Somebody who uses the API, through google-auth's own credentials."""

    def __init__(self, url: str, google: Google, picture: str) -> None:
        self.url = url
        self.google = google
        self.id = google.account.issuer
        self.picture = picture
        google.account.settings(url)
        credentials = service_account.Credentials.from_service_account_file(
            str(google.account.key_file), scopes=[SCOPE]
        )
        credentials.refresh(Request())
        self.headers = {"Authorization": f"Bearer {credentials.token}"}

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        url = f"{self.url}/walletobjects/v1/{path}"
        return HTTP.request(method, url, json=body, headers=self.headers, **more)

    def class_(self, **changes: Any) -> Body:
        return {
            "id": f"{self.id}.gold",
            "issuerName": "Roastery",
            "programName": "Regulars",
            "programLogo": {"sourceUri": {"uri": self.picture}},
            "reviewStatus": "UNDER_REVIEW",
        } | changes

    def object(self, **changes: Any) -> Body:
        return {
            "id": f"{self.id}.ada",
            "classId": f"{self.id}.gold",
            "state": "ACTIVE",
            "loyaltyPoints": {"label": "Points", "balance": {"int": 180}},
            "barcode": {"type": "QR_CODE", "value": "1A", "alternateText": "1A"},
        } | changes


@pytest.fixture
def issuer(google_at: tuple[str, Google], picture: str) -> Issuer:
    return Issuer(*google_at, picture)


@pytest.fixture
def member(issuer: Issuer) -> str:
    """The id of an object that a phone has saved."""
    assert issuer.call("POST", "loyaltyClass", issuer.class_()).status_code == 200
    assert issuer.call("POST", "loyaltyObject", issuer.object()).status_code == 200
    issuer.google.wallet.save("pixel", issuer.object()["id"])
    return str(issuer.object()["id"])


def test_a_class_and_an_object_are_made_read_changed_and_listed(issuer: Issuer) -> None:
    made = issuer.call("POST", "loyaltyClass", issuer.class_()).json()
    assert made["reviewStatus"] == "APPROVED"
    key = issuer.call("POST", "loyaltyObject", issuer.object()).json()["id"]
    changed = issuer.call("PATCH", f"loyaltyObject/{key}", {"loyaltyPoints": {"balance": {"int": 280}}}).json()
    assert changed["loyaltyPoints"] == {"label": "Points", "balance": {"int": 280}}
    assert issuer.call("GET", f"loyaltyObject/{key}").json() == changed
    assert changed["classReference"] == made
    assert changed["hasUsers"] is False
    listed = issuer.call("GET", f"loyaltyObject?classId={issuer.id}.gold").json()
    assert [one["id"] for one in listed["resources"]] == [key]


def test_put_replaces_and_patch_merges(issuer: Issuer, member: str) -> None:
    issuer.call("PATCH", f"loyaltyObject/{member}", {"accountName": "Noor", "barcode": None})
    merged = issuer.call("GET", f"loyaltyObject/{member}").json()
    assert (merged["accountName"], "barcode" in merged) == ("Noor", False)
    replaced = issuer.call("PUT", f"loyaltyObject/{member}", issuer.object()).json()
    assert ("accountName" in replaced, "barcode" in replaced) == (False, True)


REFUSED_CLASSES: list[tuple[str, Body]] = [
    ('Unknown name "colour"', {"colour": "#fff"}),
    ("Unknown name \"name\" at 'programLogo'", {"programLogo": {"name": "a"}}),
    ("Invalid value at 'issuerName' (string), 7", {"issuerName": 7}),
    ("Invalid value at 'reviewStatus' (enum)", {"reviewStatus": "PLEASE"}),
    ("Invalid value at 'enableSmartTap' (boolean)", {"enableSmartTap": "no"}),
    ("Invalid value at 'messages' (list)", {"messages": {}}),
    ("Invalid value at 'redemptionIssuers[0]' (int64)", {"redemptionIssuers": ["x"]}),
    ("Invalid value at 'redemptionIssuers[0]' (int64)", {"redemptionIssuers": [str(2**63)]}),
    ("issuerName is required", {"issuerName": ""}),
    ("programLogo is required", {"programLogo": None}),
    ("set either sourceUri or privateImageId", {"programLogo": {"contentDescription": None}, "heroImage": {}}),
    ("uri must be an https address", {"heroImage": {"sourceUri": {"uri": "http://example.com/a.png"}}}),
    ("is not on this machine", {"heroImage": {"sourceUri": {"uri": "https://example.com/a.png"}}}),
    ("url must be an https address", {"callbackOptions": {"url": "ftp://127.0.0.1/"}}),
    ("APPROVED can not be set", {"reviewStatus": "APPROVED"}),
    ("hexBackgroundColor must be", {"hexBackgroundColor": "red"}),
    ("countryCode must be", {"countryCode": "usa"}),
    ("Invalid resource ID", {"id": "gold"}),
    ("Invalid resource ID", {"id": "999.gold"}),
    ("at most 10", {"merchantLocations": [{"latitude": 1, "longitude": 1}] * 11}),
    ("out of bounds", {"merchantLocations": [{"latitude": 91, "longitude": 1}]}),
    ("defaultValue is required", {"localizedProgramName": {"translatedValues": []}}),
    ("must be a BCP 47 tag", {"localizedProgramName": {"defaultValue": {"language": "en_US!", "value": "a"}}}),
    ("uri must have a scheme", {"linksModuleData": {"uris": [{"uri": "example.com"}]}}),
    ("letters, digits", {"textModulesData": [{"id": "a.b", "body": "c"}]}),
]


@pytest.mark.parametrize(("why", "changes"), REFUSED_CLASSES, ids=[why for why, _ in REFUSED_CLASSES])
def test_a_class_that_google_would_refuse(issuer: Issuer, why: str, changes: Body) -> None:
    answer = issuer.call("POST", "loyaltyClass", issuer.class_(**changes))
    assert answer.status_code == 400
    assert why in answer.json()["error"]["message"]
    assert issuer.call("GET", f"loyaltyClass?issuerId={issuer.id}").json()["resources"] == []


TOTP = {"algorithm": "TOTP_SHA1", "periodMillis": "30000", "parameters": [{"key": "31", "valueLength": 8}]}
TURNING = {"type": "QR_CODE", "valuePattern": "1A{totp_value_0}", "totpDetails": TOTP}
REFUSED_OBJECTS: list[tuple[str, Body]] = [
    ("classId is required", {"classId": None}),
    ("state is required", {"state": None}),
    ("Invalid value at 'loyaltyPoints.balance.int' (int32)", {"loyaltyPoints": {"balance": {"int": 2**31}}}),
    ("Invalid value at 'loyaltyPoints.balance.int' (int32)", {"loyaltyPoints": {"balance": {"int": True}}}),
    ("set exactly one of", {"loyaltyPoints": {"balance": {"int": 1, "string": "1"}}}),
    ("balance is required", {"loyaltyPoints": {"label": "Points"}}),
    ("value is required", {"barcode": {"type": "QR_CODE"}}),
    ("type is required", {"barcode": {"value": "1"}}),
    ("must name the same values", {"rotatingBarcode": TURNING | {"valuePattern": "1A{totp_value_1}"}}),
    ("key must be Base16", {"rotatingBarcode": TURNING | {"totpDetails": TOTP | {"parameters": [{"key": "x"}]}}}),
    ("algorithm must be TOTP_SHA1", {"rotatingBarcode": TURNING | {"totpDetails": TOTP | {"algorithm": None}}}),
    ("at most 10", {"messages": [{"header": "a", "body": "b"}] * 11}),
    ("date must be an ISO 8601", {"validTimeInterval": {"end": {"date": "tomorrow"}}}),
]


@pytest.mark.parametrize(("why", "changes"), REFUSED_OBJECTS, ids=[why for why, _ in REFUSED_OBJECTS])
def test_an_object_that_google_would_refuse(issuer: Issuer, why: str, changes: Body) -> None:
    issuer.call("POST", "loyaltyClass", issuer.class_())
    answer = issuer.call("POST", "loyaltyObject", issuer.object(**changes))
    assert answer.status_code == 400
    assert why in answer.json()["error"]["message"]
    assert issuer.call("GET", f"loyaltyObject/{issuer.id}.ada").status_code == 404


def reason(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["errors"][0]["reason"]


def test_what_is_not_there_or_there_already(issuer: Issuer, member: str) -> None:
    assert reason(issuer.call("POST", "loyaltyObject", issuer.object())) == (409, "existingResource")
    assert reason(issuer.call("POST", "loyaltyClass", issuer.class_())) == (409, "existingResource")
    assert reason(issuer.call("GET", f"loyaltyObject/{issuer.id}.no")) == (404, "resourceNotFound")
    other = issuer.object(id=f"{issuer.id}.x", classId=f"{issuer.id}.no")
    assert reason(issuer.call("POST", "loyaltyObject", other)) == (404, "classNotFound")
    assert reason(issuer.call("GET", "loyaltyObject/77.other")) == (403, "permissionDenied")
    assert reason(issuer.call("DELETE", f"loyaltyObject/{member}")) == (404, "notFound")
    assert reason(issuer.call("PATCH", f"loyaltyObject/{member}", {"id": "77.other"})) == (400, "badRequest")


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'"a"', b"\xff"])
def test_no_json(issuer: Issuer, raw: bytes) -> None:
    url = f"{issuer.url}/walletobjects/v1/loyaltyClass"
    answer = HTTP.post(url, content=raw, headers=issuer.headers)
    assert reason(answer) == (400, "parseError")


def test_a_class_is_reviewed_and_no_draft_can_be_used(issuer: Issuer) -> None:
    assert issuer.call("POST", "loyaltyClass", issuer.class_(reviewStatus="DRAFT")).json()["reviewStatus"] == "DRAFT"
    assert reason(issuer.call("POST", "loyaltyObject", issuer.object())) == (400, "invalidClass")
    gold = f"loyaltyClass/{issuer.id}.gold"
    assert reason(issuer.call("PATCH", gold, {"programName": "Friends"})) == (400, "invalidReviewStatus")
    asked = issuer.call("PATCH", gold, {"programName": "Friends", "reviewStatus": "UNDER_REVIEW"}).json()
    assert (asked["reviewStatus"], asked["programName"]) == ("APPROVED", "Friends")
    assert reason(issuer.call("PATCH", gold, {"reviewStatus": "DRAFT"})) == (400, "invalidReviewStatus")
    assert issuer.call("POST", "loyaltyObject", issuer.object()).status_code == 200


def test_an_image_is_fetched_once_and_must_be_one(issuer: Issuer) -> None:
    other = issuer.picture.replace("logo", "page")
    answer = issuer.call("POST", "loyaltyClass", issuer.class_(heroImage={"sourceUri": {"uri": other}}))
    assert reason(answer) == (400, "imageNotLoaded")
    gone = {"sourceUri": {"uri": "http://127.0.0.1:9/a.png"}}
    assert reason(issuer.call("POST", "loyaltyClass", issuer.class_(heroImage=gone))) == (400, "imageNotLoaded")
    issuer.call("POST", "loyaltyClass", issuer.class_())
    assert issuer.google.images.shown(issuer.class_()["programLogo"]).startswith("data:image/png;base64,")


# Tokens.


def assertion(google: Google, url: str, **changes: Any) -> str:
    now = int(time.time())
    told = {"iss": google.account.read()["client_email"], "aud": f"{url}/google/token", "scope": SCOPE}
    told |= {"iat": now, "exp": now + 3600} | changes
    return jwt.encode({name: value for name, value in told.items() if value}, google.account.key(), "RS256")


@pytest.mark.parametrize(
    "changes",
    [{"iss": "somebody"}, {"aud": "http://127.0.0.1/"}, {"scope": "email"}, {"exp": 1}, {"exp": 2**33}, {"iat": None}],
    ids=str,
)
def test_no_token_for_a_wrong_assertion(google_at: tuple[str, Google], changes: Body) -> None:
    url, google = google_at
    form = {"grant_type": GRANT, "assertion": assertion(google, url, **changes)}
    answer = HTTP.post(f"{url}/google/token", data=form)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("invalid_")


def test_a_token_is_for_who_signed_and_for_a_while(issuer: Issuer) -> None:
    url, google = issuer.url, issuer.google
    stranger = jwt.encode({"iss": "x"}, "s" * 32, "HS256")
    form = {"grant_type": GRANT, "assertion": stranger}
    assert HTTP.post(f"{url}/google/token", data=form).status_code == 400
    assert issuer.call("GET", "loyaltyClass").status_code == 200
    google.tokens.forget()
    assert reason(issuer.call("GET", "loyaltyClass")) == (401, "authError")
    google.tokens.lives = 0
    form["assertion"] = assertion(google, url)
    expired = HTTP.post(f"{url}/google/token", data=form).json()["access_token"]
    issuer.headers = {"Authorization": f"Bearer {expired}"}
    assert issuer.call("GET", "loyaltyClass").status_code == 401


# Quota, faults, batches.


def test_more_than_the_quota_is_refused(issuer: Issuer, member: str) -> None:
    issuer.google.quota.rate = 4
    answers = [issuer.call("GET", f"loyaltyObject/{member}").status_code for _ in range(40)]
    assert 4 <= answers.count(200) < 40
    assert answers.count(200) + answers.count(429) == 40
    time.sleep(0.3)
    assert issuer.call("GET", f"loyaltyObject/{member}").status_code == 200


def test_planned_faults_spoil_the_next_call_of_their_kind(issuer: Issuer, member: str) -> None:
    google, patch = issuer.google, {"accountName": "Noor"}
    google.faults.plan(503, "loyaltyobject.patch", retry_after=7)
    assert issuer.call("GET", f"loyaltyObject/{member}").status_code == 200
    answer = issuer.call("PATCH", f"loyaltyObject/{member}", patch)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
    google.faults.plan("html", "loyaltyobject.patch")
    assert "text/html" in issuer.call("PATCH", f"loyaltyObject/{member}", patch).headers["Content-Type"]
    google.faults.plan("hang_up_before", "loyaltyobject.patch")
    with pytest.raises(httpx.RemoteProtocolError):
        issuer.call("PATCH", f"loyaltyObject/{member}", patch)
    assert "accountName" not in issuer.call("GET", f"loyaltyObject/{member}").json()
    google.faults.plan("hang_up_after", "loyaltyobject.patch")
    with pytest.raises(httpx.RemoteProtocolError):
        issuer.call("PATCH", f"loyaltyObject/{member}", patch)
    assert issuer.call("GET", f"loyaltyObject/{member}").json()["accountName"] == "Noor"


def batched(issuer: Issuer, calls: list[tuple[str, str, Any]], **headers: str) -> httpx.Response:
    parts = [
        f"--cut\r\nContent-Type: application/http\r\nContent-ID: <{number}>\r\n\r\n"
        f"{method} /walletobjects/v1/{path} HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{json.dumps(body)}\r\n"
        for number, (method, path, body) in enumerate(calls)
    ]
    content = ("".join(parts) + "--cut--").encode()
    kind = {"Content-Type": "multipart/mixed; boundary=cut"}
    return HTTP.post(f"{issuer.url}/batch", content=content, headers=issuer.headers | kind | headers)


def test_a_batch_is_answered_part_by_part(issuer: Issuer, member: str) -> None:
    issuer.google.faults.plan(429, "loyaltyobject.insert", retry_after=3)
    patch = {"accountName": "Noor O’Neil ☕"}
    answer = batched(
        issuer,
        [
            ("PATCH", f"loyaltyObject/{member}", patch),
            ("PATCH", f"loyaltyObject/{issuer.id}.no", patch),
            ("POST", "loyaltyObject", issuer.object(id=f"{issuer.id}.b")),
        ],
    )
    assert answer.status_code == 200
    boundary = answer.headers["Content-Type"].partition("boundary=")[2]
    parts = answer.text.split(f"--{boundary}")[1:-1]
    assert [part.split("HTTP/1.1 ")[1][:3] for part in parts] == ["200", "404", "429"]
    assert ["Content-ID: <response-0>" in parts[0], "Retry-After: 3" in parts[2]] == [True, True]
    assert issuer.call("GET", f"loyaltyObject/{member}").json()["accountName"] == patch["accountName"]


def test_each_part_of_a_batch_counts(issuer: Issuer, member: str) -> None:
    answer = batched(issuer, [("PATCH", f"loyaltyObject/{member}", {"accountName": "a"})] * 40)
    assert answer.text.count("HTTP/1.1 429") >= 10


def test_a_batch_that_is_none(issuer: Issuer) -> None:
    assert reason(batched(issuer, [], **{"Content-Type": "application/json"})) == (400, "parseError")
    assert batched(issuer, [], Authorization="Bearer no").status_code == 401


# Announcements.


def notes(issuer: Issuer) -> list[str]:
    told = HTTP.get(f"{issuer.url}/google-wallet/pixel/state").json()["notes"]
    return [note["text"] for note in reversed(told)]


def balance(points: int, **more: Any) -> Body:
    return {"loyaltyPoints": {"balance": {"int": points}}} | more


NOTIFY = {"notifyPreference": "NOTIFY_ON_UPDATE"}


def test_changes_are_announced_when_asked_three_times_a_day(issuer: Issuer, member: str) -> None:
    at = time.time()
    issuer.google.wallet.clock = lambda: at
    path = f"loyaltyObject/{member}"
    issuer.call("PATCH", path, balance(200))
    issuer.call("PATCH", path, balance(200, **NOTIFY))
    issuer.call("PATCH", path, {"accountName": "Noor"} | NOTIFY)
    assert notes(issuer) == []
    for points in (1000, 1001, 1002, 1003):
        assert issuer.call("PATCH", path, balance(points, **NOTIFY)).status_code == 200
    assert notes(issuer) == ["Points: 1,000", "Points: 1,001", "Points: 1,002"]
    at += 24 * 3600 + 1
    assert "notifyPreference" not in issuer.call("PATCH", path, balance(5, **NOTIFY)).json()
    assert notes(issuer)[-1] == "Points: 5"


def test_messages_share_the_budget(issuer: Issuer, member: str) -> None:
    loud = {"message": {"id": "1", "header": "Today", "body": "Free coffee", "messageType": "TEXT_AND_NOTIFY"}}
    quiet = {"message": {"header": "Today", "body": "Open late"}}
    add = f"loyaltyObject/{member}/addMessage"
    assert [issuer.call("POST", add, loud).status_code for _ in range(3)] == [200] * 3
    assert reason(issuer.call("POST", add, loud)) == (429, "quotaExceeded")
    assert len(issuer.call("POST", add, quiet).json()["resource"]["messages"]) == 4
    issuer.call("PATCH", f"loyaltyObject/{member}", balance(7, **NOTIFY))
    assert notes(issuer) == ["Today: Free coffee"] * 3
    assert reason(issuer.call("POST", add, {"message": {"header": "No body"}})) == (400, "badRequest")


# Saving.


def link(issuer: Issuer, key: Any = None, **changes: Any) -> str:
    told = {"iss": issuer.google.account.read()["client_email"], "aud": "google", "typ": "savetowallet"}
    told |= {"iat": int(time.time()), "origins": [], "payload": {"loyaltyObjects": [{"id": f"{issuer.id}.ada"}]}}
    return f"{issuer.url}/gp/v/save/{jwt.encode(told | changes, key or issuer.google.account.key(), 'RS256')}"


@pytest.fixture
def heard(issuer: Issuer) -> Iterator[list[Body]]:
    """What is called back, to an issuer that is away for the first two times."""
    told: list[Body] = []

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200 if len(told) > 2 else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/"
    issuer.google.callbacks.pause = 0.01
    issuer.call("POST", "loyaltyClass", issuer.class_(callbackOptions={"url": url}))
    issuer.call("POST", "loyaltyObject", issuer.object())
    yield told
    server.shutdown()
    server.server_close()


def test_a_card_is_saved_and_removed_and_its_issuer_told(issuer: Issuer, heard: list[Body]) -> None:
    page = HTTP.get(link(issuer))
    assert "Add to Google Wallet" in page.text
    assert "180" in page.text
    for _ in range(2):
        assert HTTP.post(link(issuer), json={}).json() == {"object": f"{issuer.id}.ada"}
    state = HTTP.get(f"{issuer.url}/google-wallet/pixel/state").json()
    assert state["cards"][f"{issuer.id}.ada"]["code"] == "1A"
    assert issuer.call("GET", f"loyaltyObject/{issuer.id}.ada").json()["hasUsers"] is True
    HTTP.post(f"{issuer.url}/google-wallet/pixel/cards/{issuer.id}.ada/remove")
    deadline = time.monotonic() + 5
    while len(heard) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    told = [json.loads(one["signedMessage"]) for one in heard]
    assert sorted({one["nonce"]: one["eventType"] for one in told}.values()) == ["del", "save"]
    assert len(told) == 4


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"aud": "somebody"}, "trusted"),
        ({"iss": "somebody"}, "trusted"),
        ({"exp": 1}, "trusted"),
        ({"typ": "JWT"}, "savetowallet"),
        ({"origins": "all"}, "list"),
        ({"payload": {"loyaltyObjects": []}}, "no card"),
        ({"payload": {"loyaltyObjects": [{"id": "x" * 1400}]}}, "1800"),
        ({"payload": {"loyaltyObjects": [{"id": "77.a"}]}}, "Permission denied"),
    ],
)
def test_a_link_that_does_not_save(issuer: Issuer, member: str, changes: Body, why: str) -> None:
    answer = HTTP.post(link(issuer, **changes), json={})
    assert answer.status_code in (400, 403)
    assert why in answer.json()["error"]["message"]
    assert HTTP.get(link(issuer, **changes)).status_code == answer.status_code


# What a phone works out by itself: RFC 6238, appendix B.


@pytest.mark.parametrize(
    ("seconds", "digits"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_a_rotating_code_is_that_of_the_standard(seconds: int, digits: str) -> None:
    key = b"12345678901234567890".hex()
    details = TOTP | {"parameters": [{"key": key, "valueLength": 8}]}
    assert totp.value(details, "1A{totp_value_0}", seconds) == f"1A{digits}"


def test_every_message_of_the_document_is_walked() -> None:
    body = {"linksModuleData": {"uris": [{"uri": "a"}, {"uri": "b"}]}, "barcode": {"type": "QR_CODE"}}
    found = [(one.name, one.path) for one in schema.messages("LoyaltyObject", body)]
    assert ("Uri", "linksModuleData.uris[1]") in found
    assert ("Barcode", "barcode") in found


NAMES = sorted(schema.properties("LoyaltyObject")) + sorted(schema.properties("LoyaltyClass"))
INNER = ["balance", "int", "value", "type", "uri", "sourceUri", "date", "defaultValue", "totpDetails", "message", "id"]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda one: st.lists(one, max_size=2) | st.dictionaries(st.sampled_from(NAMES + INNER), one, max_size=4),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(
    body=st.dictionaries(st.sampled_from(NAMES), ANYTHING, max_size=5),
    how=st.sampled_from(["POST", "PUT", "PATCH", "addMessage"]),
)
def test_any_body_is_answered_and_what_is_kept_is_as_the_document_says(google: Google, body: Body, how: str) -> None:
    wallet, issuer = google.wallet, google.account.issuer
    base = {"id": f"{issuer}.a", "classId": f"{issuer}.c", "state": "ACTIVE"}
    if wallet.kept("loyaltyObject", base["id"]) is None:
        logo = {"sourceUri": {"uri": "http://127.0.0.1:9/"}}
        wallet.store.put("google", "image", "http://127.0.0.1:9/", Held("image/png", b""))
        names = {"issuerName": "a", "programName": "b", "programLogo": logo, "reviewStatus": "UNDER_REVIEW"}
        wallet.insert("loyaltyClass", {"id": f"{issuer}.c"} | names)
        wallet.insert("loyaltyObject", base)
    google.quota.rate = 0
    path = f"/walletobjects/v1/loyaltyObject/{base['id']}"
    if how == "addMessage":
        call = Call("POST", f"{path}/addMessage", {}, json.dumps({"message": body}).encode())
    else:
        call = Call(how, path if how != "POST" else path.rpartition("/")[0], {}, json.dumps(base | body).encode())
    assert google.door.answer(call).status in (200, 400, 404, 409)
    kept = wallet.kept("loyaltyObject", base["id"])
    assert kept
    assert list(schema.faults("LoyaltyObject", kept.body)) == []
