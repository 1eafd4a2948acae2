"""Google as one piece: its API, its wallet and its callbacks, with the account of one folder."""

from dataclasses import dataclass
from pathlib import Path

from flask import Flask, Request

from sandbox.google import account as accounts
from sandbox.google.account import Account
from sandbox.google.api import Door, Quota, Tokens, api
from sandbox.google.callbacks import Callbacks
from sandbox.google.faults import Faults
from sandbox.google.images import Images
from sandbox.google.pages import pages
from sandbox.google.wallet import Wallet
from sandbox.store import Store


@dataclass
class Google:
    """`door.calls` counts calls by method; `faults`, `quota`, `tokens` and `callbacks` are for tests to turn."""

    account: Account
    wallet: Wallet
    door: Door
    tokens: Tokens
    faults: Faults
    callbacks: Callbacks
    images: Images

    @property
    def quota(self) -> Quota:
        return self.door.quota

    def url(self, request: Request) -> str:
        return request.host_url.rstrip("/")

    def mount(self, app: Flask) -> None:
        """Give an app the API and the pages."""
        app.extensions["google"] = self
        app.register_blueprint(api)
        app.register_blueprint(pages)

    def close(self) -> None:
        self.callbacks.close()
        self.images.close()


def start(folder: Path, store: Store) -> Google:
    """The account is made in `folder` when there is none."""
    account = accounts.account(folder)
    callbacks, images, faults = Callbacks(account.issuer, account.root()), Images(store), Faults()
    wallet = Wallet(store, account.issuer, images, callbacks)
    tokens = Tokens(account.key().public_key())
    return Google(account, wallet, Door(wallet, faults, Quota()), tokens, faults, callbacks, images)
