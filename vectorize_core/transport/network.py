"""What the environment says of the way to the server: proxies and certificates.

httpx would read the same variables, but fails without naming them, tries proxies that NO_PROXY
excludes, and asks a proxy for a server on this machine.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from vectorize_core.errors import ConfigurationError
from vectorize_core.transport.loopback import is_loopback

_SCHEMES: Final = ("http", "https", "socks5", "socks5h")
_CERTIFICATES: Final = {"SSL_CERT_FILE": "file", "SSL_CERT_DIR": "directory"}


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, and the variable that names it. Its text has no password."""

    url: httpx.URL
    variable: str

    def __str__(self) -> str:
        return f"the proxy {_without_secrets(self.url)} ({self.variable})"

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine."""
        return is_loopback(str(self.url))


def find_proxy(base_url: str) -> Proxy | None:
    """The proxy for a server, if there is one: none for this machine, and what NO_PROXY covers.

    Raises `ConfigurationError` if it cannot be used.
    """
    parts = urlsplit(base_url)
    if is_loopback(base_url):
        return None
    proxies = getproxies()
    scheme = parts.scheme if proxies.get(parts.scheme) else "all"
    given = proxies.get(scheme)
    if not given or _is_excluded(parts.scheme, parts.hostname or "", parts.netloc, proxies):
        return None
    return _proxy(given, _variable(f"{scheme}_proxy", given))


def _proxy(given: str, variable: str) -> Proxy:
    remedy = "correct the variable, unset it, or name the server in NO_PROXY"
    try:
        url = httpx.URL(given if "://" in given else f"http://{given}")
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        # The error itself may quote a password.
        raise ConfigurationError(
            f"{variable} does not hold the address of a proxy ({type(error).__name__}), such as "
            f"http://host:port: {remedy}"
        ) from None
    if url.scheme not in _SCHEMES or not url.host or " " in given:
        raise ConfigurationError(
            f"{variable} names a proxy that cannot be used, {_without_secrets(url)}: its address "
            f"begins with one of {', '.join(f'{scheme}://' for scheme in _SCHEMES)}: {remedy}"
        )
    if url.scheme.startswith("socks") and find_spec("socksio") is None:
        raise ConfigurationError(
            f"{variable} names a SOCKS proxy, {_without_secrets(url)}, and the package socksio is "
            f"not installed: pip install 'httpx[socks]', or {remedy}"
        )
    return Proxy(url, variable)


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
