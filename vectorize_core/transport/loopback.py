"""Addresses of this machine, which need no credentials."""

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

LOCAL_ACCOUNT: Final = "local"
"""The account of a server on this machine, unless one is named."""

ANY_ADDRESS: Final = ("0.0.0.0", "::")  # noqa: S104 (compared with)
"""What a server listens on for all addresses of its machine; a client reaches its own by them."""


def is_ip_address(url: str) -> bool:
    """Whether ``url`` names its host by number, so that nothing has to be looked up."""
    try:
        ip_address(urlsplit(url).hostname or "")
    except ValueError:
        return False
    return True


def is_loopback(url: str) -> bool:
    """Whether ``url`` names this machine."""
    host = (urlsplit(url).hostname or "").removesuffix(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback) or host in ANY_ADDRESS
