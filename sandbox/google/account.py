"""Who an installation is to Google: an issuer, the service account that may speak for it, and Google's own keys.

Made once and kept in a folder; good on this machine alone.
"""

import json
import os
import secrets
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

EMAIL = "loyalty@rapport-sandbox.example"
TOKEN_PATH = "/google/token"
SAVE_PATH = "/gp/v/save"
KEYS_PATH = "/gp/m/issuer/keys"


class Account(NamedTuple):
    """A folder with the key file of the service account, the issuer's id and the root key of Google's callbacks."""

    folder: Path

    @property
    def key_file(self) -> Path:
        return self.folder / "account.json"

    @property
    def issuer(self) -> str:
        return (self.folder / "issuer").read_text()

    def read(self) -> dict[str, Any]:
        """What the key file says."""
        told: dict[str, Any] = json.loads(self.key_file.read_text())
        return told

    def key(self) -> RSAPrivateKey:
        key = load_pem_private_key(self.read()["private_key"].encode(), None)
        assert isinstance(key, RSAPrivateKey)
        return key

    def root(self) -> EllipticCurvePrivateKey:
        """What the keys are signed with that sign callbacks."""
        key = load_pem_private_key((self.folder / "callbacks.pem").read_bytes(), None)
        assert isinstance(key, EllipticCurvePrivateKey)
        return key

    def settings(self, url: str) -> dict[str, str]:
        """What an installation is told to use a Google at `url`: environment variables."""
        told = self.read()
        if told["token_uri"] != url + TOKEN_PATH:
            _write(self.key_file, json.dumps(told | {"token_uri": url + TOKEN_PATH}, indent=2))
        return {
            "GOOGLE_WALLET_ACCOUNT": str(self.key_file),
            "GOOGLE_WALLET_ISSUER": self.issuer,
            "GOOGLE_WALLET_URL": url,
            "GOOGLE_SAVE_URL": url + SAVE_PATH,
            "GOOGLE_KEYS_URL": url + KEYS_PATH,
        }


def account(folder: Path) -> Account:
    """The account under a folder, made if there is none yet."""
    found = Account(folder)
    if not all(path.exists() for path in (found.key_file, folder / "issuer", folder / "callbacks.pem")):
        shutil.rmtree(folder, ignore_errors=True)
        draft = folder.with_name(f"{folder.name}.{os.getpid()}")
        draft.mkdir(parents=True, mode=0o700)
        _make(draft)
        draft.rename(folder)
    return found


def _make(folder: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    told = {
        "type": "service_account",
        "project_id": "rapport-sandbox",
        "private_key_id": secrets.token_hex(20),
        "private_key": pem(key).decode(),
        "client_email": EMAIL,
        "client_id": str(secrets.randbelow(9 * 10**20) + 10**20),
        "token_uri": "",
    }
    _write(folder / "account.json", json.dumps(told, indent=2))
    _write(folder / "issuer", f"33880000{secrets.randbelow(10**11):011d}")
    _write(folder / "callbacks.pem", pem(ec.generate_private_key(ec.SECP256R1())).decode())


def pem(key: RSAPrivateKey | EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, text: str) -> None:
    """In one step, readable by its owner only."""
    draft = path.with_suffix(".new")
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(path)
