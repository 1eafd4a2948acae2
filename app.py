"""Where the parts are put together: the WSGI application, its commands, effects and periodic work. No rules here."""

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from typing import Any

import click
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from core import effects, i18n, jobs, logs
from core.config import Settings, settings
from core.db import database
from core.jobs import Hinted, Periodic
from loyalty import counting, programs
from loyalty.commands import ledger, privacy
from loyalty.importing import operations as importing
from loyalty.publishing import operations as publishing
from loyalty.publishing.commands import program
from loyalty.rewards import operations as rewards
from loyalty.rewards.issue import issue
from loyalty.telling import operations as telling_others
from loyalty.telling.flow import tell_flow
from loyalty.telling.klaviyo import tell_klaviyo
from loyalty.telling.rules import KINDS as WORTH_TELLING
from referrals import operations as referrals
from referrals import partners, standing
from referrals.claims import issue as friends
from referrals.claims import operations as claims
from referrals.payouts import accounts as payees
from referrals.payouts import paying
from referrals.payouts import routes as payouts
from referrals.payouts.commands import payouts as payout_commands
from referrals.payouts.operations import ACCOUNT, PAY
from referrals.queries import with_rewards_under_way
from shops import connections, plans
from shops import operations as installing
from shops.commands import api_key, review_hook, rotated, shop
from shops.staff import mails as staff_mails
from shops.staff.operations import EFFECT as INVITE_STAFF
from tiers import early_access, free_shipping, perks, recalculation
from tiers.commands import tier, tiers
from tiers.operations import bring_tier
from tiers.queries import tier_at
from wallet_passes import queries as passes
from wallet_passes import rollouts
from wallet_passes.adding import routes as adding
from wallet_passes.apple import routes as apple_wallet
from wallet_passes.apple import telling, uploads
from wallet_passes.apple.operations import EFFECT as TELL_PHONES
from wallet_passes.commands import wallet
from wallet_passes.google import routes as google_wallet
from wallet_passes.google import telling as tell_google
from wallet_passes.google.operations import EFFECT as TELL_GOOGLE
from wallet_passes.google.queries import with_objects
from web import (
    api,
    edge,
    extensions_api,
    faces,
    flow,
    health,
    home,
    hooks,
    mailing,
    merchant,
    portal,
    referring,
    staff,
    storefront_api,
    wallet_images,
)
from web.mailing import operations as mailing_members
from web.mailing import testing as mail_tests
from web.mailing.rules import EVENTS as WORTH_A_MAIL
from web.merchant import mails as card_mails
from web.portal import mails as rewards_mails
from web.portal.entering import EFFECT as SEND_REWARDS_LINK
from webhooks import backfill as past
from webhooks import drain, products, upkeep, wishes
from webhooks import reconcile as reconciling
from webhooks.commands import backfill, inbox, reconcile
from webhooks.door import PATH, Door
from webhooks.inbox import Inbox
from webhooks.register import Register

# Work that starts on a hint. The sweep looks for what was missed.
# Each wallet has a worker of its own: what one of them can't take at once must not keep the other waiting. So has what
# goes through a shop's whole past: a reward that is being issued must not wait behind it.
HINTED: tuple[Hinted, ...] = (drain.HINT, *map(effects.hinted, (effects.QUEUE, "apple", "google", "import")))

