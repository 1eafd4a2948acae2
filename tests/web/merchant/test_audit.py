"""What somebody at work changes leaves an event under their name: every route that takes a form is accounted for."""

import sqlalchemy as sa
from flask import Flask

from core import clock
from core.db import database
from core.effects import Effect
from core.events import Event
from tests.web.merchant.conftest import Office
from webhooks.models import Delivery

# What each route leaves. Its own tests see that it does.
EVENTS = {
    "merchant.retry_backfill": "backfill.retried",
    "merchant.award_past": "backfill.awarded",
    "merchant.keep_certificate": "wallet.certificate_added",
    "merchant.remove_certificate": "wallet.certificate_removed",
    "merchant.retry_delivery": "delivery.retried",
    "merchant.retry_all": "deliveries.retried",
    "merchant.retry_effect": "effect.retried",
    "merchant.give_many": "gift.decided",
    "merchant.set_message_limit": "wallet.message_limit_changed",
    "merchant.send_message": "wallet.message_scheduled",
    "merchant.cancel_message": "wallet.message_cancelled",
    "merchant.start_import": "import.started",
    "merchant.cancel_import": "import.cancelled",
    "merchant.adjust": "points.posted",
    "merchant.give": "points.posted",
    "merchant.give_tier": "tier.overridden",
    "merchant.give_back": "reward.returned",
    "merchant.block": "member.blocked",
    "merchant.unblock": "member.unblocked",
    "merchant.send_pass": "pass.sent",
    "merchant.merge": "member.merged",
    "merchant.erase": "member.erased",
    "merchant.publish_program": "program.published",
    "merchant.roll_program_back": "program.published",
    "merchant.withdraw_program": "program.withdrawn",
    "merchant.decide": "referral.decided",
    "merchant.approve": "payout.approved",
    "merchant.set_appearance": "appearance.set",
    "merchant.create_key": "api_key.created",
    "merchant.revoke_key": "api_key.revoked",
    "merchant.set_at_risk": "at_risk.days_set",
    "merchant.connect": "flow.connected",
    "merchant.switch_mails": "mails.switched",
    "merchant.decide_past": "shop.past_kept",
    "merchant.invite": "staff.invited",
    "merchant.invite_again": "staff.invited",
    "merchant.lock_staff": "staff.locked",
    "merchant.revoke_staff": "staff.revoked",
    "merchant.add_location": "location.added",
    "merchant.retire_location": "location.retired",
    "merchant.publish_design": "wallet.design_published",
    "staff.redeem": "reward.redeemed",
    "staff.hand_over": "reward.used",
    "staff.purchase": "points.posted",
    "staff.undo": "reward.returned",
    "staff.scan": "pass.scanned",
    "staff.enrol": "member.joined",
    "staff.take_up": "staff.joined",
}
# What changes nothing that anybody else sees: drafts, pictures of what would be, and who sits at the counter.
LEAVE_NONE = {
    "merchant.check_import", "merchant.create_message", "merchant.change_message", "merchant.delete_message",
    "merchant.preview_message", "merchant.save_program", "merchant.preview_program", "merchant.discard_program",
    "merchant.save_design", "merchant.preview_design", "merchant.add_picture", "merchant.restore_design",
    "merchant.next_step", "merchant.preview_step", "merchant.test_mail", "staff.enter", "staff.sign_out",
    "staff.choose_place",
}  # fmt: skip


def test_every_form_is_known_to_leave_an_event_or_to_need_none(app: Flask) -> None:
    forms = {
        rule.endpoint for rule in app.url_map.iter_rules()
        if "POST" in (rule.methods or ()) and rule.endpoint.partition(".")[0] in ("merchant", "staff")
    }  # fmt: skip
    assert forms == EVENTS.keys() | LEAVE_NONE
    assert not EVENTS.keys() & LEAVE_NONE


def test_trying_again_is_told(office: Office) -> None:
    with database().transaction(office.store.shop_id) as session:
        row = {"webhook_id": "1", "topic": "orders/paid", "body": b"{}", "state": "failed"}
        session.execute(sa.insert(Delivery).values(shop_id=office.store.shop_id, received_at=sa.func.now(), **row))
        failed = {"kind": "wallet.apple", "target": "7", "state": "failed"}
        session.add(Effect(shop_id=office.store.shop_id, due_at=clock.now(), requested_at=clock.now(), **failed))
        (delivery,) = session.scalars(sa.select(Delivery.id))
    assert office.post(f"/deliveries/{delivery}/retry").status_code == 303
    assert office.post("/deliveries/effect", kind="wallet.apple", target="7").status_code == 303
    assert office.post("/deliveries/retry").status_code == 303
    with database().transaction(office.store.shop_id) as session:
        found = session.scalars(sa.select(Event).where(Event.kind.contains("retried")).order_by(Event.id))
        told = [(row.kind, row.actor, row.data) for row in found]
    here = "merchant:41"
    assert told == [
        ("delivery.retried", here, {"delivery_id": delivery}),
        ("effect.retried", here, {"effect": "wallet.apple"}),
        ("deliveries.retried", here, {}),
    ]
