"""Credentials and the address of the API: from arguments, else from the environment."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from vectorize_core import jsontext
from vectorize_core.errors import ConfigurationError
from vectorize_core.secret import Secret, hidden, is_sendable
from vectorize_core.transport.loopback import LOCAL_ACCOUNT, is_loopback

DEFAULT_BASE_URL = "https://api.cloudflare.com/client/v4"

ACCOUNT_VARIABLES = ("CLOUDFLARE_ACCOUNT_ID", "CF_ACCOUNT_ID")
TOKEN_VARIABLES = ("CLOUDFLARE_API_TOKEN", "CF_VECTORIZE_API_TOKEN", "CF_API_TOKEN")
KEY_VARIABLE, EMAIL_VARIABLE = "CLOUDFLARE_API_KEY", "CLOUDFLARE_EMAIL"
BASE_URL_VARIABLES = ("CLOUDFLARE_BASE_URL", "CLOUDFLARE_API_BASE_URL")

_EXAMPLE: Final = "http://localhost:8989/client/v4"
_LONG_ENOUGH: Final = 12
"""Characters of a header that no other text holds by chance. Tokens have 40, keys 37."""
Headers = Secret[Mapping[str, str]]
Environ = Secret[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account, the address of its API, and the headers that authorise a request.

    Pickles without the secret: the copy looks it up in the environment again.
    """

    account_id: str
    base_url: str = DEFAULT_BASE_URL
    headers: Headers = field(default_factory=lambda: Secret({}), repr=False, compare=False)

    @property
    def url(self) -> str:
        """The address of the account, which the paths of operations are appended to."""
        return f"{self.base_url}/accounts/{self.account_id}"

    def without_secrets(self, content: bytes | bytearray) -> bytes | bytearray:
        """What a server said, without the token or key, should it repeat what it was sent."""
        for secret in map(Secret, self.headers.reveal().values()):
            if len(secret.reveal()) >= _LONG_ENOUGH:
                sent = Secret(secret.reveal().removeprefix("Bearer "))
                content = content.replace(sent.reveal().encode(), b"***")
                content = content.replace(jsontext.dumps(sent.reveal())[1:-1], b"***")
        return content

    def text_without_secrets(self, text: str) -> str:
        """The same for a text."""
        return self.without_secrets(text.encode(errors="surrogatepass")).decode(
            errors="surrogatepass"
        )

    def headers_without_secrets(self, headers: Mapping[str, str]) -> dict[str, str] | None:
        """Headers of an answer, without what they repeat; None if they repeat nothing."""
        said = "\n".join(headers.values())
        if self.text_without_secrets(said) == said:
            return None
        return {name: self.text_without_secrets(value) for name, value in headers.items()}

    def __reduce__(self) -> tuple[object, ...]:
        find = partial(find_credentials, account_id=self.account_id, base_url=self.base_url)
        return find, ()


def find_credentials(
    *,
    account_id: str | None = None,
    api_token: str | Secret[str] | None = None,
    api_key: str | Secret[str] | None = None,
    email: str | None = None,
    base_url: str | Secret[str] | None = None,
    environ: Mapping[str, str] | Environ | None = None,
) -> Credentials:
    """The credentials of a client.

    A token is preferred to a key with an e-mail address; a loopback ``base_url`` needs neither.
    Raises `ConfigurationError` naming every argument and variable that was looked at. No variable
    of the functions here holds a secret in plain while one of them can raise.
    """
    api_token, api_key, base_url = hidden(api_token), hidden(api_key), hidden(base_url)
    environ = hidden(os.environ if environ is None else environ)
    base = _base_url(
        _stripped(base_url, "base_url=")
        or _first(environ, BASE_URL_VARIABLES)
        or _Given(DEFAULT_BASE_URL, "the default")
    )
    account = _stripped(hidden(account_id), "account_id=") or _first(environ, ACCOUNT_VARIABLES)
    headers = _headers(
        environ,
        _stripped(api_token, "api_token="),
        _stripped(api_key, "api_key="),
        _stripped(hidden(email), "email="),
    )
    if is_loopback(base):
        return Credentials(account.reveal() if account else LOCAL_ACCOUNT, base, headers)
    missing = []
    if not account:
        missing.append(f"an account id: account_id= or {' or '.join(ACCOUNT_VARIABLES)}")
    if not headers:
        missing.append(
            f"an API token: api_token= or {' or '.join(TOKEN_VARIABLES)} (or api_key= and email=, "
            f"or {KEY_VARIABLE} and {EMAIL_VARIABLE})"
        )
    if missing or not account:
        # A binding that env has not is None, which a store takes for no binding.
        instead = (
            "In a Worker, give a store binding=env.VECTORIZE; it is None if wrangler.jsonc names "
            "no such binding"
            if sys.platform == "emscripten"
            else "To work without an account, use path=':memory:' or a directory"
        )
        raise ConfigurationError(
            f"Cloudflare credentials are missing: {'; '.join(missing)}. {instead}"
        )
    return Credentials(account.reveal(), base, headers)


