"""Session tokens and token exchange, as Shopify's authorization server does them."""

import secrets
import time
import uuid
from typing import Any

import jwt

from sandbox.orders import Shop
from sandbox.world import World

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
OFFLINE = "urn:shopify:params:oauth:token-type:offline-access-token"
Answer = tuple[dict[str, Any], int]


class App:
    """The app's credentials as Shopify holds them."""

    def __init__(self, api_key: str, api_secret: str) -> None:
        self.api_key = api_key
        self.api_secret = api_secret

    def session_token(self, shop: Shop, user: int = 1, seconds: int = 60) -> str:
        """What App Bridge hands to the app's pages: HS256, valid for a minute."""
        now = int(time.time())
        claims = {
            "iss": f"https://{shop.domain}/admin",
            "dest": f"https://{shop.domain}",
            "aud": self.api_key,
            "sub": str(user),
            "exp": now + seconds,
            "nbf": now - 1,
            "iat": now,
            "jti": str(uuid.uuid4()),
            "sid": secrets.token_hex(32),
        }
        return jwt.encode(claims, self.api_secret, algorithm="HS256")

    def shopper_token(self, shop: Shop, customer_id: int | None, seconds: int = 300) -> str:
        """What a checkout or customer account extension is handed: no issuer, and a subject only when signed in."""
        now = int(time.time())
        claims = {"dest": shop.domain, "aud": self.api_key, "exp": now + seconds, "nbf": now - 1, "iat": now}
        subject = {"sub": f"gid://shopify/Customer/{customer_id}"} if customer_id else {}
        return jwt.encode({**claims, **subject, "jti": str(uuid.uuid4())}, self.api_secret, algorithm="HS256")

    def grant(self, world: World, shop: Shop, form: dict[str, Any]) -> Answer:
        """`POST /admin/oauth/access_token`: token exchange or refresh. Errors are OAuth's, with status 400 or 401."""
        if form.get("client_id") != self.api_key or form.get("client_secret") != self.api_secret:
            return refuse("invalid_client", "The client id or secret is wrong.", 401)
        if form.get("grant_type") == EXCHANGE:
            return self.exchange(world, shop, form)
        if form.get("grant_type") == "refresh_token":
            return refresh(world, shop, str(form.get("refresh_token")))
        return refuse("unsupported_grant_type", "Only token exchange and refresh_token are supported.")

    def exchange(self, world: World, shop: Shop, form: dict[str, Any]) -> Answer:
        if form.get("subject_token_type") != ID_TOKEN or form.get("requested_token_type") != OFFLINE:
            return refuse("invalid_request", "The sandbox store exchanges id tokens for offline access tokens only.")
        # Since April 2026 public apps must ask for tokens that expire.
        if str(form.get("expiring")) != "1":
            return refuse("invalid_request", "Non-expiring offline tokens are not supported: send expiring=1.")
        if not self.belongs(shop, str(form.get("subject_token"))):
            return refuse("invalid_subject_token", "The session token is not valid for this shop and app.")
        return world.issue_tokens(shop.domain), 200

    def belongs(self, shop: Shop, token: str) -> bool:
        try:
            claims = jwt.decode(
                token,
                self.api_secret,
                algorithms=["HS256"],
                audience=self.api_key,
                options={"require": ["exp", "nbf", "iss", "dest", "sub"]},
            )
        except jwt.InvalidTokenError:
            return False
        return (claims["dest"], claims["iss"]) == (f"https://{shop.domain}", f"https://{shop.domain}/admin")


def refresh(world: World, shop: Shop, token: str) -> Answer:
    """A refresh token buys one new pair and is spent."""
    with world.store.transaction():
        if world.install(shop.domain).refresh.get(token, 0) <= world.clock():
            return refuse("invalid_grant", "The refresh token is spent, expired or unknown.")
        return world.issue_tokens(shop.domain, spent_refresh=token), 200


def refuse(error: str, description: str, status: int = 400) -> Answer:
    return {"error": error, "error_description": description}, status
