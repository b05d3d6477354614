"""ASGI middleware around the server: token, rate limit, faults on demand, request ids."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Callable
from typing import Any

from starlette.datastructures import Headers, QueryParams
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vectorize_core.local import faults
from vectorize_core.local.faults import ServiceFault
from vectorize_core.local.server import identity_routes, responses
from vectorize_core.local.server.binding_paths import BINDING_HOST, is_binding, whole_path
from vectorize_core.local.server.hosts import Hosts, is_own_page
from vectorize_core.local.server.injected_faults import FaultInjector, FaultRule
from vectorize_core.local.server.rate_limit import RateLimiter
from vectorize_core.secret import Secret

_ADMIN = "/_/"
_SECRET = (b"authorization", b"x-auth-key")


class ServerMiddleware:
    """Checks every request, and lets faults happen to those that rules name."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Hosts,
        token: str | None,
        limit: RateLimiter | None,
        limit_status: int,
        injector: FaultInjector,
        stop: Callable[[], None],
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._token = None if token is None else Secret(token.encode())
        self._limit = limit
        self._limit_status = limit_status
        self._injector = injector
        self.stop = stop
        """Ends what takes long, and begins nothing more; to be called when the server ends."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to the application, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {"cf-ray": secrets.token_hex(8)}
        answer = _with_headers(send, headers)
        refusal, is_admin = self._refusal(scope), scope["path"].startswith(_ADMIN)
        # Every frame of an error holds the scope, and what prints it would show the token.
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] not in _SECRET]
        if refusal is None and self._limit is not None and not is_admin:
            allowed, limits = self._limit.take()
            headers.update(limits)
            refusal = None if allowed else responses.failure(self._too_many(), scope["path"])
        if refusal is not None:
            await refusal(scope, receive, answer)
            return
        path = whole_path(scope["path"], Headers(scope=scope))
        rule = None if is_admin else self._injector.find(f"{scope['method']} {path}")
        if rule is None:
            await self._app(scope, receive, answer)
        else:
            await self._inject(rule, scope, receive, answer)

    def _refusal(self, scope: Scope) -> Response | None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        said = self._not_ours(scope["path"], Headers(scope=scope))
        if said is not None:
            return responses.failure(faults.refused(said, status=403), scope["path"])
        # A global API key comes in a header of its own. Its e-mail address is not checked.
        given = headers.get(b"authorization", headers.get(b"x-auth-key", b""))
        if self._token is not None and not hmac.compare_digest(
            given.removeprefix(b"Bearer "), self._token.reveal()
        ):
            query = QueryParams(scope.get("query_string", b""))
            return identity_routes.answer_to_wrong_token(scope["method"], scope["path"], query)
        # Decoded, it would be a separator, and the request would reach another route.
        is_other = b"%2f" in scope.get("raw_path", b"").lower()
        return responses.failure(faults.no_route(), scope["path"]) if is_other else None

    def _not_ours(self, path: str, headers: Headers) -> str | None:
        """Why a request may be one of a web page elsewhere, if it may."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if origin is not None and not is_own_page(host, origin):
            return "requests of web pages are not answered"
        # What no browser sends names no host; the token, if there is one, stops all others.
        if self._token is not None or not host or self._hosts.has(host):
            return None
        if host == BINDING_HOST and is_binding(path):
            return None
        return (
            f"{host[:100]!r} is no name of this server, so this may be a web page that lets its "
            "own name point here; a server without a token has others by hosts= (serve "
            "--allow-host NAME)"
        )

    def _too_many(self) -> ServiceFault:
        if self._limit_status == 400:
            return ServiceFault(400, 40041, "Too Many Requests")
        return ServiceFault(429, 971, "Please wait and consider throttling your request speed")

    async def _inject(self, rule: FaultRule, scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(rule.delay)
        if rule.truncate is not None:
            await self._app(scope, receive, _Truncating(send, rule.truncate, receive))
            return
        if rule.act or not (rule.reset or rule.status is not None):
            collected: list[Message] = []

            async def collect(message: Message) -> None:
                collected.append(message)

            await self._app(scope, receive, collect)
            if not rule.reset and rule.status is None:
                for message in collected:
                    await send(message)
                return
        if rule.reset:
            await _abort(receive)
        else:
            fault = ServiceFault(rule.status or 500, rule.code, rule.message)
            answer = responses.failure(fault, scope["path"])
            answer.headers.update(rule.headers)
            await answer(scope, receive, send)


class _Truncating:
    """Sends the first bytes of an answer, then closes the connection."""

    def __init__(self, send: Send, most: int, receive: Receive) -> None:
        self._send = send
        self._left = most
        self._receive = receive

    async def __call__(self, message: Message) -> None:
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        part = message.get("body", b"")[: self._left]
        self._left -= len(part)
        await self._send({**message, "body": part, "more_body": True})
        if self._left <= 0 or not message.get("more_body"):
            await _abort(self._receive)


async def _abort(receive: Receive) -> None:
    """Close the connection. ASGI has no message for that, so this reaches into uvicorn."""
    cycle: Any = getattr(receive, "__self__", None)
    transport = getattr(cycle, "transport", None)
    if transport is not None:
        transport.abort()
        # Lets uvicorn notice, or it would send an answer of its own.
        await asyncio.sleep(0)


def _with_headers(send: Send, headers: dict[str, str]) -> Send:
    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            more = [(name.encode(), value.encode()) for name, value in headers.items()]
            message = {**message, "headers": [*message.get("headers", []), *more]}
        await send(message)

    return answer
