"""Credentials and the address of the API: from arguments, else from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit

from vectorize_core.errors import ConfigurationError
from vectorize_core.transport.loopback import LOCAL_ACCOUNT, is_loopback

DEFAULT_BASE_URL = "https://api.cloudflare.com/client/v4"

ACCOUNT_VARIABLES = ("CLOUDFLARE_ACCOUNT_ID", "CF_ACCOUNT_ID")
TOKEN_VARIABLES = ("CLOUDFLARE_API_TOKEN", "CF_VECTORIZE_API_TOKEN", "CF_API_TOKEN")
KEY_VARIABLE, EMAIL_VARIABLE = "CLOUDFLARE_API_KEY", "CLOUDFLARE_EMAIL"
BASE_URL_VARIABLES = ("CLOUDFLARE_BASE_URL", "CLOUDFLARE_API_BASE_URL")


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account, the address of its API, and the headers that authorise a request.

    Pickles without the secret: the copy looks it up in the environment again.
    """

    account_id: str
    base_url: str = DEFAULT_BASE_URL
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def url(self) -> str:
        """The address of the account, which the paths of operations are appended to."""
        return f"{self.base_url}/accounts/{self.account_id}"

    def __reduce__(self) -> tuple[object, ...]:
        find = partial(find_credentials, account_id=self.account_id, base_url=self.base_url)
        return find, ()


def find_credentials(
    *,
    account_id: str | None = None,
    api_token: str | None = None,
    api_key: str | None = None,
    email: str | None = None,
    base_url: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Credentials:
    """The credentials of a client.

    A token is preferred to a key with an e-mail address; a loopback ``base_url`` needs neither.
    Raises `ConfigurationError` naming every argument and variable that was looked at.
    """
    environ = os.environ if environ is None else environ
    base = _base_url(_stripped(base_url) or _first(environ, BASE_URL_VARIABLES) or DEFAULT_BASE_URL)
    account = _stripped(account_id) or _first(environ, ACCOUNT_VARIABLES)
    headers = _headers(environ, api_token, api_key, email)
    if is_loopback(base):
        return Credentials(account or LOCAL_ACCOUNT, base, headers)
    missing = []
    if not account:
        missing.append(f"an account id: account_id= or {' or '.join(ACCOUNT_VARIABLES)}")
    if not headers:
        missing.append(
            f"an API token: api_token= or {' or '.join(TOKEN_VARIABLES)} (or api_key= and email=, "
            f"or {KEY_VARIABLE} and {EMAIL_VARIABLE})"
        )
    if missing or not account:
        raise ConfigurationError(
            f"Cloudflare credentials are missing: {'; '.join(missing)}. "
            "To work without an account, use path=':memory:' or a directory"
        )
    return Credentials(account, base, headers)


def _headers(
    environ: Mapping[str, str], api_token: str | None, api_key: str | None, email: str | None
) -> dict[str, str]:
    api_token, api_key, email = _stripped(api_token), _stripped(api_key), _stripped(email)
    address = email or _first(environ, (EMAIL_VARIABLE,))
    if api_key and not api_token:
        if not address:
            raise ConfigurationError(f"api_key= goes with email= or {EMAIL_VARIABLE}")
        return _key_headers(api_key, address)
    token = api_token or _first(environ, TOKEN_VARIABLES)
    if token:
        return {"Authorization": f"Bearer {_sendable(token, 'token')}"}
    key = _first(environ, (KEY_VARIABLE,))
    return _key_headers(key, address) if key and address else {}


def _key_headers(key: str, address: str) -> dict[str, str]:
    return {
        "X-Auth-Email": _sendable(address, "e-mail address"),
        "X-Auth-Key": _sendable(key, "API key"),
    }


def _sendable(value: str, what: str) -> str:
    # httpx would refuse it too, but its error would show the secret.
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ConfigurationError(f"the {what} has a space or a character that no header can hold")
    return value


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next(filter(None, (_stripped(environ.get(name)) for name in names)), None)


def _stripped(value: str | None) -> str | None:
    # Values from files and shells often end with a line break.
    return value.strip() if value is not None else None


def _base_url(url: str) -> str:
    # What is wrong may hold a password, so the address is shown only when it cannot.
    shown = repr(url) if "@" not in url else "one with a user or password"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(f"base_url is no valid address, {shown}: {error}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigurationError(
            "base_url must be an http or https address, such as http://localhost:8989/client/v4; "
            f"got {shown}"
        )
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("base_url must not hold a user or password; use api_token=")
    if parts.query or parts.fragment or not url.isprintable() or " " in url:
        raise ConfigurationError(
            f"base_url must be an address without spaces, ? and #; got {shown}"
        )
    return url.rstrip("/")