# The one list of periodic work. Seconds between two starts.
PERIODIC: tuple[Periodic, ...] = (
    Periodic("reconcile recent orders", 600, "webhooks.jobs.reconcile"),
    Periodic("reconcile the orders of the last sixty days", 3600, "webhooks.jobs.sweep"),
    Periodic("read shops' plans", 86400, "shops.jobs.read_plans"),
    Periodic("keep tokens warm", 43200, "shops.jobs.warm_tokens"),
    Periodic("review lapsed tiers", 60, "tiers.jobs.review_lapsed"),
    Periodic("recalculate changed ladders", 30, "tiers.jobs.recalculate"),
    Periodic("reconcile perks", 86400, "tiers.jobs.reconcile_perks"),
    Periodic("release waiting points", 60, "webhooks.jobs.release_points"),
    Periodic("claim guest orders", 600, "webhooks.jobs.claim_guest_orders"),
    Periodic("celebrate birthdays and anniversaries", 600, "loyalty.activities.jobs.celebrate"),
    Periodic("give gifts", 10, "loyalty.activities.jobs.give_gifts"),
    Periodic("bring in imported members", 5, "loyalty.importing.jobs.bring_in"),
    Periodic("expire points", 60, "loyalty.expiry.jobs.expire"),
    Periodic("have cards follow what concerns all of them", rollouts.EVERY, "wallet_passes.jobs.roll_out"),
    Periodic("send messages to cards", 5, "wallet_passes.messages.jobs.send_messages"),
    Periodic("take messages off cards", 15, "wallet_passes.messages.jobs.end_messages"),
    Periodic("end rewards whose days are over", 300, "loyalty.rewards.jobs.expire"),
    Periodic("repair rewards", 600, "loyalty.rewards.jobs.repair"),
    Periodic("prune Google's callbacks", 3600, "wallet_passes.google.jobs.prune_callbacks"),
    Periodic("warn of certificates that expire", 86400, "wallet_passes.apple.jobs.warn_of_expiry"),
    Periodic("find tiers about to end", 3600, "tiers.jobs.find_ending"),
    Periodic("prune members' mails", 86400, "web.jobs.prune_mails"),
    Periodic("find members at risk", 3600, "loyalty.telling.jobs.find_at_risk"),
    Periodic("release referrals", 60, "referrals.jobs.release"),
    Periodic("end friends' claims", 300, "referrals.claims.jobs.expire"),
    Periodic("forget looks at friends' pages", 86400, "referrals.jobs.forget_looks"),
    Periodic("have partners' codes follow the program", 3600, "referrals.claims.jobs.stand_partners"),
    Periodic("close the month's commission", 3600, "referrals.payouts.jobs.close_month"),
    Periodic("pay waiting commission", 3600, "referrals.payouts.jobs.pay_waiting"),
    Periodic("prune Stripe's news", 86400, "referrals.payouts.jobs.prune_news"),
    Periodic("count shops' numbers", 60, "loyalty.jobs.count_numbers"),
    Periodic("prune the inbox", 3600, "webhooks.jobs.prune"),
    Periodic("prune exports", 86400, "loyalty.jobs.prune_exports"),
    Periodic("prune idempotency keys", 3600, "web.jobs.prune_idempotency_keys"),
)

# Milliseconds. A page that waits longer for the database fails, before it has taken a thread from the door.
WEB_STATEMENT_TIMEOUT = 4000

COMMANDS = (
    ledger,
    privacy,
    inbox,
    program,
    tier,
    tiers,
    shop,
    api_key,
    review_hook,
    wallet,
    payout_commands,
    reconcile,
    backfill,
)

# What may end a member's card.
LEAVING = ("member.merged", "member.closed", "member.erased")
# What changes which codes a member can use.
WAITING_REWARDS = (
    "reward.issued",
    "reward.used",
    "reward.kept",
    "reward.given_back",
    "reward.revoked",
    "reward.expired",
)
# How the taking back of a reward ends, and that one could not be made.
ENDING_REWARDS = ("reward.returned", "reward.used", "reward.kept", "reward.failed")
# What changes the code on a card that brings friends.
NEW_CODES = ("referral.code_chosen", "referral.code_retired")

QUEUES = (*(hinted.queue for hinted in HINTED), "periodic")


def wire() -> None:
    """Which effects follow which events, and which rooms have a say when a program is published."""
    effects.wire(INVITE_STAFF, staff_mails.send_invitation)
    effects.wire(SEND_REWARDS_LINK, rewards_mails.send_link)
    effects.wire(card_mails.EFFECT, card_mails.send_card_link)
    effects.wire("shopify.product", products.fetch_product)
    effects.wire(plans.EFFECT, plans.read)
    effects.wire(past.EFFECT, past.advance, queue="import")
    effects.wire(past.AWARD, past.award, queue="import")
    effects.wire(reconciling.EFFECT, reconciling.walk, queue="import")
    effects.wire(publishing.COUNT_POINTS, upkeep.count_points)
    effects.wire(rewards.EFFECT, issue)
    joining = ("tier.changed", "member.joined", "member.merged")
    effects.wire(perks.MEMBER_EFFECT, perks.equip, after=joining, patient=True)
    effects.wire(perks.POINTS_EFFECT, perks.equip, after=("points.posted",), delay=perks.POINTS_DELAY, patient=True)
    effects.wire(perks.SHOP_EFFECT, free_shipping.arrange)
    effects.wire(early_access.EFFECT, early_access.arrange)
    effects.wire(wishes.EFFECT, wishes.forget)
    effects.wire(PAY, paying.pay)
    effects.wire(ACCOUNT, payees.refresh)
    publishing.objections[:] = [recalculation.object_to_demotions]
    changes = ("points.posted", "points.expiring", "tier.changed", *WAITING_REWARDS, *NEW_CODES, *LEAVING)
    effects.wire_many(
        TELL_PHONES, telling.tell_many, after=changes, concern=passes.with_cards,
        queue="apple", size=telling.SIZE, lease=telling.LEASE,
    )  # fmt: skip
    effects.wire_many(TELL_GOOGLE, tell_google.tell_many, after=changes, concern=with_objects, queue="google")
    for channel, kind, handler in (
        (connections.FLOW, telling_others.FLOW_EFFECT, tell_flow),
        (connections.KLAVIYO, telling_others.KLAVIYO_EFFECT, tell_klaviyo),
    ):
        effects.wire(kind, handler, after=WORTH_TELLING, concern=telling_others.connected(channel), patient=True)
    effects.wire(mailing_members.EFFECT, mailing_members.send_mails, after=WORTH_A_MAIL, concern=mailing_members.wanted)
    effects.wire(mail_tests.EFFECT, mail_tests.send_test)
    effects.wire(referrals.EFFECT, referrals.settle)
    effects.wire(claims.EFFECT, friends.issue)
    effects.wire(partners.EFFECT, standing.stand)
    effects.wire(
        referrals.REWARD_EFFECT, referrals.follow_rewards, after=ENDING_REWARDS, concern=with_rewards_under_way
    )
    importing.give_tier[:] = [bring_tier]
    referrals.tier_at[:] = [lambda *asked: tier_at(*asked).key]
    counting.besides["cards"] = passes.live_at
    rotated[:] = [uploads.rotate_encryption, connections.rotate_encryption]
    installing.welcome[:] = [programs.publish_first, past.begin, plans.request]
    database().after_commit[:] = [effects.hint_after_commit]


