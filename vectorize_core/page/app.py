"""`create_page`: the page as an ASGI application, alone or beside another one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import vectorize_core
from vectorize_core import jsontext
from vectorize_core.client import IndexClient
from vectorize_core.errors import ConfigurationError, InvalidInputError, shown
from vectorize_core.local.server.bodies import BodyReader
from vectorize_core.local.server.hosts import Hosts, check_hosts
from vectorize_core.local.server.logs import escape_logs
from vectorize_core.local.server.settings import check_token
from vectorize_core.page import answers, files, indexes, maps, records, searching
from vectorize_core.page.account import Account
from vectorize_core.page.activity import Activity, Stream
from vectorize_core.page.answers import PageError
from vectorize_core.page.asked import Asked
from vectorize_core.page.embedders import Embedder
from vectorize_core.page.guard import DATA, FILES, Guard
from vectorize_core.secret import Secret, hidden
from vectorize_core.texts.store import TextStore

MOST_BODY: Final = 1 << 20
MOST_AT_ONCE: Final = 64
"""Calls that are being answered; more are refused."""
_BODY_SECONDS: Final = 20.0
Answer = Callable[[Account, Asked], Awaitable[Any]]


class Call(NamedTuple):
    """A route of the page's data; one that ``changes`` something goes on if the browser leaves."""

    method: str
    path: str
    answer: Answer
    changes: bool = False


class Page:
    """The page, as an ASGI application.

    Where it stands ``beside`` another application, it answers at ``/``, ``/page/`` and
    ``/_/page/``, and that one everywhere else.
    """

    def __init__(
        self,
        account: Account,
        activity: Activity,
        endpoints: Endpoints,
        app: Guard,
        beside: ASGIApp | None = None,
    ) -> None:
        self._account = account
        self._activity = activity
        self._endpoints = endpoints
        self._app = app
        self._beside = beside

    @property
    def title(self) -> str:
        """Where the indexes are that it shows, without a secret."""
        return self._account.title

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        beside = self._beside if self._beside is not None else _nothing_else
        if scope["type"] != "http":
            await beside(scope, receive, partial(self._pass_on, send))
        elif self._beside is None or _is_ours(scope["path"]):
            await self._app(scope, receive, send)
        else:
            await beside(scope, receive, send)

    def stop(self) -> None:
        """End what takes long; to be called when the server ends."""
        self._activity.close()
        self._endpoints.end()
        stop = getattr(self._beside, "stop", None)
        if stop is not None:
            stop()

    async def _pass_on(self, send: Send, message: Message) -> None:
        if message["type"] == "lifespan.shutdown.complete":
            self.stop()
            await self._account.aclose()
        await send(message)


def create_page(
    client: IndexClient,
    *,
    token: str | None = None,
    embedder: object = None,
    texts: TextStore | None = None,
    listening: str = "127.0.0.1",
    hosts: Collection[str] = (),
) -> ASGIApp:
    """The page over the indexes of a client, which stays the caller's to close; see docs/page.md.

    Args:
        client: of any kind: embedded, of a server, or of Cloudflare, whose credentials stay here.
        token: what every request for data has to carry; without one, whoever reaches the page may
            see and delete everything.
        embedder: the model that searches by text use, an embedding of LangChain or LlamaIndex.
        texts: where texts are that are too long for their vectors, such as a `D1Texts`; those of
            an embedded Vectorize are beside it. Without it they are not shown, and are not
            deleted with their records.
        listening: the address that the server listens on.
        hosts: further names by which browsers reach it; requests under others are refused.

    Returns:
        An ASGI application. Its method ``stop`` ends streams that go on, for a server that ends.

    Raises:
        ConfigurationError: the embedder is none, ``texts`` no store of texts, or ``hosts`` no list
            of names, or no header could carry the token.
    """
    secret = hidden(token)
    # No frame shows it when something fails.
    del token
    check_token(secret)
    check_hosts(hosts)
    if texts is not None and not isinstance(texts, TextStore):
        raise ConfigurationError(f"texts is a TextStore or None; got {shown(texts)}")
    return page_over(client, secret, _embedder(embedder), Hosts([listening, *hosts]), texts)


def page_over(
    client: IndexClient,
    token: Secret[str] | None,
    embedder: Embedder | None,
    hosts: Hosts,
    texts: TextStore | None = None,
) -> Page:
    """`create_page` of what it makes of its arguments."""
    activity = Activity()
    account = Account(client, activity.note_event, texts)
    return assemble(account, activity, partial(Guard, hosts=hosts, token=token), embedder)


