"""The service account that speaks for us with Google: its access token, and what it signs.

The key file is read once per process. Source: https://developers.google.com/identity/protocols/oauth2/service-account
"""

import functools
import json
import threading
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

import google.auth.jwt
import httpx
from google.auth import exceptions, transport
from google.oauth2.service_account import Credentials

from core.config import Settings, settings
from core.errors import NotFound, RapportError, Unavailable

SCOPE = "https://www.googleapis.com/auth/wallet_object.issuer"
# Two that began at once would each fetch tokens.
_loading = threading.Lock()
TIMEOUT = httpx.Timeout(8, connect=4)  # seconds


class NotSetUp(NotFound):
    """This installation makes no Google passes."""

    code = "no_google_wallet"


class BadAccount(RapportError):
    """The service account can't be used; the sentence says what is wrong with it."""

    status = HTTPStatus.BAD_GATEWAY
    code = "bad_google_account"


class GoogleAway(Unavailable):
    """Google gave no answer that says what was done; everything we ask of it can be asked again."""

    code = "google_unavailable"

    def __init__(self, detail: str, retry_after: int = Unavailable.retry_after) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Account:
    """A service account. Safe to share among threads: whoever needs a token waits for the one who fetches it."""

    def __init__(self, issuer: str, credentials: Credentials) -> None:
        self.issuer = issuer
        self.email: str = credentials.service_account_email
        self._credentials = credentials
        self._lock = threading.Lock()
        self._ask = _Ask(httpx.Client(timeout=TIMEOUT))

    def token(self, *, instead_of: str | None = None) -> str:
        """An access token that lives for a while yet, and is not the one that was just refused.

        Raises BadAccount when Google does not know the account, GoogleAway when it does not answer.
        """
        with self._lock:
            if not self._credentials.valid or self._credentials.token == instead_of:
                self._refresh()
            return str(self._credentials.token)

    def _refresh(self) -> None:
        try:
            self._credentials.refresh(self._ask)
        except exceptions.GoogleAuthError as error:
            if error.retryable or isinstance(error, exceptions.TransportError):
                raise GoogleAway("Google does not answer; try again in a moment") from None
            raise BadAccount(f"Google does not let our service account in: {str(error.args[0])[:200]}") from None

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A JWT of these claims, RS256."""
        signed: bytes = google.auth.jwt.encode(self._credentials.signer, claims)
        return signed.decode()


class _Answer(NamedTuple):
    """As `google.auth.transport.Response` demands."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class _Ask(transport.Request):
    """How google-auth speaks HTTP: through the library that the rest of us uses, and with an end to its patience."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Any = None,
        timeout: Any = None,
        **_: Any,
    ) -> _Answer:
        try:
            answer = self._client.request(method, url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise exceptions.TransportError(error) from error
        return _Answer(answer.status_code, answer.headers, answer.content)


def is_set_up() -> bool:
    """Whether this installation means to make Google passes, well or badly."""
    return settings().google_wallet_account is not None


def current() -> Account:
    """The installation's account. Raises NotSetUp or BadAccount."""
    with _loading:
        return _loaded(settings())


@functools.lru_cache(maxsize=2)
def _loaded(config: Settings) -> Account:
    if config.google_wallet_account is None:
        raise NotSetUp("Google Wallet is not set up here")
    if not config.google_wallet_issuer.isdigit():
        raise BadAccount("GOOGLE_WALLET_ISSUER is not an issuer id, which has digits only")
    try:
        told = json.loads(config.google_wallet_account.read_bytes())
        credentials = Credentials.from_service_account_info(told, scopes=[SCOPE])
    except OSError as error:
        raise BadAccount(f"{config.google_wallet_account.name} can't be read: {error.strerror}") from None
    except (ValueError, AttributeError, TypeError, exceptions.GoogleAuthError):
        # What the library says may hold parts of the key.
        raise BadAccount(f"{config.google_wallet_account.name} is not the key file of a service account") from None
    return Account(config.google_wallet_issuer, credentials)
