"""Settings: everything that differs between two places Rapport runs, read once from the environment.

The names are listed with their meaning in `.env.example`. In production a missing or default secret stops the start.
"""

import base64
import functools
from pathlib import Path
from typing import Literal, Self

from cryptography.fernet import Fernet
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableSetting

DEVELOPMENT_PREFIX = "development-"


class PlanTerms(BaseModel):
    """What one of an operator's plans brings: how many members it is meant for, and which features it leaves out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    members: int | None = Field(default=None, gt=0)
    without: tuple[str, ...] = ()


class Settings(BaseSettings):
    """One field per environment variable. Durations are seconds, sizes are bytes."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True)

    rapport_env: Literal["development", "production"] = "development"
    rapport_state: Path = Path(".rapport")
    app_url: str = "http://127.0.0.1:5000"
    log_level: str = "INFO"

    database_url: str = "postgresql://postgres@127.0.0.1:5432/rapport"
    # Milliseconds a statement may take, 0 for no end. The web process sets one: people wait behind it.
    statement_timeout: int = 0
    redis_url: str = "redis://127.0.0.1:6379/0"

    secret_key: SecretStr = SecretStr("development-secret-key")
    # Newest first: the first encrypts, all decrypt. Fernet keys (32 url-safe base64 bytes).
    encryption_keys: SecretStr = SecretStr("ZGV2ZWxvcG1lbnQtb25seS1lbmNyeXB0aW9uLWtleSE=")

    shopify_api_key: str = "development-api-key"
    shopify_api_secret: SecretStr = SecretStr("development-api-secret")
    shopify_api_secret_old: SecretStr = SecretStr("")
    shopify_api_version: str = "2026-10"
    # The app's handle in Shopify's Dev Dashboard: the address of its page of plans.
    shopify_app_handle: str = "rapport"
    # What each plan brings, by its handle; see PlanTerms. Empty: every plan brings everything.
    plans: dict[str, PlanTerms] = {}
    # Where a shop's own host answers; the sandbox gives every shop a path on its loopback port.
    shopify_store_url: str = "https://{shop}"
    # The script that embedded pages speak with the admin by; Shopify asks that it be loaded from its own CDN.
    shopify_app_bridge_url: str = "https://cdn.shopify.com/shopifycloud/app-bridge.js"

    # PEM files. The certificate itself names the pass type and the team; without one there are no Apple passes.
    apple_certificate: Path | None = None
    apple_key: Path | None = None
    apple_key_password: SecretStr = SecretStr("")
    apple_wwdr: Path | None = None
    apple_push_url: str = "https://api.push.apple.com"
    # Whom to believe that it is Apple's push service; the machine's own list when empty.
    apple_push_ca: Path | None = None

    # Cards a second and shop that a change to all of them is rolled out to: each phone then fetches its card.
    wallet_rollout_rate: int = Field(default=100, gt=0)

    # The key file of a service account that the issuer lets in; without one there are no Google passes.
    google_wallet_account: Path | None = None
    google_wallet_issuer: str = ""
    google_wallet_url: str = "https://walletobjects.googleapis.com"
    google_save_url: str = "https://pay.google.com/gp/v/save"
    # Where the keys are that Google signs its callbacks with.
    google_keys_url: str = "https://pay.google.com/gp/m/issuer/keys"

    # Pays commission out through Stripe Connect; without a key there are no payouts.
    stripe_secret_key: SecretStr = SecretStr("")
    # With commas between them: Stripe signs what it tells of our account and of payees' accounts with one each.
    stripe_webhook_secrets: SecretStr = SecretStr("")
    stripe_url: str = "https://api.stripe.com"

    klaviyo_url: str = "https://a.klaviyo.com"

    # Sends mail; without a host and an address to send from there is none.
    smtp_host: str = ""
    smtp_port: int = Field(default=587, gt=0)
    smtp_user: str = ""
    smtp_password: SecretStr = SecretStr("")
    # `starttls` (usual at 587), `tls` from the first byte (465), or `none` for a server on this machine.
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    mail_from: str = ""

    # How many proxies stand before us and append to X-Forwarded-For; what others say in it is not believed.
    trusted_proxies: int = Field(default=0, ge=0)
    webhook_body_limit: int = 4 * 1024 * 1024
    inbox_retention_days: int = 14

    # The demo shop's domain: set by `make run`, it opens the live view on the home page. Never in production.
    demo_shop: str = ""
    sandbox_url: str = ""

    scheduler_tick: float = Field(default=1.0, gt=0)

    def __hash__(self) -> int:
        """They are a key of caches, so what can't be hashed among them takes no part."""
        return hash(tuple(value for value in self.__dict__.values() if not isinstance(value, dict)))

    @property
    def webhook_secrets(self) -> tuple[bytes, ...]:
        """The app's current and, during a rotation, previous secret. Shopify signs with either for a while."""
        both = (self.shopify_api_secret.get_secret_value(), self.shopify_api_secret_old.get_secret_value())
        return tuple(secret.encode() for secret in both if secret)

    @model_validator(mode="after")
    def refuse_development_secrets_in_production(self) -> Self:
        if self.rapport_env != "production":
            return self
        for name in ("secret_key", "shopify_api_secret", "shopify_api_secret_old"):
            self._refuse_weak(name)
        for key in self.encryption_keys.get_secret_value().split(","):
            _refuse_no_fernet_key(key.strip())
        if self.secret_key.get_secret_value().encode() in self.webhook_secrets:
            raise ValueError("SECRET_KEY must differ from SHOPIFY_API_SECRET: a signed cookie could pass as a webhook")
        if self.shopify_api_key.startswith(DEVELOPMENT_PREFIX):
            raise ValueError("SHOPIFY_API_KEY is missing; set the app's client id in production")
        if self.stripe_secret_key.get_secret_value() and not self.stripe_webhook_secrets.get_secret_value():
            raise ValueError("STRIPE_WEBHOOK_SECRETS is missing: nobody would hear who can be paid")
        if self.demo_shop or self.sandbox_url:
            raise ValueError("DEMO_SHOP and SANDBOX_URL are for development only")
        return self

    def _refuse_weak(self, name: str) -> None:
        value = getattr(self, name).get_secret_value()
        if name == "shopify_api_secret_old" and not value:
            return
        if value.startswith(DEVELOPMENT_PREFIX) or len(value) < 16:
            raise ValueError(f"{name.upper()} is missing or a development default; set a real one in production")


def _refuse_no_fernet_key(key: str) -> None:
    try:
        if b"development" not in base64.urlsafe_b64decode(key) and Fernet(key):
            return
    except ValueError:
        pass
    raise ValueError("ENCRYPTION_KEYS is missing, a development default, or holds what is no Fernet key")


class SettingsError(SystemExit):
    """The environment is incomplete; the message names each variable and what is wrong with it."""


def load(**overrides: object) -> Settings:
    """Read the environment (and `.env`). Raises SettingsError with one line per fault, never echoing a value."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        faults = [f"  {'.'.join(map(str, e['loc'])).upper() or 'settings'}: {e['msg']}" for e in error.errors()]
        raise SettingsError("Rapport can't start:\n" + "\n".join(faults)) from None
    except UnreadableSetting as error:
        raise SettingsError(f"Rapport can't start:\n  {error}") from None


@functools.cache
def settings() -> Settings:
    """The process's settings, read at first use."""
    return load()
