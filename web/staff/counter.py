"""The scanner, looking somebody up, and the sheet of who stands at the counter."""

import re
import secrets
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, redirect, render_template, request, url_for
from sqlalchemy.orm import Session

from core.db import database
from core.errors import InvalidInput, RapportError
from core.i18n import _
from loyalty import queries as members
from loyalty.models import Member
from referrals import members as referrers
from shops import customers
from shops.admin import Admin
from wallet_passes import scanning
from web import faces
from web.api import idempotency
from web.api.idempotency import Answer
from web.staff import purchasing, visits, wording
from web.staff import session as sessions
from web.staff.sheet import sheet
from web.staff.visits import LOOKED_UP, Visit

KEY = re.compile(r"[A-Za-z0-9-]{8,64}")
MOST_FOUND = 8


def add_to(pages: Blueprint) -> None:
    pages.get("/", endpoint="scanner")(scanner)
    pages.post("/scan", endpoint="scan")(scan)
    pages.get("/find", endpoint="find")(find)
    pages.get("/with/<signed>", endpoint="serve")(serve)


def scanner() -> str:
    """Full of camera, with the way to type below it."""
    return render_template("staff/scanner.html", key=fresh_key())


def scan() -> Any:
    """Read a code. A lost answer is found again by the key that the scan was sent with."""
    code, key = request.form.get("code", "")[:500], sent_key()
    here = sessions.counter()
    asked = idempotency.Request(here.shop.id, f"staff-scan:{here.person.id}:{key}", code)
    with database().transaction(here.shop.id) as session:
        told = idempotency.once(session, asked, lambda: _scanned(session, code)).content
    if told["member_id"] is None:
        return _no_card(told["validity"])
    visit = Visit(here.shop.id, here.person.id, told["member_id"], told["validity"])
    return show(visit)


def _scanned(session: Session, code: str) -> Answer:
    here = sessions.counter()
    where = here.place.name if here.place else None
    found = scanning.scan(session, here.shop.id, code, actor=here.actor, location=where)
    visit = visits.of_scan(here.shop.id, here.person.id, found)
    return Answer(200, {"validity": found.validity, "member_id": visit.member_id if visit else None})


def _no_card(validity: str) -> Any:
    shown = render_template("staff/no_card.html", text=wording.validity(validity), partial=faces.is_partial())
    return shown, 200 if faces.is_partial() else 422


def find() -> Any:
    """Look somebody up by e-mail, phone, name, customer number or referral code."""
    text = " ".join(request.args.get("q", "")[:200].split())
    here = sessions.counter()
    found = _found(here.shop.id, text) if text else []
    rows = [(member, visits.signed(Visit(here.shop.id, here.person.id, member.id, LOOKED_UP))) for member in found]
    return render_template("staff/found.html", rows=rows, text=text, partial=faces.is_partial())


def _found(shop_id: int, text: str) -> list[Member]:
    with database().transaction(shop_id) as session:
        if "@" in text:
            return list(members.members(session, shop_id, email=text.casefold(), limit=MOST_FOUND))
        named = _by_number(session, shop_id, text) or _by_code(session, shop_id, text)
        if named or not re.fullmatch(r"[+\d][\d\s()./-]{5,}", text):
            return named or _by_name(session, shop_id, text)
    return _by_phone(shop_id, text)


def _by_number(session: Session, shop_id: int, text: str) -> list[Member]:
    if not re.fullmatch(r"\d{1,18}", text):
        return []
    return list(members.members(session, shop_id, customer_id=int(text), limit=1))


def _by_code(session: Session, shop_id: int, text: str) -> list[Member]:
    try:
        owner = referrers.find(session, shop_id, text).member_id
        return [members.member(session, shop_id, owner)] if owner else []
    except RapportError:
        return []


def _by_name(session: Session, shop_id: int, text: str) -> list[Member]:
    """The beginning of a name, as one types it."""
    like = re.sub(r"([%_\\])", r"\\\1", text) + "%"
    here = sa.select(Member).where(
        Member.shop_id == shop_id, Member.merged_into.is_(None), Member.erased_at.is_(None), Member.name.ilike(like)
    )
    return list(session.scalars(here.order_by(Member.name, Member.id).limit(MOST_FOUND)))


def _by_phone(shop_id: int, text: str) -> list[Member]:
    """Phone numbers are Shopify's to keep: it is asked whose it is."""
    with Admin.of(database(), shop_id) as admin:
        found = customers.by_phone(admin, text)
    if found is None:
        return []
    with database().transaction(shop_id) as session:
        return list(members.members(session, shop_id, customer_id=found.id, limit=1))


def serve(signed: str) -> Any:
    """The sheet of who was found, by its address: what the back button and a lost connection come back to."""
    here = sessions.counter()
    return show(visits.opened(signed, here.shop.id, here.person.id))


def show(visit: Visit, **more: Any) -> Any:
    """The sheet: as a part that slides over the camera, or as a page of its own."""
    with database().transaction(visit.shop_id) as session:
        found = sheet(session, visit)
        shown: dict[str, Any] = {"done": None, "error": None} | more
        signed = visits.signed(visit)
        return render_template(
            "staff/sheet.html", sheet=found, visit=visit, signed=signed, key=fresh_key(),
            text=wording.validity(visit.found), partial=faces.is_partial(),
            example=purchasing.example(found.version, found.member.tier_key, sessions.counter().shop.currency), **shown,
        )  # fmt: skip


def back_to(visit: Visit) -> Any:
    return redirect(url_for(".serve", signed=visits.signed(visit)), 303)


def fresh_key() -> str:
    return secrets.token_urlsafe(12).replace("_", "-")


def sent_key() -> str:
    """What makes a form count once. Raises InvalidInput."""
    key = request.form.get("key", "")
    if not KEY.fullmatch(key):
        raise InvalidInput(_("This form is not complete. Go back to the scanner and try once more."), code="bad_key")
    return key