def _headers(
    environ: Environ,
    api_token: _Given | None,
    api_key: _Given | None,
    email: _Given | None,
) -> Headers:
    address = email or _first(environ, (EMAIL_VARIABLE,))
    if api_key and not api_token:
        if not address:
            raise ConfigurationError(f"api_key= goes with email= or {EMAIL_VARIABLE}")
        return _key_headers(api_key, address)
    token = api_token or _first(environ, TOKEN_VARIABLES)
    if token:
        _check_sendable(token, "token")
        return Secret({"Authorization": f"Bearer {token.reveal()}"})
    key = _first(environ, (KEY_VARIABLE,))
    return _key_headers(key, address) if key and address else Secret({})


def _key_headers(key: _Given, address: _Given) -> Headers:
    _check_sendable(address, "e-mail address")
    _check_sendable(key, "API key")
    return Secret({"X-Auth-Email": address.reveal(), "X-Auth-Key": key.reveal()})


def _check_sendable(value: _Given, what: str) -> None:
    # httpx would refuse it too, but its error would show the secret.
    if not is_sendable(value.reveal()):
        raise ConfigurationError(
            f"the {what} has a space or a character that no header can hold; it comes from "
            f"{value.origin}"
        )


class _Given(Secret[str]):
    """What was given, and the argument or variable that held it."""

    __slots__ = ("origin",)

    def __init__(self, value: str, origin: str) -> None:
        super().__init__(value)
        self.origin = origin


def _first(environ: Environ, names: tuple[str, ...]) -> _Given | None:
    given = (_stripped(hidden(environ.reveal().get(name)), name) for name in names)
    return next(filter(None, given), None)


def _stripped(value: Secret[str] | None, origin: str) -> _Given | None:
    """``value`` without the line break that values from files and shells often end with, if any."""
    return _Given(value.reveal().strip(), origin) if value and value.reveal().strip() else None


def _base_url(given: _Given) -> str:
    origin = given.origin if given.origin in BASE_URL_VARIABLES else None
    return checked_address(given, _EXAMPLE, "api_token=", origin)


def checked_address(
    given: Secret[str], example: str, instead: str, origin: str | None = None
) -> str:
    """A base URL, without a slash at its end, or an error that shows no password of it.

    ``instead`` is the argument that takes secrets, ``origin`` the variable that the URL is of.
    """
    if wrong := _what_is_wrong(given.reveal(), example, instead):
        raise ConfigurationError(wrong if origin is None else f"{wrong}. It comes from {origin}")
    scheme, _, rest = given.reveal().partition(":")
    # What decides about TLS compares the scheme as it is.
    return f"{scheme.lower()}:{rest.rstrip('/')}"


def _what_is_wrong(url: str, example: str, instead: str) -> str | None:
    """What is wrong with a base URL, in words that show no password; raises nothing."""
    if may_hold_password(url):
        return (
            f"base_url must not hold a user or password, nor an @ at all; use {instead}. It is an "
            f"http or https address, such as {example}"
        )
    shown = shown_address(url)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return f"base_url is no valid address, its host is none or its port no number: {shown}"
    if parts.scheme not in ("http", "https") or not host:
        return f"base_url must be an http or https address, such as {example}; got {shown}"
    if "?" in url or "#" in url or not url.isprintable() or " " in url:
        return f"base_url must be an address without spaces, ? and #; got {shown}"
    return None


def may_hold_password(url: str) -> bool:
    """Whether there is an @ in ``url``, also an encoded one: a password may stand before it."""
    return _AT.search(url) is not None


def shown_address(url: str) -> str:
    """An address as an error shows it: without what may be a secret in it."""
    if may_hold_password(url):
        return "an address with a user or password"
    place, *hidden_part = re.split("[?#]", url, maxsplit=1)
    scheme, separator, rest = place.rpartition("://")
    authority, slash, path = rest.partition("/")
    if not (separator or slash or ":" in authority or "." in authority):
        return "a word without a scheme"
    found = _HOST.match(authority)
    host = "" if found is None else found[0]
    if host != authority:
        # Where a port should be may stand a password, if the @ after it was forgotten.
        return repr(f"{scheme}{separator}{host}***")
    return repr(f"{scheme}{separator}{host}{slash}{path}{'?***' if hidden_part else ''}")


_AT: Final = re.compile("@|%(?:25)*40|\N{FULLWIDTH COMMERCIAL AT}|\N{SMALL COMMERCIAL AT}")
_HOST: Final = re.compile(r"(?:\[[0-9a-fA-F:.]*\]?|[^:\[\]]*)(?::(?:\d{1,5}$|$))?")
