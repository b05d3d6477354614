"""Which names are this server's, and which web pages are: those that it has under one of them.

A browser that visits another page is the enemy within. Any page can make it send requests to this
machine, with forms and scripts, from other ports of it too; and under a name of its own, which it
lets point here, it can read the answers (DNS rebinding). A browser tells both: the name in
``Host``, the page in ``Origin``.
"""

from __future__ import annotations

import socket
from collections.abc import Collection
from urllib.parse import urlsplit

from vectorize_core.errors import ConfigurationError
from vectorize_core.transport.loopback import is_any_address, is_ip_address, is_loopback


class Hosts:
    """The names that a server goes by: of this machine, and those it was given.

    One of those may be the address that it listens on. If that stands for all addresses of the
    machine, any number may name it, and the name of the machine: others would have to be looked up
    in DNS, where anybody lets their own names point anywhere.
    """

    def __init__(self, names: Collection[str]) -> None:
        check_hosts(names)
        self._any_number = any(map(is_any_address, names))
        self._names = {name.lower() for name in names if name}
        if self._any_number:
            own = socket.gethostname().lower()
            self._names |= {own, f"{own}.local"}

    def has(self, authority: str) -> bool:
        """Whether a ``Host`` (a name or number, perhaps with a port) is one of them."""
        try:
            parts = urlsplit(f"//{authority}")
            name, _ = parts.hostname, parts.port
            if not name or parts.netloc != authority or parts.username is not None:
                return False
            url = f"http://{authority}"
            return is_loopback(url) or name in self._names or self._is_number(url)
        except ValueError:
            return False

    def _is_number(self, url: str) -> bool:
        return self._any_number and is_ip_address(url)


def check_hosts(names: Collection[str]) -> None:
    """Refuse what is no collection of names that a ``Host`` could have."""
    if isinstance(names, str) or any(
        not isinstance(name, str) or name.count(":") == 1 for name in names
    ):
        raise ConfigurationError(f"hosts is a list of names, without ports; got {names!r}")


def is_own_page(host: str, origin: str) -> bool:
    """Whether ``Origin`` is a page that this server has under the name of the request."""
    scheme, separator, authority = origin.partition("://")
    return bool(separator) and scheme in ("http", "https") and authority.lower() == host.lower()
