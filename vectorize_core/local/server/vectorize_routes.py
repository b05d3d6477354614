"""The HTTP routes of Vectorize: the 14 calls of the public API.

https://developers.cloudflare.com/api/resources/vectorize/
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from starlette.responses import Response
from starlette.routing import Route

from vectorize_core import limits
from vectorize_core.local import faults, validation
from vectorize_core.local.faults import ServiceFault
from vectorize_core.local.server import parsing, responses
from vectorize_core.local.server.endpoints import Call, Handler, RequestReader
from vectorize_core.local.server.parsing import field
from vectorize_core.local.server.settings import Settings
from vectorize_core.local.service import Service
from vectorize_core.models import IndexConfig, Mutation, QueryResult, Vector

logger = logging.getLogger("vectorize_core.server")
_MAX_KNOWN_HINTS: Final = 1_000
_LONG, _TIMES = 0.1, 10
"""Hints that took more seconds to find are kept so many times as long."""
PREFIX: Final = "/client/v4/accounts/{account}/vectorize/v2/indexes"


class _Hints(NamedTuple):
    """Hints, and for how long they are right: up to the ``last`` mutation, or ``until`` then."""

    hints: Sequence[str]
    last: str | None
    until: float


class VectorizeRoutes:
    """Calls the service for each request, as the server's settings say."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known_hints: dict[tuple[Any, ...], _Hints] = {}

    def routes(self, reader: RequestReader) -> Sequence[Route]:
        """The routes of Vectorize."""
        table: list[tuple[str, str, Handler]] = [
            ("POST", "", self.create_index),
            ("GET", "", self.list_indexes),
            ("GET", "/{index}", self.get_index),
            ("DELETE", "/{index}", self.delete_index),
            ("GET", "/{index}/info", self._on_index(info)),
            ("POST", "/{index}/insert", self._on_index(self.insert)),
            ("POST", "/{index}/upsert", self._on_index(self.upsert)),
            ("POST", "/{index}/query", self.query),
            ("POST", "/{index}/get_by_ids", self._on_index(get_by_ids)),
            ("POST", "/{index}/delete_by_ids", self._on_index(delete_by_ids)),
            ("GET", "/{index}/list", self._on_index(list_vectors)),
            ("POST", "/{index}/metadata_index/create", self._on_index(create_metadata_index)),
            ("GET", "/{index}/metadata_index/list", self._on_index(list_metadata_indexes)),
            ("POST", "/{index}/metadata_index/delete", self._on_index(delete_metadata_index)),
        ]
        return [
            Route(PREFIX + path, reader.endpoint(handler), methods=[method])
            for method, path, handler in table
        ]

    def create_index(self, call: Call) -> Response:
        """Create an index by its dimensions and metric, or by the preset of a model."""
        body = parsing.json_object(call)
        call.account.admit()
        created = call.account.service.create_index(
            field(body, "name", str) or "",
            _config(field(body, "config", dict)),
            field(body, "description", str) or "",
        )
        return responses.success(responses.index(created), status=self._settings.create_status)

    def list_indexes(self, call: Call) -> Response:
        """All indexes of the account."""
        listed = call.account.service.list_indexes()
        return responses.success([responses.index(one) for one in listed])

    def get_index(self, call: Call) -> Response:
        """One index."""
        return responses.success(
            responses.index(call.account.service.get_index(call.names["index"]))
        )

    def delete_index(self, call: Call) -> Response:
        """Delete an index."""
        call.account.service.delete_index(call.names["index"])
        return responses.success(None if self._settings.delete_result == "null" else {})

    def query(self, call: Call) -> Response:
        """Matches, with hints if a filter may have found too little."""
        found, hints = self.search(
            call.account.service, call.names["index"], parsing.json_object(call)
        )
        return responses.success(responses.query(found), hints)

    def search(
        self, service: Service, index: str, body: Mapping[str, Any]
    ) -> tuple[QueryResult, Sequence[str]]:
        """Matches and hints; the hints are logged too."""
        given = {
            "vector": parsing.numbers(body, "vector"),
            "vector_id": field(body, "vectorId", str),
            "top_k": field(body, "topK", int),
            "return_values": field(body, "returnValues", bool),
            "return_metadata": _return_metadata(body),
            "filter": field(body, "filter", dict),
            "namespace": field(body, "namespace", str),
        }
        if given["vector"] is not None and self._settings.vector_and_id == "vector":
            del given["vector_id"]
        wanted = {name: value for name, value in given.items() if value is not None}
        found = service.query(index, **wanted)
        hints: Sequence[str] = ()
        if wanted.get("filter") and found.count < wanted.get("top_k", limits.DEFAULT_TOP_K):
            hints = self._hints(service, index, wanted["filter"], wanted.get("namespace"))
        for hint in hints:
            logger.warning("query of index %r: %s", index, hint)
        return found, hints

    def _hints(
        self, service: Service, index: str, expression: Mapping[str, Any], namespace: str | None
    ) -> Sequence[str]:
        """Hints, kept until the next mutation, or for long if it took long to find them.

        Where there are some, all metadata may have been read.
        """
        last = service.index_info(index).processed_up_to_mutation
        key = service, index, tuple(sorted(expression)), namespace
        known, begun = self._known_hints.get(key), time.monotonic()
        if known is not None and (last == known.last or begun < known.until):
            return known.hints
        hints = service.filter_hints(index, expression, namespace)
        ended, behavior = time.monotonic(), service.behavior
        until = ended + _TIMES * (ended - begun) if ended - begun > _LONG else -math.inf
        # With delays hints change as time passes.
        if behavior.propagate_delay or behavior.metadata_index_delay:
            last = ""
        if len(self._known_hints) >= _MAX_KNOWN_HINTS:
            self._known_hints.clear()
        self._known_hints[key] = _Hints(hints, last, until)
        return hints

    def insert(self, service: Service, index: str, call: Call, ndjson: bytes | None = None) -> Any:
        """The receipt of an insert; ``ndjson`` in place of the request's body."""
        return self._write(service.insert, "insert", service, index, call, ndjson)

    def upsert(self, service: Service, index: str, call: Call, ndjson: bytes | None = None) -> Any:
        """The receipt of an upsert; ``ndjson`` in place of the request's body."""
        return self._write(service.upsert, "upsert", service, index, call, ndjson)

    def _write(
        self,
        write: Callable[[str, list[Vector]], Mutation],
        verb: str,
        service: Service,
        index: str,
        call: Call,
        ndjson: bytes | None,
    ) -> Any:
        try:
            vectors = self._vectors(service, index, call, verb, ndjson)
            return responses.mutation(write(index, vectors))
        except ServiceFault as fault:
            if call.media_type == parsing.MULTIPART:
                raise faults.without_prefix(fault) from None
            raise

    def _vectors(
        self, service: Service, index: str, call: Call, verb: str, ndjson: bytes | None
    ) -> list[Vector]:
        unparsable = call.query.get("unparsable-behavior", self._settings.unparsable_default)
        if unparsable not in ("error", "discard"):
            raise faults.refused("unparsable-behavior is 'error' or 'discard'")
        if ndjson is None:
            ndjson = parsing.ndjson(call, lenient=self._settings.lenient)
        discard = unparsable == "discard"
        vectors = parsing.parse_vectors(ndjson, verb, discard=discard)
        if discard and self._settings.discards == "invalid":
            expected = service.get_index(index).config.dimensions
            vectors = [v for v in vectors if self._is_valid(verb, v, expected)]
        if self._settings.duplicate_ids == "reversed":
            vectors.reverse()
        distinct = len({vector.id for vector in vectors})
        if self._settings.duplicate_ids == "error" and distinct < len(vectors):
            raise faults.refused("the payload has an id twice")
        return vectors

    def _is_valid(self, verb: str, vector: Vector, dimensions: int) -> bool:
        try:
            validation.batch(verb, [vector], self._settings.behavior)
            validation.dimensions([vector], dimensions)
        except ServiceFault:
            return False
        return True

    def _on_index(self, work: Callable[[Service, str, Call], Any]) -> Handler:
        return lambda call: responses.success(work(call.account.service, call.names["index"], call))


