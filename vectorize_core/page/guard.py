"""Who may ask the page for anything: pages of this server alone, with the token if there is one.

A request has to name a host that is this server's, and where a browser says which page it comes
from, that has to be this one (`vectorize_core.local.server.hosts` says why). What changes anything
needs a content type and a header that no other page can send without being allowed to.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vectorize_core.local.server.hosts import Hosts, is_own_page
from vectorize_core.page import answers
from vectorize_core.page.answers import PageError
from vectorize_core.secret import Secret

DATA: Final = "/_/page/"
FILES: Final = "/page/"
"""Below these paths are the data of the page, and its files beside the one at the root."""
MARK: Final = b"x-vectorize-page"
"""A header of all that changes something."""
_SECRET: Final = (b"authorization", b"cookie")
_SAFE: Final = ("GET", "HEAD")


class Guard:
    """Lets requests through to ``app``, and puts headers on all that is answered."""

    def __init__(self, app: ASGIApp, hosts: Hosts, token: Secret[str] | None) -> None:
        self._app = app
        self._hosts = hosts
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        refusal = self._refusal(scope)
        # Every frame of an error holds the scope, and what prints it would show the token.
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] not in _SECRET]
        app = self._app if refusal is None else answers.failure(refusal)
        await app(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> PageError | None:
        given: list[tuple[bytes, bytes]] = scope["headers"]
        headers = dict(given)
        hosts = [value.decode("latin-1") for name, value in given if name == b"host"]
        if len(hosts) != 1 or not self._hosts.has(hosts[0]):
            return _refused("this name is not one that the page is reached by")
        method = scope["method"]
        if _is_file(scope):
            return None if method in _SAFE else PageError(405, "Refused", "a file is only read")
        if not _is_from(hosts[0], headers):
            return _refused("requests of other pages are not answered")
        token = headers.get(b"authorization", b"").removeprefix(b"Bearer ")
        if self._token is not None and not hmac.compare_digest(
            token, self._token.reveal().encode()
        ):
            said = "this needs the token that the command was given, or has printed"
            return PageError(401, "TokenNeeded", said)
        if method in _SAFE:
            return None
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind != b"application/json":
            return PageError(415, "Refused", "what changes something is sent as application/json")
        if headers.get(MARK) != b"1":
            return _refused("a change has the header X-Vectorize-Page: 1")
        return None


def _is_file(scope: Scope) -> bool:
    """Whether a path is one of a file, which hold nothing of anybody's; all others are of data.

    An application that has the page somewhere below its root says where.
    """
    path: str = scope["path"].removeprefix(scope.get("root_path", ""))
    return path == "/" or path.startswith(FILES)


def _is_from(host: str, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request comes from this page, or from no page at all."""
    site = headers.get(b"sec-fetch-site", b"none")
    origin = headers.get(b"origin")
    if site not in (b"same-origin", b"none"):
        return False
    return origin is None or is_own_page(host, origin.decode("latin-1"))


def _refused(message: str) -> PageError:
    return PageError(403, "Refused", message)


def _with_headers(send: Send) -> Send:
    more = [(name.encode(), value.encode()) for name, value in answers.HEADERS.items()]

    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *more]}
        await send(message)

    return answer
