"""What Google holds: classes, objects, and the phones that have saved them. Writes are checked before they are kept."""

import threading
import time
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import msgspec

from sandbox.google import rules, schema
from sandbox.google.callbacks import Callbacks
from sandbox.google.images import SHOP, Images
from sandbox.google.refusal import Refusal, invalid
from sandbox.google.rules import Body
from sandbox.store import Store

Kind = Literal["loyaltyClass", "loyaltyObject"]
NAMES: dict[Kind, str] = {"loyaltyClass": "LoyaltyClass", "loyaltyObject": "LoyaltyObject"}
DAY = 24 * 60 * 60
MOST_NOTIFICATIONS = 3
MOST_NOTES = 50
# What the platform sets itself, whatever it is sent.
_OURS = ("hasUsers", "hasLinkedDevice", "classReference", "review", "kind", "version")


class Note(msgspec.Struct):
    """A notification on a phone. `at` is in seconds of the epoch."""

    at: float
    title: str
    text: str


class Kept(msgspec.Struct):
    """A class or an object, and when phones were last notified of it (of the last day, seconds of the epoch)."""

    body: Body
    notified: list[float] = []


class Phone(msgspec.Struct):
    """A phone's wallet: the ids of its cards, and when each was saved."""

    name: str
    cards: dict[str, float] = {}
    notes: list[Note] = []


class Announced(NamedTuple):
    field: str
    label: str
    text: str


class Wallet:
    """Each call is done on its own, one after the other."""

    def __init__(self, store: Store, issuer: str, images: Images, callbacks: Callbacks) -> None:
        self.store = store
        self.issuer = issuer
        self.images = images
        self.callbacks = callbacks
        self.lock = threading.RLock()
        self.clock: Callable[[], float] = time.time

    # The API.

    def get(self, kind: Kind, key: str) -> Body:
        return self._shown(kind, self._kept(kind, key))

    def listed(self, kind: Kind, parent: str) -> list[Body]:
        """The classes of an issuer, or the objects of a class."""
        every = self.store.all(SHOP, kind, Kept)
        if kind == "loyaltyClass":
            return [self._shown(kind, one) for one in every if one.body["id"].startswith(f"{parent}.")]
        return [self._shown(kind, one) for one in every if one.body["classId"] == parent]

    def insert(self, kind: Kind, body: Body) -> Body:
        with self.lock:
            whole = self._checked(kind, _without_nulls(body), None)
            if self.store.exists(SHOP, kind, whole["id"]):
                raise Refusal(409, "existingResource", f"{_noun(kind)} {{{whole['id']}}} already exists.")
            kept = Kept(whole)
            self._keep(kind, kept)
            return self._shown(kind, kept)

    def change(self, kind: Kind, key: str, body: Body, *, whole: bool) -> Body:
        """PUT replaces what is there, PATCH merges into it."""
        with self.lock:
            kept = self._kept(kind, key)
            if body.get("id") not in (None, key):
                raise invalid(f"Invalid resource ID: {body['id']} is not {key}.")
            self._refuse_faults(kind, body)
            if kind == "loyaltyClass" and not body.get("reviewStatus"):
                raise invalid("reviewStatus must be UNDER_REVIEW or DRAFT.", "invalidReviewStatus")
            wanted = {"id": key} | (_without_nulls(body) if whole else _merged(kept.body, body))
            before, kept.body = kept.body, self._checked(kind, wanted, kept.body)
            if rules.plain(body.get("notifyPreference")) == "notifyonupdate":
                self._announce_changes(kind, kept, before)
            self._keep(kind, kept)
            return self._shown(kind, kept)

    def add_message(self, kind: Kind, key: str, body: Body) -> Body:
        with self.lock:
            kept = self._kept(kind, key)
            self._refuse_types("AddMessageRequest", body)
            message = _without_nulls(body.get("message") or {})
            if not message.get("body") or not message.get("header"):
                raise invalid("message: header and body are required.")
            told = kept.body | {"messages": [*kept.body.get("messages", []), message]}
            kept.body = self._checked(kind, told | self._review(kind), kept.body)
            if rules.plain(message.get("messageType")) == "textandnotify":
                self._notify_of_message(kind, kept, message)
            self._keep(kind, kept)
            return {"resource": self._shown(kind, kept)}

    # What is checked.

    def _checked(self, kind: Kind, body: Body, before: Body | None) -> Body:
        """A body that may be kept. Raises Refusal."""
        self._refuse_faults(kind, body)
        kept = {name: value for name, value in body.items() if name not in (*_OURS, "notifyPreference")}
        if found := rules.faults(NAMES[kind], kept, self.issuer):
            raise invalid(" ".join(found))
        if kind == "loyaltyClass":
            kept["reviewStatus"] = _reviewed(kept["reviewStatus"], before)
        else:
            self._refuse_class(kept["classId"])
        self.images.take(NAMES[kind], kept)
        return kept

    def _refuse_faults(self, kind: Kind, body: Body) -> None:
        self._refuse_types(NAMES[kind], body)

    def _refuse_types(self, name: str, body: Body) -> None:
        if found := list(schema.faults(name, body)):
            raise invalid("\n".join(found))

    def _refuse_class(self, key: str) -> None:
        review = rules.plain(self._kept("loyaltyClass", key).body["reviewStatus"])
        if review != "approved":
            raise invalid(f"Class {key} is {review}; only an approved class can be used.", "invalidClass")

    def _review(self, kind: Kind) -> Body:
        return {"reviewStatus": "UNDER_REVIEW"} if kind == "loyaltyClass" else {}

    # What is kept.

    def kept(self, kind: Kind, key: str) -> Kept | None:
        return self.store.get(SHOP, kind, key, Kept)

    def _kept(self, kind: Kind, key: str) -> Kept:
        found = self.kept(kind, key)
        if found is None:
            if not rules.is_id(key, self.issuer) and not key.startswith(f"{self.issuer}."):
                raise Refusal(403, "permissionDenied", "Permission denied.")
            reason = "classNotFound" if kind == "loyaltyClass" else "resourceNotFound"
            raise Refusal(404, reason, f"{_noun(kind)} {{{key}}} not found.")
        return found

    def _keep(self, kind: Kind, kept: Kept) -> None:
        self.store.put(SHOP, kind, kept.body["id"], kept)

    def _shown(self, kind: Kind, kept: Kept) -> Body:
        if kind == "loyaltyClass":
            return kept.body
        parent = self._kept("loyaltyClass", kept.body["classId"]).body
        return kept.body | {"hasUsers": bool(self.holders(kept.body["id"])), "classReference": parent}

    # Phones.

    def phone(self, name: str) -> Phone:
        return self.store.get(SHOP, "phone", name, Phone) or Phone(name)

    def holders(self, key: str) -> list[Phone]:
        return [phone for phone in self.store.all(SHOP, "phone", Phone) if key in phone.cards]

    def save(self, name: str, key: str) -> None:
        """A phone saves an object; its issuer is told. Raises Refusal when there is none."""
        with self.lock:
            held = self._kept("loyaltyObject", key)
            phone = self.phone(name)
            new = key not in phone.cards
            phone.cards[key] = phone.cards.get(key, self.clock())
            self.store.put(SHOP, "phone", name, phone)
        if new:
            self._call_back(held.body, "save")

    def remove(self, name: str, key: str) -> None:
        with self.lock:
            held = self._kept("loyaltyObject", key)
            phone = self.phone(name)
            had = phone.cards.pop(key, None)
            self.store.put(SHOP, "phone", name, phone)
        if had is not None:
            self._call_back(held.body, "del")

    def _call_back(self, body: Body, event: str) -> None:
        parent = self._kept("loyaltyClass", body["classId"]).body
        if address := (parent.get("callbackOptions") or {}).get("url"):
            self.callbacks.tell(address, self.callbacks.message(body["classId"], body["id"], event))

    # Notifications: three of a pass in 24 hours, of messages and of changes together.

    def _announce_changes(self, kind: Kind, kept: Kept, before: Body) -> None:
        changed = [one for one in _announced(kind, kept.body) if one not in _announced(kind, before)]
        if changed and self._allowed(kept):
            for one in changed:
                self._notify(kind, kept, f"{one.label}: {one.text}")
            kept.notified.append(self.clock())

    def _notify_of_message(self, kind: Kind, kept: Kept, message: Body) -> None:
        if not self._allowed(kept):
            raise Refusal(429, "quotaExceeded", "QuotaExceededException: 3 notifications in 24 hours were sent.")
        self._notify(kind, kept, f"{message['header']}: {message['body']}")
        kept.notified.append(self.clock())

    def _allowed(self, kept: Kept) -> bool:
        kept.notified = [at for at in kept.notified if at > self.clock() - DAY]
        return len(kept.notified) < MOST_NOTIFICATIONS

    def _notify(self, kind: Kind, kept: Kept, text: str) -> None:
        key = kept.body["id"]
        parent = kept.body if kind == "loyaltyClass" else self._kept("loyaltyClass", kept.body["classId"]).body
        for phone in self.store.all(SHOP, "phone", Phone):
            if any(key in (card, self._class_of(card)) for card in phone.cards):
                phone.notes = [Note(self.clock(), parent["issuerName"], text), *phone.notes][:MOST_NOTES]
                self.store.put(SHOP, "phone", phone.name, phone)

    def _class_of(self, key: str) -> str:
        held = self.kept("loyaltyObject", key)
        return str(held.body["classId"]) if held else ""


