"""Tokens at rest: encrypted, readable after a key rotation, never readable without a key."""

import pytest
from cryptography.fernet import Fernet

from core import config, crypto

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch):
    def use(*listed: str) -> None:
        chosen = config.Settings(_env_file=None, encryption_keys=",".join(listed))  # type: ignore[call-arg]
        monkeypatch.setattr(crypto, "settings", lambda: chosen)

    return use


def test_a_rotation_keeps_every_token_readable(keys) -> None:
    keys(OLD)
    sealed = crypto.encrypt("shop-token")
    keys(NEW, OLD)
    assert crypto.decrypt(sealed) == "shop-token"
    rotated = crypto.rotate(sealed)
    keys(NEW)
    assert crypto.decrypt(rotated) == "shop-token"
    with pytest.raises(crypto.UndecipherableSecret):
        crypto.decrypt(sealed)
    with pytest.raises(crypto.UndecipherableSecret):
        crypto.rotate(sealed)


def test_the_same_secret_never_looks_the_same_twice(keys) -> None:
    keys(NEW)
    assert crypto.encrypt("x") != crypto.encrypt("x")
    assert b"shop-token" not in crypto.encrypt("shop-token")


def test_a_blind_index_is_stable_and_keyed(monkeypatch: pytest.MonkeyPatch) -> None:
    first = crypto.blind_index("customer:7")
    assert first == crypto.blind_index("customer:7") != crypto.blind_index("customer:8")
    other = config.Settings(_env_file=None, secret_key="another")  # type: ignore[call-arg]
    monkeypatch.setattr(crypto, "settings", lambda: other)
    assert crypto.blind_index("customer:7") != first
