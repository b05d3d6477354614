"""The server as an ASGI application: all its routes, behind its middleware."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from vectorize_core.local import faults
from vectorize_core.local.faults import ServiceFault
from vectorize_core.local.server import d1_routes, identity_routes, parsing, responses
from vectorize_core.local.server.accounts import Accounts
from vectorize_core.local.server.binding_index import BindingIndexes
from vectorize_core.local.server.binding_routes import BindingRoutes
from vectorize_core.local.server.bodies import BodyReader
from vectorize_core.local.server.endpoints import Call, RequestReader
from vectorize_core.local.server.hosts import Hosts
from vectorize_core.local.server.injected_faults import FaultInjector
from vectorize_core.local.server.logs import escape_logs
from vectorize_core.local.server.middleware import ServerMiddleware
from vectorize_core.local.server.rate_limit import RateLimiter
from vectorize_core.local.server.settings import Settings
from vectorize_core.local.server.traffic import Traffic
from vectorize_core.local.server.vectorize_routes import VectorizeRoutes


@dataclass(frozen=True, slots=True)
class Parts:
    """A server as an application, and what can be looked at and changed while it runs."""

    app: ServerMiddleware
    accounts: Accounts
    injector: FaultInjector
    hosts: Hosts


def create_app(settings: Settings | None = None) -> ASGIApp:
    """The server as an ASGI application."""
    return create_parts(settings).app


def create_parts(settings: Settings | None = None) -> Parts:
    """The server as an ASGI application, with its parts."""
    settings = settings if settings is not None else Settings()
    escape_logs()
    hosts = Hosts(settings.hosts)
    accounts = Accounts(settings.data, settings.behavior, settings.clock)
    injector = FaultInjector(settings.faults)
    traffic = Traffic()
    bodies = BodyReader(settings.max_body, settings.body_timeout)
    reader = RequestReader(accounts, bodies, traffic)
    vectorize = VectorizeRoutes(settings)
    bindings = BindingIndexes(settings.bindings, settings.binding_index)
    limit, not_found_status = settings.rate_limit, settings.not_found_status

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        # A program may run an application several times, one after the other.
        accounts.open()
        if traffic.closed:
            traffic.open()
        yield
        stop()
        accounts.close()

    def stop() -> None:
        traffic.close()
        accounts.interrupt()

    def put_faults(call: Call) -> Response:
        injector.replace(parsing.json_value(call.body))
        return responses.success(None)

    async def answer_fault(request: Request, error: Exception) -> Response:
        fault = cast("ServiceFault", error)
        if fault.code == 3000 and fault.status != not_found_status:
            fault = ServiceFault(not_found_status, fault.code, fault.message)
        return responses.failure(fault, request.scope["path"])

    app = Starlette(
        routes=[
            *vectorize.routes(reader),
            *d1_routes.routes(reader),
            *identity_routes.routes(reader),
            Route("/_/faults", reader.endpoint(put_faults), methods=["PUT"]),
            *BindingRoutes(vectorize, bindings).routes(reader),
        ],
        exception_handlers={ServiceFault: answer_fault, HTTPException: _answer_no_route},
        lifespan=lifespan,
    )
    # The API does not redirect, and a redirect would name the host that the client sent.
    app.router.redirect_slashes = False
    guarded = ServerMiddleware(
        app,
        hosts=hosts,
        token=settings.token,
        limit=None if limit is None else RateLimiter(limit, settings.clock),
        limit_status=settings.rate_limit_status,
        injector=injector,
        stop=stop,
    )
    return Parts(guarded, accounts, injector, hosts)


async def _answer_no_route(request: Request, error: Exception) -> Response:
    fault = faults.no_route(cast("HTTPException", error).status_code)
    return responses.failure(fault, request.scope["path"])
