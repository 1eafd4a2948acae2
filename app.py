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

from core import effects, jobs, logs
from core.config import Settings, settings
from core.db import database
from core.jobs import Hinted, Periodic
from loyalty.commands import ledger, privacy
from loyalty.publishing import operations as publishing
from loyalty.publishing.commands import program
from loyalty.rewards import operations as rewards
from loyalty.rewards.issue import issue
from shops.commands import api_key, review_hook, shop
from tiers import free_shipping, perks, recalculation
from tiers.commands import tier, tiers
from wallet_passes import queries as passes
from wallet_passes.apple import routes as apple_wallet
from wallet_passes.apple import telling
from wallet_passes.apple.operations import EFFECT as TELL_PHONES
from web import api, edge, health, home, hooks
from webhooks import drain, products, upkeep
from webhooks.commands import backfill, inbox, reconcile
from webhooks.door import PATH, Door
from webhooks.inbox import Inbox
from webhooks.register import Register

# Work that starts on a hint. The sweep looks for what was missed.
HINTED: tuple[Hinted, ...] = (drain.HINT, effects.HINT)

# The one list of periodic work. Seconds between two starts.
PERIODIC: tuple[Periodic, ...] = (
    Periodic("review lapsed tiers", 60, "tiers.jobs.review_lapsed"),
    Periodic("recalculate changed ladders", 30, "tiers.jobs.recalculate"),
    Periodic("reconcile perks", 86400, "tiers.jobs.reconcile_perks"),
    Periodic("release waiting points", 60, "webhooks.jobs.release_points"),
    Periodic("claim guest orders", 600, "webhooks.jobs.claim_guest_orders"),
    Periodic("celebrate birthdays and anniversaries", 600, "loyalty.activities.jobs.celebrate"),
    Periodic("give gifts", 10, "loyalty.activities.jobs.give_gifts"),
    Periodic("expire points", 60, "loyalty.expiry.jobs.expire"),
    Periodic("end rewards whose days are over", 300, "loyalty.rewards.jobs.expire"),
    Periodic("repair rewards", 600, "loyalty.rewards.jobs.repair"),
    Periodic("prune the inbox", 3600, "webhooks.jobs.prune"),
    Periodic("prune exports", 86400, "loyalty.jobs.prune_exports"),
    Periodic("prune idempotency keys", 3600, "web.jobs.prune_idempotency_keys"),
)

# Milliseconds. A page that waits longer for the database fails, before it has taken a thread from the door.
WEB_STATEMENT_TIMEOUT = 4000

COMMANDS = (ledger, privacy, inbox, program, tier, tiers, shop, api_key, review_hook, reconcile, backfill)

# What may end a member's card.
LEAVING = ("member.merged", "member.closed", "member.erased")

QUEUES = (*(hinted.queue for hinted in HINTED), "periodic")


def wire() -> None:
    """Which effects follow which events, and which rooms have a say when a program is published."""
    effects.wire("shopify.product", products.fetch_product)
    effects.wire(publishing.COUNT_POINTS, upkeep.count_points)
    effects.wire(rewards.EFFECT, issue)
    joining = ("tier.changed", "member.joined", "member.merged")
    effects.wire(perks.MEMBER_EFFECT, perks.equip, after=joining, patient=True)
    effects.wire(perks.POINTS_EFFECT, perks.equip, after=("points.posted",), delay=perks.POINTS_DELAY, patient=True)
    effects.wire(perks.SHOP_EFFECT, free_shipping.arrange)
    publishing.objections[:] = [recalculation.object_to_demotions]
    effects.wire(
        TELL_PHONES, telling.tell, after=("points.posted", "tier.changed", *LEAVING), concern=passes.with_cards
    )
    database().after_commit[:] = [effects.hint_after_commit]


def create_app(config: Settings | None = None) -> Flask:
    """The Flask application: pages, API, health and commands. The door stands before it, in `application`."""
    config = config or settings()
    logs.configure(config.log_level)
    wire()
    app = Flask(__name__)
    app.secret_key = config.secret_key.get_secret_value()
    for face in (edge, health, api, apple_wallet, hooks, home):
        face.register(app)
    for command in (*COMMANDS, worker, clock):
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
        except Exception:
            # A database that is away for a while must not end the clock.
            logs.logger(__name__).exception("the clock missed a tick")
        time.sleep(settings().scheduler_tick)


def __getattr__(name: str) -> Any:
    """`application` is made when a server asks for it, so that the command line starts without a door."""
    if name == "application":
        return _application()
    raise AttributeError(name)


@functools.cache
def _application() -> Application:
    os.environ.setdefault("STATEMENT_TIMEOUT", str(WEB_STATEMENT_TIMEOUT))
    return Application()