def _reviewed(wanted: str, before: Body | None) -> str:
    """What a review comes to: who asks for one gets it at once. No way leads back to a draft."""
    asked = rules.plain(wanted)
    was = rules.plain(before["reviewStatus"]) if before else "draft"
    if asked == "draft" and was == "draft":
        return "DRAFT"
    if asked != "underreview":
        raise invalid(f"reviewStatus: {wanted} can not be set.", "invalidReviewStatus")
    return "APPROVED"


def _announced(kind: Kind, body: Body) -> list[Announced]:
    """The fields whose change Google announces when asked to."""
    if kind == "loyaltyClass":
        tiers = (("rewardsTier", "rewardsTierLabel"), ("secondaryRewardsTier", "secondaryRewardsTierLabel"))
        return [Announced(name, body.get(label, ""), body[name]) for name, label in tiers if body.get(name)]
    found = ((name, body.get(name) or {}) for name in ("loyaltyPoints", "secondaryLoyaltyPoints"))
    return [Announced(name, points.get("label", ""), balance(points)) for name, points in found if points]


def balance(points: Body) -> str:
    """Points as they are shown."""
    told = points.get("balance") or {}
    if "money" in told:
        return f"{int(told['money'].get('micros', 0)) / 1_000_000:,.2f} {told['money'].get('currencyCode', '')}"
    if "int" in told:
        return f"{told['int']:,}"
    return str(next(iter(told.values()), ""))


def _merged(before: Body, changes: Body) -> Body:
    """JSON merge patch (RFC 7396): null takes away, lists are replaced."""
    merged = dict(before)
    for name, value in changes.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            under = merged.get(name)
            merged[name] = _merged(under if isinstance(under, dict) else {}, value)
        else:
            merged[name] = _without_nulls(value)
    return merged


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value


def _noun(kind: Kind) -> str:
    return "Wallet Object Class" if kind == "loyaltyClass" else "Wallet Object"
