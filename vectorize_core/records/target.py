"""Which index a store works on: embedded, over a client, or on Cloudflare. No I/O."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, Unpack

from vectorize_core.api import validation
from vectorize_core.api.by_words import TextQuery
from vectorize_core.client import IndexClient
from vectorize_core.connection import (
    Connection,
    Limits,
    binding_connection,
    check_limits,
    http_connection,
    local_connection,
)
from vectorize_core.errors import ConfigurationError, shown
from vectorize_core.index import AsyncIndex, Index
from vectorize_core.models import IndexType, Metric
from vectorize_core.records.beside import Beside
from vectorize_core.state.index_state import IndexState
from vectorize_core.texts.text_index import TextIndex
from vectorize_core.transport.http_options import HttpOptions, word_or_kind

_CLIENTS: Final = (
    ("client", IndexClient, "VectorizeClient or AsyncVectorizeClient"),
    ("index", (Index, AsyncIndex), "Index or AsyncIndex"),
)


class Target(NamedTuple):
    """An index on a connection; ``state`` is what the connection knows of it.

    ``owned``: the connection is the store's to close. ``makes``: its first write makes a missing
    index unless the store is told otherwise, as where it was found by ``path=``. ``beside`` the
    vectors stands what the connection keeps there, if they are embedded.
    """

    connection: Connection
    state: IndexState
    owned: bool
    makes: bool = False
    beside: Beside | None = None

    def text_index_of(self, given: TextIndex | bool | None) -> TextIndex | None:
        """The text index that a store is given; True is one beside the vectors, or the engine's."""
        if given is None or given is False:
            return None
        if given is True:
            if TextQuery in self.connection.capabilities.operations:
                return None
            if self.beside is None:
                raise ConfigurationError(
                    "text_index=True keeps texts beside the vectors of an embedded store. On "
                    "Cloudflare give text_index=D1TextIndex(database_id), or in a Worker "
                    "D1TextIndex.from_binding(env.DB), which keeps them in a D1 database"
                )
            return self.beside.text_index
        if not isinstance(given, TextIndex):
            raise ConfigurationError(
                "text_index is True, a D1TextIndex, a SqliteTextIndex or another TextIndex; got "
                f"{shown(given)}"
            )
        return given

    def __reduce__(self) -> tuple[object, ...]:
        return target_of, (self.connection, self.state.name, self.owned, self.makes)


def target_of(
    connection: Connection, index_name: str, owned: bool = False, makes: bool = False
) -> Target:
    """An index on a connection."""
    state, beside = connection.state(index_name), connection.beside(Beside)
    return Target(connection, state, owned, makes, beside)


def _check_one_way(
    ways: Mapping[str, object], options: Mapping[str, object], limits: Limits | None
) -> None:
    """Raise `ConfigurationError` for ways to an index that exclude each other."""
    given = [name for name, value in ways.items() if value is not None]
    is_made = ways["client"] is None and ways["index"] is None
    # Every connection that is made here takes these.
    always = {"retry", "on_event"} if is_made else set[str]()
    given += [name for name, value in options.items() if value is not None and name not in always]
    if limits is not None and {"client", "index", "binding"} & {*given} and ways["path"] is None:
        given.append("limits")
    more = given[1:]
    if more and given[0] in ways:
        advice = "give one of path=, client=, index=, binding=, or credentials"
        if options.keys() >= {*more}:
            are = "is" if len(more) == 1 else "are"
            advice = f"{_listed(more)} {are} for a store that makes its own connection over HTTP"
        raise ConfigurationError(f"{_listed(given)} exclude each other; {advice}")


def _check_kinds(ways: Mapping[str, object]) -> None:
    for name, kinds, wanted in _CLIENTS:
        if ways[name] is not None and not isinstance(ways[name], kinds):
            raise ConfigurationError(f"{name} is {wanted}; got {word_or_kind(ways[name])}")


def _listed(names: Iterable[str]) -> str:
    return " and ".join(f"{name}=" for name in names)


def locate(
    index_name: str | None,
    *,
    path: str | os.PathLike[str] | None = None,
    client: IndexClient | None = None,
    index: Index | AsyncIndex | None = None,
    binding: Any = None,
    metric: Metric | None = None,
    metadata_indexes: Mapping[str, IndexType] | None = None,
    limits: Limits | None = None,
    **options: Unpack[HttpOptions],
) -> Target:
    """The index a store works on: by ``path``, ``client``, ``index``, ``binding`` or credentials.

    ``limits`` are those of a connection that is made here; Cloudflare has its own anyway. What a
    ``binding`` does not tell of its index is ``metric`` and ``metadata_indexes``.
    """
    check_limits(limits)
    ways = {"path": path, "client": client, "index": index, "binding": binding}
    _check_one_way(ways, options, limits)
    _check_kinds(ways)
    if index is not None:
        if index_name is not None and index_name != index.name:
            raise ConfigurationError(f"index_name={index_name!r} is not {index!r}")
        return target_of(index.connection, index.name)
    if index_name is None:
        raise ConfigurationError("a store needs index_name=, the index to work on")
    index_name = validation.check_index_name(index_name)
    if client is not None:
        return target_of(client.connection, index_name)
    if binding is not None:
        connection = binding_connection(
            binding,
            index_name,
            metric=metric,
            metadata_indexes=metadata_indexes,
            retry=options.get("retry"),
            on_event=options.get("on_event"),
        )
        return target_of(connection, index_name, True)
    if path is not None:
        connection = local_connection(
            path, retry=options.get("retry"), on_event=options.get("on_event"), limits=limits
        )
        return target_of(connection, index_name, True, True)
    return target_of(http_connection(**options), index_name, True)
