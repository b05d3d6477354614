"""What the environment says of the way to the server: proxies and certificates.

httpx would read the same variables, but fails without naming them, tries proxies that NO_PROXY
excludes, and asks a proxy for a server on this machine.
"""

from __future__ import annotations

import os
import ssl
from base64 import b64encode
from dataclasses import dataclass, field
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from vectorize_core.errors import ConfigurationError
from vectorize_core.secret import Secret
from vectorize_core.transport.loopback import is_loopback

_SCHEMES: Final = ("http", "https", "socks5", "socks5h")
_CERTIFICATES: Final = {"SSL_CERT_FILE": "file", "SSL_CERT_DIR": "directory"}


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, and the variable that names it. Its text has no user and no password."""

    url: Secret[httpx.URL] = field(repr=False)
    variable: str

    def __str__(self) -> str:
        return f"the proxy {_without_secrets(self.url.reveal())} ({self.variable})"

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine."""
        return is_loopback(str(self.url.reveal()))

    @property
    def headers(self) -> Secret[dict[str, str]]:
        """What it is sent that nobody may see."""
        user, password = Secret(self.url.reveal().username), Secret(self.url.reveal().password)
        if not password:
            return Secret({})
        basic = Secret(b64encode(f"{user.reveal()}:{password.reveal()}".encode()))
        return Secret({"basic": basic.reveal().decode(), "password": password.reveal()})

    def for_httpx(self) -> httpx.Proxy:
        """The same for a transport of httpx, where it shows nothing either."""
        return _HiddenProxy(self.url.reveal())


class _HiddenProxy(httpx.Proxy):
    def __repr__(self) -> str:
        return f"Proxy({str(self.url)!r})"

    @property
    def raw_auth(self) -> tuple[bytes, bytes] | None:
        # httpcore logs that of a SOCKS proxy.
        found = super().raw_auth
        return None if found is None else (_HiddenBytes(found[0]), _HiddenBytes(found[1]))


class _HiddenBytes(bytes):
    def __repr__(self) -> str:
        return "b'***'"


def find_proxy(base_url: str) -> Proxy | None:
    """The proxy for a server, if there is one: none for this machine, and what NO_PROXY covers.

    Raises `ConfigurationError` if it cannot be used.
    """
    found = None if is_loopback(base_url) else _of_environment(base_url)
    return None if found is None else _proxy(*found)


def check_injected(base_url: str, client: httpx.Client | httpx.AsyncClient | None) -> None:
    """`ConfigurationError` if a client of the user's would ask a proxy for this machine.

    A client of httpx takes the proxies of the environment for all servers, so the proxy would get
    the token. One that was given a proxy, or a transport, is meant to use that.
    """
    if client is None or not is_loopback(base_url) or not getattr(client, "trust_env", False):
        return
    # NO_PROXY may have come after the client.
    found = _named(urlsplit(base_url).scheme, getproxies())
    if found is not None and _asked(client, base_url) == _host_and_port(found[0].reveal()):
        raise ConfigurationError(
            f"the httpx client that was given asks the proxy of {found[1]} also for servers on "
            "this machine, and would send it the token: make it with trust_env=False, or name "
            f"{urlsplit(base_url).hostname} in NO_PROXY before it is made"
        )


def _of_environment(base_url: str) -> tuple[Secret[str], str] | None:
    """The address of the proxy for a server, and the variable that names it."""
    parts, proxies = urlsplit(base_url), getproxies()
    found = _named(parts.scheme, proxies)
    if found is None or _is_excluded(parts.scheme, parts.hostname or "", parts.netloc, proxies):
        return None
    return found


def _named(scheme: str, proxies: dict[str, str]) -> tuple[Secret[str], str] | None:
    scheme = scheme if proxies.get(scheme) else "all"
    given = proxies.get(scheme)
    return (Secret(given), _variable(f"{scheme}_proxy", given)) if given else None


def _asked(client: httpx.Client | httpx.AsyncClient, base_url: str) -> tuple[str, int | None]:
    """Host and port of the proxy that a client of httpx asks for ``base_url``; else empty."""
    find = getattr(client, "_transport_for_url", lambda _: None)
    url = getattr(getattr(find(httpx.URL(base_url)), "_pool", None), "_proxy_url", None)
    return ("", None) if url is None else (url.host.decode(), url.port)


