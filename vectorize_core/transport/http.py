"""Operations over HTTP, by httpx."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, closing, nullcontext
from dataclasses import replace
from functools import lru_cache
from typing import Any, ClassVar, TypeAlias, TypeVar, cast

import httpx

from vectorize_core import jsontext
from vectorize_core.api import wire
from vectorize_core.api.crowded import is_crowded
from vectorize_core.api.operations import Kind, Op
from vectorize_core.errors import (
    ApiError,
    ApiMessage,
    ConfigurationError,
    ConnectionFailedError,
    RequestTimeoutError,
    UnexpectedAnswerError,
    VectorizeError,
)
from vectorize_core.holds import TaskCall
from vectorize_core.secret import Secret
from vectorize_core.transport.answer_body import ENCODINGS, MAX_ANSWER_BYTES, areceive, receive
from vectorize_core.transport.credentials import Credentials, Headers, shown_address
from vectorize_core.transport.executor import TIME_LEFT, Answer
from vectorize_core.transport.http_clients import AsyncClient, HttpClients
from vectorize_core.transport.http_pool import Pool
from vectorize_core.transport.io import each
from vectorize_core.transport.loopback import is_ip_address, is_loopback
from vectorize_core.transport.messages import AsyncIncoming, Incoming, Outgoing
from vectorize_core.transport.network import certificates
from vectorize_core.transport.timeouts import DEFAULTS, RequestTime, request_time
from vectorize_core.transport.tracebacks import FramesHidden, raise_of_handler, without_value
from vectorize_core.transport.workers import is_shutting_down

T = TypeVar("T")
Response: TypeAlias = httpx.Response | Incoming | AsyncIncoming
Body = bytes | bytearray
logger = logging.getLogger("vectorize_core")

# Parsing the URL anew would be a tenth of the time httpx takes for a search.
_parsed = lru_cache(maxsize=256)(httpx.URL)
_BROKEN = (httpx.InvalidURL, httpx.StreamError, OSError)
"""What httpx, or a transport of the user's, lets through when a server breaks the rules: an
`ssl.SSLError`, for one."""
_API_PATH = "/client/v4"
_NO_ROUTE = (None, 7000, 7003)
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")
_LOOPBACK_PATIENCE = 2.0
"""Seconds to wait for a server on this machine to come back. It starts again at once, or it is not
running; the network is not to blame."""


class HttpExecutor:
    """Sends operations to the Vectorize API.

    Clients are made on first use and kept (`HttpClients`). ``timeout`` is for all of a request
    (`request_time`), by default what an injected client says. An answer of more than
    ``max_answer_bytes`` is an error, and is not read on.
    """

    default_seconds: ClassVar[Mapping[Kind, float]] = DEFAULTS

    def __init__(
        self,
        credentials: Credentials,
        *,
        timeout: float | httpx.Timeout | None = None,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        http_client: httpx.Client | None = None,
        async_http_client: httpx.AsyncClient | None = None,
        transport: httpx.BaseTransport | None = None,
        async_transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        try:
            _parsed(credentials.url)
        except httpx.InvalidURL as error:
            raise ConfigurationError(
                f"base_url and the account make no address, {credentials.url!r}: {error}"
            ) from error
        self.credentials = credentials
        self._timeout = timeout
        self._max_answer_bytes = max_answer_bytes
        self._clients = HttpClients(
            credentials.base_url,
            http_client=http_client,
            async_http_client=async_http_client,
            transport=transport,
            async_transport=async_transport,
        )

    def send(self, op: Op[T], /) -> Answer[T]:
        """Carry ``op`` out; raises its typed error."""
        request, options = self._prepare(op)
        content = b"".join(request.body)
        with self._clients.client() as client, FramesHidden(self._secrets.text_without_secrets):
            allowed = self._allow(op, client, len(content), options)
            try:
                sent = self._authorized(client.build_request(**options, content=content))
                response = client.send(sent, stream=True, follow_redirects=False)
                with closing(response):
                    self._clean_head(response)
                    until = options["extensions"]["deadline"]
                    body = Secret(receive(op, response, self._max_answer_bytes, until))
            except (httpx.RequestError, *_BROKEN) as error:
                if op.kind == "read" and isinstance(client, Pool):
                    raise_of_handler(error)
                raise self._unanswered(op, error, allowed) from error
        return self._read(op, response, body)

    async def asend(self, op: Op[T], /) -> Answer[T]:
        """Carry ``op`` out; raises its typed error."""
        request, options = self._prepare(op)
        slices = []
        for part in request.body:
            slices.append(part)
            # Encoding a large write takes long; other tasks run after every slice.
            await asyncio.sleep(0)
        content: bytes | AsyncIterator[bytes] = b"".join(slices[:1])
        if len(slices) > 1:
            # So does sending it.
            options["headers"]["Content-Length"] = str(sum(map(len, slices)))
            content = each(slices)
        if is_shutting_down() and not is_ip_address(self.credentials.base_url):
            raise VectorizeError(
                f"{op}: the interpreter is shutting down, when asyncio can look up no host: call "
                "the sync method instead, or finish before the program ends"
            )
        loop_client = await self._clients.loop_client()
        client = cast("AsyncClient", loop_client.client)
        call = TaskCall()
        loop_client.users.begin(call)
        allowed = self._allow(op, client, sum(map(len, slices)), options)
        try:
            # Our own connections keep the deadline themselves, and know whether anything was sent.
            own = self._clients.is_own_async
            bound = nullcontext() if own else asyncio.timeout(allowed.whole)
            with FramesHidden(self._secrets.text_without_secrets):
                sent = self._authorized(client.build_request(**options, content=content))
                async with bound:
                    response = await client.send(sent, stream=True, follow_redirects=False)
                    async with aclosing(response):
                        self._clean_head(response)
                        until = options["extensions"]["deadline"]
                        body = Secret(await areceive(op, response, self._max_answer_bytes, until))
        except (httpx.RequestError, *_BROKEN) as error:
            raise self._unanswered(op, error, allowed) from error
        finally:
            loop_client.users.end(call)
        return self._read(op, response, body)

    def _prepare(self, op: Op[Any]) -> tuple[wire.Request, dict[str, Any]]:
        request = self._request(op)
        headers = {"Accept-Encoding": ENCODINGS}
        if request.content_type:
            headers["Content-Type"] = request.content_type
        options: dict[str, Any] = {
            "method": request.method,
            "url": _parsed(self.credentials.url + request.area + request.path),
            # For an empty mapping httpx would parse the URL to remove a query.
            "params": request.params or None,
            "headers": headers,
        }
        return request, options

    def _request(self, op: Op[Any]) -> wire.Request:
        """The request of an operation, as this server takes it."""
        return op.request()

    def _authorized(self, request: httpx.Request | Outgoing) -> Any:
        """``request`` with the secret, which only now is in a place that might be printed."""
        request.headers.update(self.credentials.headers.reveal())
        return request

    def _allow(
        self,
        op: Op[Any],
        client: Any,
        size: int,
        options: dict[str, Any],
    ) -> RequestTime:
        """Note in the options of a request that begins now how long it may take."""
        timeout: Any = self._timeout
        if timeout is None and self._clients.injected:
            timeout = client.timeout
        if timeout is None:
            timeout = self.default_seconds[op.kind]
        allowed = request_time(timeout, op.kind, size=size, within=TIME_LEFT.get())
        until = None if allowed.whole is None else time.monotonic() + allowed.whole
        options["timeout"] = allowed.steps
        options["extensions"] = {"deadline": until, "more_time": allowed.more}
        return allowed

    def _unanswered(
        self, op: Op[Any], error: Exception, allowed: RequestTime
    ) -> ConnectionFailedError:
        """The error of a request without an answer: why that is, and whether it was sent."""
        if isinstance(error, httpx.RequestError) and error._request is not None:  # noqa: SLF001
            # What looks into it finds the request without the secret. The one sent is the client's.
            error.request = httpx.Request(error.request.method, error.request.url)
        text, url = self._said(error), self.credentials.base_url
        never_sent = isinstance(
            error, (httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ConnectError)
        )
        if self._clients.is_closed:
            message = f"{op}: this client was closed before the answer of {url} came"
            return ConnectionFailedError(message, sent=not never_sent, patience=0.0)
        if isinstance(error, httpx.ProxyError):
            # It answers, and says no; only its own failures pass.
            patience = None if text.startswith("5") else 0.0
            named = self._clients.proxy or "the proxy"
            message = f"{op}: {named} does not connect to {url}: {text}"
            return ConnectionFailedError(message, sent=False, patience=patience)
        if never_sent:
            return self._not_sent(op, error, text)
        if isinstance(error, (httpx.TimeoutException, TimeoutError)):
            seconds = "" if allowed.whole is None else f" of {allowed.whole:.1f} s"
            return RequestTimeoutError(f"{op}: no answer of {url} within its time{seconds}: {text}")
        return ConnectionFailedError(f"{op}: the connection to {url} broke: {text}")

    def _not_sent(self, op: Op[Any], error: Exception, text: str) -> ConnectionFailedError:
        url, proxy = self.credentials.base_url, self._clients.proxy
        message, patience = f"{op}: no connection to {url}", None
        if proxy is not None:
            message += f" through {proxy}"
        if is_loopback(url) or (proxy is not None and proxy.is_loopback):
            patience = _LOOPBACK_PATIENCE
        message = f"{message}: {text}"
        if reason := _refused_by_tls(error):
            patience = 0.0
            if not self._clients.injected:
                message = f"{message}. {reason}"
        return ConnectionFailedError(message, sent=False, patience=patience)

    @property
    def _secrets(self) -> Credentials:
        """The credentials, with what a proxy is sent: what a server may repeat of it is hidden."""
        if self._clients.proxy is None:
            return self.credentials
        of_proxy = self._clients.proxy.headers
        sent: Headers = Secret({**self.credentials.headers.reveal(), **of_proxy.reveal()})
        return replace(self.credentials, headers=sent)

    def _said(self, error: Exception) -> str:
        text = self._secrets.text_without_secrets(without_value(str(error)))
        return text or type(error).__name__

    def _read(self, op: Op[T], response: Response, body: Secret[Body]) -> Answer[T]:
        try:
            return self._parse(op, response, body.reveal())
        except VectorizeError:
            said = Secret(_plainly_spelled(body.reveal()))
            harmless = self._secrets.without_secrets(said.reveal())
            if harmless == said.reveal():
                raise
        return self._parse(op, response, harmless)

    def _clean_head(self, response: Response) -> None:
        """Take the secret out of a head that repeats it, and a password out of a redirect."""
        reason = response.extensions.get("reason_phrase", b"").decode("latin-1")
        said = {**dict(response.headers.items()), "": reason}
        harmless = self._secrets.headers_without_secrets(said)
        if harmless is not None:
            response.extensions["reason_phrase"] = harmless.pop("").encode("latin-1")
            response.headers = httpx.Headers(harmless)
        if response.has_redirect_location:
            response.headers["location"] = shown_address(response.headers["location"])

    def _parse(self, op: Op[T], response: Response, body: Body) -> Answer[T]:
        try:
            result, messages = self._result(op, response, body)
        except ApiError as error:
            if hint := self._hint(error, response):
                error.add_hint(hint)
            raise
        for message in messages:
            logger.warning("%s: %s", op, self._secrets.text_without_secrets(str(message)))
        try:
            # As a dict, since those of httpx take a while to look each one up.
            headers = dict(response.headers.items())
            return Answer(op.read(result), headers, response.status_code)
        except UnexpectedAnswerError as error:
            raise UnexpectedAnswerError(
                f"{op}: the answer is not what the API documents: {error}"
            ) from None

    def _result(
        self, op: Op[Any], response: Response, body: Body
    ) -> tuple[Any, tuple[ApiMessage, ...]]:
        """What an answer holds for `Op.read`, and the messages that came with it, or its error."""
        return wire.read_answer(str(op), response.status_code, response.headers, body)

    def _hint(self, error: ApiError, response: Response) -> str | None:
        """Why this may not be the answer of the API."""
        base_url, proxy = self.credentials.base_url, self._clients.proxy
        if proxy is not None and not error.errors:
            return f"The answer may be that of {proxy}, not of {base_url}"
        wrong = f"The URL of the API may be wrong: base_url is {base_url!r}"
        if response.has_redirect_location:
            return f"{wrong}, and its server redirects to {response.headers['location']}"
        if error.status not in (404, 405) or error.code not in _NO_ROUTE:
            return None
        if not base_url.endswith(_API_PATH):
            return f"{wrong}, and does not end with {_API_PATH}"
        if base_url.count(_API_PATH) > 1:
            return f"{wrong}, and holds {_API_PATH} twice"
        # The API itself says why in its own words.
        return wrong if not error.errors else None

    def check(self) -> None:
        """Raise an error where it may not be used any more."""
        self._clients.check()

    def close(self) -> None:
        """Close all clients of this process, unless they were injected; no operation can follow."""
        self._clients.close()

    async def aclose(self) -> None:
        """Close the running loop's client, and the sync one if no call uses it.

        No operation can follow in this loop. Injected clients are not closed.
        """
        await self._clients.aclose()


def _plainly_spelled(body: Body) -> Body:
    """JSON without escapes that need not be, among which a secret would not be found."""
    if is_crowded(body):
        # To read it would take gigabytes. An error shows only how it begins, as it came.
        return body
    try:
        return jsontext.dumps(jsontext.loads(body))
    except (ValueError, TypeError):
        return body


def _refused_by_tls(error: BaseException | None) -> str | None:
    """What to look at if another attempt over TLS would fail in the same way."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"Certificates are checked against {certificates()}"
        if isinstance(error, ssl.SSLError) and error.reason in _NO_TLS:
            return (
                "What answers there does not speak TLS: the address, base_url or that of a proxy, "
                "may have to begin with http://"
            )
        error = error.__cause__ or error.__context__
    return None
