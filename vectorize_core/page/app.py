"""`create_page`: the page as an ASGI application, alone or beside another one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

import vectorize_core
from vectorize_core import jsontext
from vectorize_core.client import IndexClient
from vectorize_core.errors import InvalidInputError
from vectorize_core.local.server.bodies import BodyReader
from vectorize_core.page import answers, files, indexes, records, searching
from vectorize_core.page.account import Account
from vectorize_core.page.answers import PageError
from vectorize_core.page.asked import Asked
from vectorize_core.page.embedders import Embedder
from vectorize_core.page.guard import DATA, Guard, Hosts
from vectorize_core.secret import hidden

MOST_BODY: Final = 1 << 20
_BODY_SECONDS: Final = 20.0
Answer = Callable[[Account, Asked], Awaitable[Any]]


class Page:
    """The page, as an ASGI application.

    Where it stands ``beside`` another application, it answers at ``/``, ``/page/`` and
    ``/_/page/``, and that one everywhere else.
    """

    def __init__(self, account: Account, routes: list[Route], guard: Callable[[ASGIApp], Guard]):
        app = Starlette(
            routes=routes,
            exception_handlers={HTTPException: _no_route, Exception: _failed, PageError: _failed},
        )
        app.router.redirect_slashes = False
        self._account = account
        self._app = guard(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http":
            await self._app(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self._account.aclose()
                await send({"type": "lifespan.shutdown.complete"})
                return

    @property
    def title(self) -> str:
        """Where the indexes are that it shows, without a secret."""
        return self._account.title

    def stop(self) -> None:
        """End what takes long; to be called when the server ends."""


def create_page(
    client: IndexClient,
    *,
    token: str | None = None,
    embedder: object = None,
    listening: str = "127.0.0.1",
    hosts: Collection[str] = (),
) -> Page:
    """The page over the indexes of a client, which stays the caller's to close.

    Args:
        client: of any kind: embedded, of a server, or of Cloudflare, whose credentials stay here.
        token: what every request for data has to carry; without one, whoever reaches the page may
            see and delete everything.
        embedder: the model that searches by text use, an embedding of LangChain or LlamaIndex.
        listening: the address that the server listens on.
        hosts: further names by which browsers reach it; requests under others are refused.
    """
    secret = hidden(token)
    model = embedder if isinstance(embedder, Embedder) or embedder is None else Embedder(embedder)
    account = Account(client, lambda event: None)
    bodies = BodyReader(MOST_BODY, _BODY_SECONDS)
    about = {
        "title": account.title,
        "kind": account.kind,
        "version": vectorize_core.__version__,
        "embedder": None if model is None else model.name,
        "free": account.is_free,
        "can": {"faults": False, "activity": False},
        "map": {"default": 20_000 if account.is_free else 1_000, "most": 20_000},
    }

    async def tell(_: Account, __: Asked) -> Any:
        return about

    table: list[tuple[str, str, Answer]] = [
        ("GET", "about", tell),
        ("GET", "indexes", indexes.listed),
        ("POST", "indexes", indexes.create),
        ("GET", "indexes/{index}", indexes.described),
        ("DELETE", "indexes/{index}", indexes.delete),
        ("GET", "indexes/{index}/records", records.page),
        ("GET", "indexes/{index}/record", records.one),
        ("DELETE", "indexes/{index}/record", records.delete),
        ("POST", "indexes/{index}/search", partial(searching.find, embedder=model)),
        ("POST", "indexes/{index}/explain", searching.explain),
    ]
    routes = [
        Route(DATA + path, _endpoint(account, bodies, answer), methods=[method])
        for method, path, answer in table
    ]
    routes += [Route("/", files.answer), Route("/page/{name:path}", files.answer)]
    return Page(account, routes, partial(Guard, hosts=Hosts(listening, hosts), token=secret))


def _endpoint(
    account: Account, bodies: BodyReader, answer: Answer
) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that reads a request, and answers with a result or an error."""

    async def respond(request: Request) -> Response:
        try:
            async with bodies.read(request) as body:
                asked = Asked(request.path_params, request.query_params, _object(request, body))
                return answers.success(await answer(account, asked))
        except Exception as error:
            return answers.failure(error)

    return respond


def _object(request: Request, body: bytes) -> Mapping[str, Any]:
    if request.method in ("GET", "HEAD"):
        return {}
    try:
        found = jsontext.loads(body)
    except ValueError as error:
        raise InvalidInputError(f"the body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise InvalidInputError("the body is a JSON object")
    return found


async def _no_route(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    return answers.failure(PageError(status, "NotFound", "there is no such address"))


async def _failed(_: Request, error: Exception) -> Response:
    return answers.failure(error)
