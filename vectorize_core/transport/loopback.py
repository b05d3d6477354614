"""Addresses of this machine, which need no credentials."""

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

LOCAL_ACCOUNT: Final = "local"
"""The account of a server on this machine, unless one is named."""


def is_ip_address(url: str) -> bool:
    """Whether ``url`` names its host by number, so that nothing has to be looked up."""
    try:
        ip_address(urlsplit(url).hostname or "")
    except ValueError:
        return False
    return True


def is_loopback(url: str) -> bool:
    """Whether ``url`` names this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
