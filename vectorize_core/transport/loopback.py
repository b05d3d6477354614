"""Addresses of this machine, which need no credentials."""

import socket
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

LOCAL_ACCOUNT: Final = "local"
"""The account of a server on this machine, unless one is named."""


def is_ip_address(url: str) -> bool:
    """Whether ``url`` names its host by number, so that nothing has to be looked up."""
    return _address(urlsplit(url).hostname or "") is not None


def is_loopback(url: str) -> bool:
    """Whether ``url`` names this machine, in any spelling that connects to it."""
    host = (urlsplit(url).hostname or "").removesuffix(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host)
    return address is not None and (address.is_loopback or address.is_unspecified)


def is_any_address(host: str) -> bool:
    """Whether a server that listens on ``host`` can be reached at all addresses of its machine.

    A client reaches its own machine by such an address.
    """
    address = _address(host.removesuffix("."))
    return not host or (address is not None and address.is_unspecified)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    with suppress(ValueError):
        address = ip_address(host)
        return getattr(address, "ipv4_mapped", None) or address
    # Other spellings, which are connected to all the same: 127.1, 0x7f000001, 2130706433.
    if host.isascii() and host.replace(".", "").isalnum():
        with suppress(OSError):
            return IPv4Address(socket.inet_aton(host))
    return None
