"""The HTTP protocol between a Worker's Vectorize binding and its backend.

It has no index in the path and no envelope around the JSON; any status but 200 is an error.
`binding_index` tells which index is meant. Miniflare's remote bindings send every call to
``/proxy``, or to whatever URL they are given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from starlette.responses import Response
from starlette.routing import Route

from vectorize_core.local import faults
from vectorize_core.local.faults import ServiceFault
from vectorize_core.local.server import parsing, responses, vectorize_routes
from vectorize_core.local.server.binding_index import BindingIndexes
from vectorize_core.local.server.binding_paths import CALLS, PROXY, call_of
from vectorize_core.local.server.endpoints import Call, RequestReader, media_type
from vectorize_core.local.server.vectorize_routes import VectorizeRoutes
from vectorize_core.local.service import Service


class BindingRoutes:
    """The calls of a Worker's binding, on the account `LOCAL_ACCOUNT`."""

    def __init__(self, vectorize: VectorizeRoutes, indexes: BindingIndexes) -> None:
        self._indexes = indexes
        self._calls: Mapping[str, Callable[[Service, str, Call], Any]] = {
            "info": vectorize_routes.info,
            "query": lambda service, index, call: responses.query(
                vectorize.search(service, index, parsing.body_object(call.body))[0]
            ),
            "insert": _writing("insert", vectorize.insert),
            "upsert": _writing("upsert", vectorize.upsert),
            # Whatever the content type is: a proxied call has it in a header of another name.
            "getByIds": lambda service, index, call: responses.vectors(
                service.get_by_ids(index, parsing.ids(parsing.body_object(call.body)))
            ),
            "deleteByIds": lambda service, index, call: responses.mutation(
                service.delete_by_ids(index, parsing.ids(parsing.body_object(call.body)))
            ),
        }

    def routes(self, reader: RequestReader) -> Sequence[Route]:
        """Routes at the root of the server."""
        endpoint = reader.endpoint(self.answer)
        direct = {f"/{call}": ["GET" if call == "info" else "POST"] for call in CALLS}
        proxies = (PROXY, f"{PROXY}/", f"{PROXY}/{{index}}", f"{PROXY}/{{index}}/")
        relayed = {path: ["GET", "POST"] for path in proxies}
        return [
            Route(path, endpoint, methods=methods) for path, methods in (direct | relayed).items()
        ]

    def answer(self, call: Call) -> Response:
        """The result of a call, sent here or through ``/proxy``, without an envelope."""
        work = self._calls.get(call_of(call.path, call.headers))
        if work is None:
            raise faults.no_route()
        return responses.JsonResponse(work(call.account.service, self._indexes.of(call), call))


def _writing(
    verb: str, write: Callable[[Service, str, Call, bytes], Any]
) -> Callable[[Service, str, Call], Any]:
    """A write of NDJSON, or of the older form ``{"vectors": [...]}``."""

    def carry_out(service: Service, index: str, call: Call) -> Any:
        given = call.headers.get("mf-header-content-type")
        if (media_type(given) if given else call.media_type) != parsing.JSON:
            return write(service, index, call, call.body)
        try:
            vectors = parsing.field(parsing.body_object(call.body), "vectors", list)
        except ServiceFault as fault:
            raise faults.unparsable_vectors(verb, None, fault.message) from None
        if vectors is None:
            raise faults.unparsable_vectors(verb, None, "vectors: expected an array")
        try:
            ndjson = b"\n".join(map(orjson.dumps, vectors))
        except orjson.JSONEncodeError as error:
            # It reads deeper than it writes.
            raise faults.unparsable_vectors(verb, None, str(error)) from None
        try:
            return write(service, index, call, ndjson)
        except ServiceFault as fault:
            if fault.code != faults.UNPARSABLE_VECTORS:
                raise
            raise faults.unparsable_vectors(verb, None, fault.detail) from None

    return carry_out
