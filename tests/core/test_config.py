"""Production refuses to start half configured, and never says a secret aloud."""

import pytest
from cryptography.fernet import Fernet

from core.config import Settings, SettingsError, load

SAFE = {
    "rapport_env": "production",
    "secret_key": "a-long-and-random-secret-key",
    "encryption_keys": Fernet.generate_key().decode(),
    "shopify_api_key": "0123456789abcdef",
    "shopify_api_secret": "another-long-random-secret",
}


def test_production_starts_with_real_secrets() -> None:
    assert load(_env_file=None, **SAFE).rapport_env == "production"


@pytest.mark.parametrize("missing", ["secret_key", "encryption_keys", "shopify_api_key", "shopify_api_secret"])
def test_production_refuses_a_missing_secret(missing: str) -> None:
    with pytest.raises(SettingsError, match=missing.upper()):
        load(_env_file=None, **{name: value for name, value in SAFE.items() if name != missing})


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret_key": "short"},
        {"secret_key": SAFE["shopify_api_secret"]},  # a cookie's signature could pass as a webhook's
        {"shopify_api_secret_old": "development-api-secret"},
        {"shopify_api_secret_old": "x"},
        {"shopify_api_secret_old": SAFE["secret_key"]},
        {"encryption_keys": "no-fernet-key-but-quite-long"},
        {"encryption_keys": SAFE["encryption_keys"] + ",ZGV2ZWxvcG1lbnQtb25seS1lbmNyeXB0aW9uLWtleSE="},
        {"demo_shop": "rapport-demo.myshopify.com"},
        {"sandbox_url": "http://127.0.0.1:1"},
    ],
)
def test_production_refuses_what_is_for_development(wrong: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as refused:
        load(_env_file=None, **SAFE | wrong)
    assert SAFE["shopify_api_secret"] not in str(refused.value)


def test_both_secrets_count_during_a_rotation() -> None:
    both = Settings(_env_file=None, shopify_api_secret="new", shopify_api_secret_old="old")  # type: ignore[call-arg]
    assert both.webhook_secrets == (b"new", b"old")


def test_settings_are_a_key_of_caches() -> None:
    some, same, other = (Settings(_env_file=None, smtp_port=port) for port in (25, 25, 587))  # type: ignore[call-arg]
    assert len({some, same, other}) == 2