def _host_and_port(proxy: str) -> tuple[str, int | None]:
    url, _ = _parsed(proxy)
    return ("nowhere", None) if url is None else (url.reveal().host, url.reveal().port)


def _proxy(given: Secret[str], variable: str) -> Proxy:
    remedy = "correct the variable, unset it, or name the server in NO_PROXY"
    url, failure = _parsed(given.reveal())
    if url is None:
        raise ConfigurationError(
            f"{variable} does not hold the address of a proxy ({failure}), such as "
            f"http://host:port: {remedy}"
        )
    shown, scheme = _without_secrets(url.reveal()), url.reveal().scheme
    if scheme not in _SCHEMES or not url.reveal().host or " " in given.reveal():
        raise ConfigurationError(
            f"{variable} names a proxy that cannot be used, {shown}: its address "
            f"begins with one of {', '.join(f'{known}://' for known in _SCHEMES)}: {remedy}"
        )
    if scheme.startswith("socks") and find_spec("socksio") is None:
        raise ConfigurationError(
            f"{variable} names a SOCKS proxy, {shown}, and the package socksio is "
            f"not installed: pip install 'httpx[socks]', or {remedy}"
        )
    return Proxy(url, variable)


def _parsed(given: str) -> tuple[Secret[httpx.URL] | None, str]:
    """The address, or what kind of error it is: the error itself may quote a password."""
    try:
        return Secret(httpx.URL(given if "://" in given else f"http://{given}")), ""
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        return None, type(error).__name__


def _variable(name: str, given: str) -> str:
    for spelled in (name, name.upper()):
        if os.environ.get(spelled) == given:
            return spelled
    return "the proxy in the settings of this system"


def _without_secrets(url: httpx.URL) -> str:
    return str(url.copy_with(username=None, password=None, path="/", query=None)).rstrip("/")


def _is_excluded(scheme: str, host: str, netloc: str, proxies: dict[str, str]) -> bool:
    """Whether NO_PROXY, or the system, has the server reached without a proxy."""
    if proxy_bypass(netloc):
        return True
    for entry in (part.strip().lower() for part in proxies.get("no", "").split(",")):
        # Entries that the standard library does not know: with a scheme, and networks.
        if "://" in entry:
            wanted, _, name = entry.partition("://")
            if wanted in (scheme, "all") and (
                host == name or host.endswith(f".{name.lstrip('.')}")
            ):
                return True
        elif "/" in entry:
            try:
                if ip_address(host) in ip_network(entry, strict=False):
                    return True
            except ValueError:
                continue
    return False


def certificates() -> str:
    """Where the certificates come from that servers' are checked against."""
    for variable in _CERTIFICATES:
        if path := os.environ.get(variable):
            return f"those of {variable}, {path!r}"
    return "those of certifi; SSL_CERT_FILE or SSL_CERT_DIR may name others"


def tls_context() -> ssl.SSLContext:
    """What verifies the server's certificate: SSL_CERT_FILE, SSL_CERT_DIR, or certifi.

    Raises `ConfigurationError` if a variable names what cannot be read.
    """
    for variable, kind in _CERTIFICATES.items():
        path = os.environ.get(variable)
        if not path:
            continue
        remedy = f"correct the variable, or unset {variable} to use certifi's certificates"
        if not _is_readable(path, kind):
            raise ConfigurationError(
                f"{variable} names {path!r}, which is no {kind} that can be read: {remedy}"
            )
        try:
            return httpx.create_ssl_context()
        except OSError as error:
            # An ssl.SSLError is one.
            raise ConfigurationError(
                f"{variable} names {path!r}, which holds no certificates that can be used "
                f"({error}): {remedy}"
            ) from error
    return httpx.create_ssl_context()


def _is_readable(path: str, kind: str) -> bool:
    if kind == "file":
        return os.path.isfile(path) and os.access(path, os.R_OK)
    # OpenSSL takes a list of directories, and passes over those that are missing.
    return any(os.path.isdir(each) and os.access(each, os.R_OK) for each in path.split(os.pathsep))