def create_app(config: Settings | None = None) -> Flask:
    """The Flask application: pages, API, health and commands. The door stands before it, in `application`."""
    config = config or settings()
    logs.configure(config.log_level)
    wire()
    app = Flask(__name__)
    app.secret_key = config.secret_key.get_secret_value()
    i18n.init(app)
    if config.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=config.trusted_proxies, x_proto=0)  # type: ignore[method-assign]
    for face in (
        edge,
        faces,
        health,
        api,
        apple_wallet,
        google_wallet,
        adding,
        wallet_images,
        referring,
        mailing,
        staff,
        payouts,
        hooks,
        extensions_api,
        flow,
        storefront_api,
        portal,
        home,
        merchant,
    ):
        face.register(app)
    for command in (*COMMANDS, worker, clock, at_work):
        app.cli.add_command(command)
    return app


def create_door(config: Settings | None = None) -> Door:
    """The webhook door with its own connection to the database."""
    config = config or settings()
    inbox = Inbox(config.database_url, stored=jobs.Hinter(drain.HINT).ask)
    return Door(inbox, Register(config.database_url), config.webhook_secrets, config.webhook_body_limit)


class Application:
    """The WSGI callable: deliveries go to the door, everything else to Flask."""

    def __init__(self) -> None:
        self._flask = create_app()
        self._door = create_door()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == PATH:
            return self._door(environ, start_response)
        return self._flask(environ, start_response)


@click.command()
@click.argument("queue", required=False, type=click.Choice(QUEUES))
def worker(queue: str | None) -> None:
    """Work a QUEUE; without one, run a worker for each queue and restart any that dies."""
    if queue:
        jobs.work(queue)
    else:
        _supervise({name: [sys.executable, "-m", "flask", "--app", "app", "worker", name] for name in QUEUES})


def _supervise(commands: dict[str, list[str]]) -> None:
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, stop)
    children = {name: subprocess.Popen(command) for name, command in commands.items()}
    while not stopping:
        time.sleep(0.5)
        for name, child in children.items():
            if child.poll() is not None and not stopping:
                children[name] = subprocess.Popen(commands[name])
    for child in children.values():
        child.terminate()
    for child in children.values():
        child.wait()


@click.command()
def clock() -> None:
    """Start periodic work when it is due, and sweep up what no hint announced."""
    while True:
        try:
            jobs.sweep(HINTED)
            jobs.start_due(PERIODIC)
            jobs.beat()
        except Exception:
            # A database that is away for a while must not end the clock.
            logs.logger(__name__).exception("the clock missed a tick")
        time.sleep(settings().scheduler_tick)


@click.command("at-work")
@click.option("--patience", default=60.0, show_default=True, help="Seconds to wait at most.")
def at_work(patience: float) -> None:
    """Wait until every queue has a worker that takes a job, and the clock does its turns."""
    if missing := jobs.silent(QUEUES, patience):
        raise click.ClickException(f"nobody is at work yet: {', '.join(missing)}")


def __getattr__(name: str) -> Any:
    """`application` is made when a server asks for it, so that the command line starts without a door."""
    if name == "application":
        return _application()
    raise AttributeError(name)


@functools.cache
def _application() -> Application:
    os.environ.setdefault("STATEMENT_TIMEOUT", str(WEB_STATEMENT_TIMEOUT))
    i18n.load()
    return Application()