def info(service: Service, index: str, _: Call) -> Any:
    """How far an index has got."""
    return responses.info(service.index_info(index))


def get_by_ids(service: Service, index: str, call: Call) -> Any:
    """Vectors by their ids."""
    return responses.vectors(service.get_by_ids(index, parsing.ids(parsing.json_object(call))))


def delete_by_ids(service: Service, index: str, call: Call) -> Any:
    """The receipt of a delete."""
    return responses.mutation(service.delete_by_ids(index, parsing.ids(parsing.json_object(call))))


def list_vectors(service: Service, index: str, call: Call) -> Any:
    """A page of ids."""
    count, cursor = _count(call.query.get("count")), call.query.get("cursor")
    return responses.id_page(service.list_vectors(index, count=count, cursor=cursor))


def create_metadata_index(service: Service, index: str, call: Call) -> Any:
    """The receipt of a new metadata index."""
    body = parsing.json_object(call)
    name, index_type = field(body, "propertyName", str), field(body, "indexType", str)
    return responses.mutation(service.create_metadata_index(index, name, index_type))


def list_metadata_indexes(service: Service, index: str, _: Call) -> Any:
    """The metadata indexes in force."""
    return responses.metadata_indexes(service.list_metadata_indexes(index))


def delete_metadata_index(service: Service, index: str, call: Call) -> Any:
    """The receipt of the deletion of a metadata index."""
    name = field(parsing.json_object(call), "propertyName", str)
    return responses.mutation(service.delete_metadata_index(index, name))


def _return_metadata(body: Mapping[str, Any]) -> Any:
    given = body.get("returnMetadata")
    return given if isinstance(given, bool) else field(body, "returnMetadata", str)


def _config(config: Any) -> Any:
    if config is None:
        return None
    preset = field(config, "preset", str)
    if preset is not None:
        return preset
    return IndexConfig(field(config, "dimensions", int), field(config, "metric", str))


def _count(text: str | None) -> int:
    if text is None:
        return limits.DEFAULT_LIST_COUNT
    # Not int(): it would take "１０", " 7" and "1_0" too.
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        whole = f"an integer in range: [1, {limits.MAX_LIST_COUNT}]"
        raise faults.refused(f"count must be {whole}, got {text[:20]!r}")
    return int(text)
