"""The protocol between a Worker's Vectorize binding and its backend.

No index in the path, bare JSON instead of the envelope; any status but 200 is an error. The index
is the one that the header ``x-vectorize-index`` names, else the server's ``binding_index``, else
the only one there is. Miniflare's remote bindings send every call to ``/proxy``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vectorize_core.local import faults
from vectorize_core.local.faults import ServiceFault
from vectorize_core.local.server import parsing, responses, vectorize_routes
from vectorize_core.local.server.accounts import MAIN_ACCOUNT, Accounts
from vectorize_core.local.server.endpoints import Call, RequestReader
from vectorize_core.local.server.vectorize_routes import VectorizeRoutes
from vectorize_core.local.service import Service

_ROOT: Final = "http://vector-search/"


class BindingRoutes:
    """What a Worker's binding asks of the main account's service."""

    def __init__(
        self, accounts: Accounts, served: VectorizeRoutes, default_index: str | None
    ) -> None:
        self._accounts = accounts
        self._default_index = default_index
        self._calls: Mapping[str, Callable[[Service, str, Call], Any]] = {
            "info": vectorize_routes.info,
            "query": lambda service, index, call: responses.query(
                served.search(service, index, parsing.parsed_object(call.body))[0]
            ),
            "insert": lambda service, index, call: responses.mutation(
                service.insert(index, served.vectors(service, index, call, "insert", _lines(call)))
            ),
            "upsert": lambda service, index, call: responses.mutation(
                service.upsert(index, served.vectors(service, index, call, "upsert", _lines(call)))
            ),
            # Whatever the content type: the proxied form does not keep it where it belongs.
            "getByIds": lambda service, index, call: responses.vectors(
                service.get_by_ids(index, vectorize_routes.ids(parsing.parsed_object(call.body)))
            ),
            "deleteByIds": lambda service, index, call: responses.mutation(
                service.delete_by_ids(index, vectorize_routes.ids(parsing.parsed_object(call.body)))
            ),
        }

    def routes(self, reader: RequestReader) -> Sequence[Route]:
        """Routes at the root of the server."""
        endpoint = reader.endpoint(self.answer)

        async def bare(request: Request) -> Response:
            try:
                return await endpoint(request)
            except ServiceFault as fault:
                return responses.bare_failure(fault)

        return [
            *(
                Route(f"/{call}", bare, methods=["GET" if call == "info" else "POST"])
                for call in self._calls
            ),
            Route("/proxy", bare, methods=["GET", "POST"]),
        ]

    def answer(self, call: Call) -> Response:
        """The bare result of a call, sent here or through ``/proxy``."""
        name = call.path.removeprefix("/")
        if name == "proxy":
            name = call.headers.get("mf-url", "").removeprefix(_ROOT)
        work = self._calls.get(name)
        if work is None:
            raise ServiceFault(404, 7003, "No route for the URI.")
        service = self._accounts.service(MAIN_ACCOUNT)
        index = _header(call, "x-vectorize-index") or self._default_index or _only_index(service)
        return responses.JsonResponse(work(service, index, call))


def _lines(call: Call) -> bytes:
    """NDJSON, also of the older form ``{"vectors": [...]}``."""
    if _media_type(call) != parsing.JSON:
        return call.body
    vectors = parsing.field(parsing.parsed_object(call.body), "vectors", list)
    if vectors is None:
        raise faults.unparsable_body("vectors", "expected an array")
    return b"\n".join(orjson.dumps(vector) for vector in vectors)


def _media_type(call: Call) -> str:
    given = call.headers.get("mf-header-content-type")
    return given.partition(";")[0].strip().lower() if given else call.media_type


def _header(call: Call, name: str) -> str | None:
    return call.headers.get(name) or call.headers.get(f"mf-header-{name}")


def _only_index(service: Service) -> str:
    names = [details.name for details in service.list_indexes()]
    if len(names) != 1:
        raise faults.refused(
            f"a binding works on one index and there are {len(names)}; name it in the header "
            "x-vectorize-index, or start the server with --binding-index"
        )
    return names[0]