def assemble(
    account: Account,
    activity: Activity,
    guard: Callable[[ASGIApp], Guard],
    embedder: Embedder | None,
    more: Sequence[Call] = (),
    beside: ASGIApp | None = None,
) -> Page:
    """A page of its parts, with ``more`` calls than every page has."""
    escape_logs()
    drawn = maps.Maps()
    about = {
        "title": answers.plain(account.title),
        "kind": account.kind,
        "version": vectorize_core.__version__,
        "embedder": None if embedder is None else embedder.name,
        "free": account.is_free,
        "can": {"faults": bool(more), "activity": True},
        "map": {"default": maps.most_by_default(account), "most": maps.MOST},
    }

    async def tell(_: Account, __: Asked) -> Any:
        return about

    calls = [
        Call("GET", "about", tell),
        Call("GET", "indexes", indexes.listed),
        Call("POST", "indexes", indexes.create, changes=True),
        Call("GET", "indexes/{index}", indexes.described),
        Call("DELETE", "indexes/{index}", indexes.delete, changes=True),
        Call("GET", "indexes/{index}/records", records.page),
        Call("GET", "indexes/{index}/record", records.one),
        Call("DELETE", "indexes/{index}/record", records.delete, changes=True),
        Call("POST", "indexes/{index}/search", partial(searching.find, embedder=embedder)),
        Call("POST", "indexes/{index}/explain", searching.explain),
        Call("GET", "indexes/{index}/map/price", drawn.price),
        Call("POST", "indexes/{index}/map", drawn.draw),
        *more,
    ]
    endpoints = Endpoints(account)
    app = Starlette(
        routes=[
            *(Route(DATA + c.path, endpoints.endpoint(c), methods=[c.method]) for c in calls),
            Route(f"{DATA}activity", partial(_listen, activity), methods=["GET"]),
            Route("/", files.answer),
            Route(f"{FILES}{{name:path}}", files.answer),
        ],
        exception_handlers={HTTPException: _no_route, PageError: _refused},
    )
    app.router.redirect_slashes = False
    return Page(account, activity, endpoints, guard(app), beside)


class Endpoints:
    """Reads requests, and answers them with a result or an error."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._bodies = BodyReader(MOST_BODY, _BODY_SECONDS)
        self._running = 0
        self._ended = False
        self._endings: set[asyncio.Event] = set()
        """One for each read that goes on: an event belongs to the event loop that waits for it."""

    def end(self) -> None:
        """Give up what is read: the server ends, so it has no answer any more."""
        self._ended = True
        for ending in self._endings:
            ending.set()

    def endpoint(self, call: Call) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint of a call."""

        async def respond(request: Request) -> Response:
            if self._running >= MOST_AT_ONCE:
                return answers.failure(PageError(503, "Busy", "too many requests at once"))
            self._running += 1
            try:
                async with self._bodies.read(request) as body:
                    asked = Asked(request.path_params, request.query_params, _json(request, body))
                    result = call.answer(self._account, asked)
                    if not call.changes:
                        result = self._while_there(request, result)
                    return answers.success(await result)
            except asyncio.CancelledError:
                # Only a server that ends cancels a request, after some time.
                return answers.failure(_ended())
            except Exception as error:
                return answers.failure(error)
            finally:
                self._running -= 1

        return respond

    async def _while_there(self, request: Request, result: Awaitable[Any]) -> Any:
        """The result, unless nobody needs it any more: the browser leaves, or the server ends."""
        made, ending = asyncio.ensure_future(result), asyncio.Event()
        self._endings.add(ending)
        if self._ended:
            ending.set()
        ends = asyncio.ensure_future(_left(request)), asyncio.ensure_future(ending.wait())
        try:
            await asyncio.wait((made, *ends), return_when=asyncio.FIRST_COMPLETED)
            if not made.done():
                raise _ended() if ends[1].done() else PageError(499, "Left", "the browser has left")
            return await made
        finally:
            self._endings.remove(ending)
            for end in ends:
                end.cancel()
            if not made.done():
                made.cancel()
                await asyncio.wait((made,))


def _ended() -> PageError:
    return PageError(503, "Ending", "the command ends")


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _listen(activity: Activity, request: Request) -> Stream:
    after = request.query_params.get("after", request.headers.get("last-event-id", "0"))
    known = int(after) if after.isascii() and after.isdigit() and len(after) < 16 else 0
    return activity.listen(known)


def _embedder(given: object) -> Embedder | None:
    return given if isinstance(given, Embedder) or given is None else Embedder(given)


def _is_ours(path: str) -> bool:
    return path == "/" or path.startswith((FILES, DATA))


def _json(request: Request, body: bytes) -> Mapping[str, Any]:
    if request.method in ("GET", "HEAD"):
        return {}
    try:
        found = jsontext.loads(body)
    except ValueError as error:
        raise InvalidInputError(f"the body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise InvalidInputError("the body is a JSON object")
    return found


async def _nothing_else(scope: Scope, receive: Receive, send: Send) -> None:
    """The application beside a page that stands alone: it only lives and ends."""
    while scope["type"] == "lifespan":
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _no_route(_: Request, error: Exception) -> Response:
    status = cast("HTTPException", error).status_code
    return answers.failure(PageError(status, "NotFound", "there is no such address"))


async def _refused(_: Request, error: Exception) -> Response:
    return answers.failure(error)
