"""What the LangChain and the LlamaIndex store have in common: records in an index.

The methods of `RecordStore` are flows over an `Io`: each framework's store runs them for its sync
methods and awaits them for its async ones.
"""

from __future__ import annotations

import dataclasses
import logging
import sys
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
    Sized,
)
from contextlib import aclosing
from functools import partial
from typing import Any, Literal, NamedTuple, Self, TypeAlias, Unpack, cast

from numpy.typing import ArrayLike

from vectorize_core import jsontext, layout
from vectorize_core.api import validation
from vectorize_core.api.by_words import TextQuery
from vectorize_core.api.operations import Upsert
from vectorize_core.connection import Connection
from vectorize_core.errors import (
    ConfigurationError,
    IndexNotFoundError,
    InvalidInputError,
    VectorizeError,
)
from vectorize_core.filters.ast import Expression
from vectorize_core.filters.explain import Explanation, explain
from vectorize_core.filters.parse import parse
from vectorize_core.filters.plan import Plan, Unindexed, check_unindexed, in_records
from vectorize_core.layout import Record, RecordReader
from vectorize_core.models import Id, Match, Values, Vector
from vectorize_core.reads import by_id, enumeration, raw, search, selection
from vectorize_core.reads.post_filter import PostFilter
from vectorize_core.reads.selection import (
    MAX_ENUMERATION_REQUESTS,
    MAX_SEARCH_REQUESTS,
    AnyFilter,
    Claim,
    FindOptions,
    Precision,
    Properties,
    Selection,
    SelectOptions,
    allowance,
    check_ids,
    check_precision,
)
from vectorize_core.records.embedder import Embedder, NoEmbedder
from vectorize_core.records.hit import Hit
from vectorize_core.records.ingest import Ingest
from vectorize_core.records.item import Item
from vectorize_core.records.store_index import StoreIndex
from vectorize_core.state import waiting
from vectorize_core.state.index_state import IndexState
from vectorize_core.state.pending import warn_of_pending_writes
from vectorize_core.state.waiting import DEFAULT_WAIT_TIMEOUT, Wait, WaitOptions
from vectorize_core.texts import keeping as texts_kept
from vectorize_core.texts.indexing import Rows, RowWriting
from vectorize_core.texts.keeping import Keeping, Putting, Removals
from vectorize_core.texts.reading import OnMissingText, TextReading, check_on_missing_text
from vectorize_core.texts.store import TextStore
from vectorize_core.texts.text_index import TextIndex
from vectorize_core.texts.upkeep import Upkeep
from vectorize_core.transport.io import Io, run
from vectorize_core.writes import writing
from vectorize_core.writes.batching import check_batch_size
from vectorize_core.writes.estimate import estimate
from vectorize_core.writes.sources import Records
from vectorize_core.writes.writing import WriteOptions

logger = logging.getLogger("vectorize_core")

_MOST_DUE = 10_000
"""Records whose long texts may be due at once; with more, a delete or write waits."""

Changes: TypeAlias = Mapping[Any, Any] | Sequence[Mapping[Any, Any]]
"""Metadata for all records of a call, or for each its own."""
Translate: TypeAlias = Callable[[Expression, Properties], Awaitable[Expression]]
"""Of a filter, and the filterable properties when awaited, the filter that is meant."""
OnOversize: TypeAlias = Literal["error", "cut"]
"""What becomes of a text that does not fit into its vector and has nowhere else to go."""


class AddOptions(WriteOptions, total=False):
    """How records are written, and where to; ``dry_run`` estimates only."""

    namespace: str | None
    dry_run: bool


class CountOptions(FindOptions, total=False):
    """As `FindOptions`; ``precision="high"`` leaves nothing to the service's approximation."""

    precision: Precision


class Found(NamedTuple):
    """A record, the values of its vector if they were asked for, and the id of that."""

    record: Record
    values: Values | None
    stored_id: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RecordStore:
    """Records in one index, and how they are written unless a call says otherwise.

    ``namespace`` is where records are written and looked for; None writes to the unnamed one and
    looks in all. A store that is ``bound`` to its namespace is a tenant's: it reaches no record of
    another namespace. Its records are stored under digests of their ids, so that no two tenants'
    are the same; it takes and returns the tenant's own ids. ``translate`` gives a filter the
    meaning that it has in a framework.
    """

    index: StoreIndex
    embedder: Embedder = dataclasses.field(default_factory=NoEmbedder, repr=False)
    namespace: str | None = None
    bound: bool = False
    text_key: str = layout.DEFAULT_TEXT_KEY
    translate: Translate | None = dataclasses.field(default=None, repr=False)
    texts: TextStore | None = None
    text_index: TextIndex | bool | None = None
    on_oversize: OnOversize = "error"
    on_missing_text: OnMissingText = "error"
    unindexed: Unindexed = "error"
    batch_size: int | None = None
    wait: Wait = False
    wait_timeout: float = DEFAULT_WAIT_TIMEOUT
    removals: Removals = dataclasses.field(default_factory=Removals, repr=False, compare=False)
    upkeep: Upkeep = dataclasses.field(default_factory=Upkeep, repr=False, compare=False)

    def __post_init__(self) -> None:
        # A frozen dataclass is made once, of what users give.
        object.__setattr__(self, "namespace", validation.as_namespace(self.namespace))
        object.__setattr__(self, "text_key", layout.check_text_key(self.text_key))
        self.index.check_indexable(self.text_key)
        waiting.check_waits(self.wait, self.wait_timeout)
        check_batch_size(self.batch_size)
        if self.on_oversize not in ("error", "cut"):
            raise InvalidInputError(f"on_oversize is 'error' or 'cut'; got {self.on_oversize!r}")
        if self.on_oversize == "cut" and self.texts is not None:
            raise ConfigurationError(
                "texts= keeps long texts whole, on_oversize='cut' does not: give one of them"
            )
        check_on_missing_text(self.on_missing_text)
        check_unindexed(self.unindexed)
        text_index = self.index.target.text_index_of(self.text_index)
        object.__setattr__(self, "text_index", text_index)
        if text_index is not None:
            object.__setattr__(self, "index", dataclasses.replace(self.index, text_index=True))

    # The store itself

    @property
    def connection(self) -> Connection:
        """The connection that the records are reached over."""
        return self.index.target.connection

    @property
    def long_texts(self) -> TextStore | None:
        """Where too long texts are kept: the given store, else one beside the vectors."""
        return self.texts if self.texts is not None else self.index.target.texts

    @property
    def rows(self) -> Rows | None:
        """The rows of the text index, if there is one."""
        if not isinstance(self.text_index, TextIndex):
            return None
        return Rows(self.text_index, self.state, self.upkeep)

    @property
    def engine_has_words(self) -> bool:
        """Whether the engine of the vectors searches by words itself."""
        return TextQuery in self.connection.capabilities.operations

    @property
    def has_words(self) -> bool:
        """Whether records can be searched by words."""
        return self.text_index is not None or self.engine_has_words

    @property
    def state(self) -> IndexState:
        """What the connection knows of the index."""
        return self.index.target.state

    @property
    def reading(self) -> TextReading:
        """How records get their texts."""
        reader = RecordReader(self.text_key, self.bound)
        return TextReading(self.state, reader, self.long_texts, self.on_missing_text)

    def with_namespace(self, namespace: str) -> Self:
        """This store, bound to a namespace. It leaves the connection to this one to close."""
        if namespace is None:
            raise InvalidInputError("a tenant has a namespace of its own; got None")
        if self.bound:
            raise TypeError(
                f"this view is bound to the namespace {self.namespace!r}; make others with "
                "with_namespace() of the store itself"
            )
        index = dataclasses.replace(self.index.owning(False), words=self.index.words.of_view())
        return dataclasses.replace(self, index=index, namespace=namespace, bound=True)

    def owning(self) -> Self:
        """This store, with a connection that it closes itself."""
        return dataclasses.replace(self, index=self.index.owning(True))

    def close(self) -> None:
        """Remove the long texts that are due, and close the connection if it is the store's own."""
        run(self._remove_last(self.connection.io()))
        target = self.index.target
        if target.owned:
            target.connection.close()
            target.close()

    async def aclose(self) -> None:
        """As `close`, of the connection in the running event loop."""
        await self._remove_last(self.connection.async_io())
        target = self.index.target
        if target.owned:
            await target.connection.aclose()
            if target.embedded:
                await target.connection.async_io().offload(target.release)

    async def await_writes(
        self, io: Io, wait_timeout: float | None = None, *, purpose: str = ""
    ) -> None:
        """Wait until reads see the latest writes of this store's connection to the index."""
        timeout = wait_timeout if wait_timeout is not None else self.wait_timeout
        await waiting.wait_for_own(io, self.state, timeout, purpose=purpose, confined=self.bound)
        await self._remove_due(io)

    async def _remove_due(self, io: Io) -> None:
        """Remove long texts and rows of replaced texts, when reads see all own writes."""
        if self.removals and self.long_texts is not None:
            await self.removals.remove(io, Keeping(self.long_texts, self.state), self._tenant)
        if self.rows is not None:
            await self.rows.remove_due(io)

    async def _remove_last(self, io: Io) -> None:
        """`_remove_due` before the end: what stays now would stay for ever."""
        try:
            if self._due:
                timeout, purpose = self.wait_timeout, "the removal of long texts"
                await waiting.wait_for_own(
                    io, self.state, timeout, purpose=purpose, confined=self.bound
                )
                await self._remove_due(io)
            if self.rows is not None:
                await self.rows.remove_seen(io)
        except VectorizeError as error:
            logger.debug("index %r: %s", self.index.name, error)
        if self._due:
            logger.warning(
                "index %r: the long texts of %d records that were deleted or replaced have not "
                "been deleted, as reads may still see their vectors. Deleting or writing these "
                "records again removes them",
                self.index.name,
                self._due,
            )

    @property
    def _due(self) -> int:
        """Records whose long texts are due: of a tenant its own, which is all that it waits for."""
        return self.removals.count(self._tenant)

    @property
    def _tenant(self) -> str | None:
        return self.namespace if self.bound else None

    def waits(self, wait: Wait | None = None, wait_timeout: float | None = None) -> WaitOptions:
        """What a write waits for: as it says, else as the store was told."""
        wait = wait if wait is not None else self.wait
        wait_timeout = wait_timeout if wait_timeout is not None else self.wait_timeout
        waiting.check_waits(wait, wait_timeout)
        return WaitOptions(wait=wait, wait_timeout=wait_timeout)

    def sees(self, waits: WaitOptions) -> bool | None:
        """Whether reads see a write when it returns; None if to look costs no request."""
        if waiting.wait_goal(waits["wait"]) == "visible":
            return True
        return None if self.connection.address.path is not None else False

    # Writing

    async def add(
        self,
        io: Io,
        items: Records[Item],
        *,
        namespace: str | None = None,
        dry_run: bool = False,
        ingest: Callable[..., Ingest] = Ingest,
        **options: Unpack[WriteOptions],
    ) -> list[str]:
        """Write records, embedding those without values; returns all ids in input order.

        Records are embedded and sent a batch at a time: the next batch is embedded while earlier
        ones are on their way. With ``dry_run`` nothing is embedded or written; returns a
        `WriteEstimate`.

        A text that is too long goes to the store's `long_texts`. One there that is replaced is
        deleted when reads see the write. ``ingest`` makes the source of vectors out of ``items``.
        """
        self.check_adding(namespace=namespace, dry_run=dry_run, **options)
        if options.get("batch_size") is None:
            options["batch_size"] = self.batch_size
        rows = self.row_writing()
        try:
            return await self._add(io, items, namespace, dry_run, rows, ingest, options)
        except IndexNotFoundError as error:
            # Another client has deleted the index, and nothing was written: as if the store had
            # known, which it does now.
            again = self.index.may_create and isinstance(items, Sized)
            if not again or not error.operation.startswith(Upsert.__name__):
                raise
            return await self._add(io, items, namespace, dry_run, rows, ingest, options)

    async def _add(
        self,
        io: Io,
        items: Records[Item],
        namespace: str | None,
        dry_run: bool,
        rows: RowWriting | None,
        ingest: Callable[..., Ingest],
        options: WriteOptions,
    ) -> list[str]:
        putting = self.putting()
        source = ingest(
            io,
            self.index,
            items,
            embedder=self.embedder,
            text_key=self.text_key,
            namespace=self.in_namespace(namespace),
            tenant=self.bound,
            texts=putting,
            rows=rows,
            cut=self.on_oversize == "cut",
        )
        if dry_run:
            return await estimate(io, self.state, source, **options)
        waits = self.waits(options.get("wait"), options.get("wait_timeout"))
        await writing.write(
            io, self.state, source, "upsert", **WriteOptions(**{**options, **waits})
        )
        if putting is not None:
            self.removals.note_own(putting.own)
            await self._remove_texts(io, putting, putting.superseded, waits)
        if rows is not None:
            await rows.finish(io, seen=self.sees(waits))
        return source.ids

    def check_adding(self, **options: Unpack[AddOptions]) -> None:
        """What `add` would refuse; an update reads before it adds."""
        self.in_namespace(options.pop("namespace", None))
        validation.flag("dry_run", options.pop("dry_run", False))
        writing.check_options(**cast("WriteOptions", options))

    def putting(self) -> Putting | None:
        """The long texts of one write."""
        if self.long_texts is None:
            return None
        return Putting(self.long_texts, self.state, self.removals.own)

    def row_writing(self) -> RowWriting | None:
        """The rows of one write, if there is a text index."""
        if not isinstance(self.text_index, TextIndex):
            return None
        return RowWriting(self.text_index, self.state, self.upkeep)

    # Searching

    async def search(
        self,
        io: Io,
        query: ArrayLike | str,
        k: int,
        *,
        refs: Sequence[str] | None = None,
        return_values: bool = False,
        score_threshold: float | None = None,
        **options: Unpack[SelectOptions],
    ) -> list[Hit]:
        """The ``k`` records nearest to a vector, or to the embedding of a text; best first.

        None whose score is worse than ``score_threshold``: less for the cosine, and more for the
        other metrics. Scores are those of the service.
        """
        k = validation.whole_number("k", k)
        score_threshold = validation.score_threshold(score_threshold)
        if not isinstance(query, str):
            query = validation.query_vector(query)
        chosen = await self.select(
            io, options, claim="best", refs=refs, max_requests=MAX_SEARCH_REQUESTS
        )
        if chosen is None:
            return []
        if isinstance(query, str):
            query = await self.embedded(io, query)
        return await self.nearest(
            io, query, k, chosen, return_values=return_values, score_threshold=score_threshold
        )

    async def nearest(
        self,
        io: Io,
        query: Values,
        k: int,
        chosen: Selection,
        *,
        return_values: bool = False,
        score_threshold: float | None = None,
    ) -> list[Hit]:
        """The ``k`` of the chosen records that are nearest to a vector; best first."""
        matches = await search.search(
            io,
            self.state,
            query,
            k,
            chosen,
            return_values=return_values,
            return_metadata="all",
            score_threshold=score_threshold,
        )
        if k and not matches and score_threshold is None:
            await self.warn_of_pending_writes(io)
        return await self.hits(io, matches)

    async def embed_query(
        self, io: Io, query: str, **options: Unpack[SelectOptions]
    ) -> Values | None:
        """The embedding of a query; None, and nothing embedded, if the search will find nothing."""
        if await self.select(io, options, claim=None) is None:
            return None
        return await self.embedded(io, query)

    async def embedded(self, io: Io, query: str) -> Values:
        """The embedding of a query."""
        (embedding,) = await self.embedder.vectors(io, [jsontext.plain(query)], as_queries=True)
        return validation.query_vector(embedding, "the embedding of the query")

    async def warn_of_pending_writes(self, io: Io) -> None:
        """Warn, where nothing was found, of own writes that reads may not see yet."""
        await warn_of_pending_writes(io, self.state, self.index.words, tenant=self._tenant)

    async def hits(self, io: Io, matches: Sequence[Match]) -> list[Hit]:
        """The records of matches; those that are gone are left out."""
        return [Hit(record, match) for match, record in await self.reading.records(io, matches)]

    # Reading

    async def get(self, io: Io, ids: Sequence[Id]) -> list[Record]:
        """The records with these ids, in the order of ``ids``; missing ones are left out."""
        return await self._records(io, await self.vectors(io, ids))

    async def glance(self, io: Io, ids: Sequence[str]) -> list[Record]:
        """`get` for who wants no texts: those outside of their vectors are not read."""
        if not await self.index.exists(io):
            return []
        found = await by_id.get_many(io, self.state, [*map(self.stored_id, ids)])
        return await self.reading.for_filter(io, self._inside(found.values()), texts=False)

    async def records(
        self,
        io: Io,
        *,
        ids: Sequence[Id] | None = None,
        limit: int | None = None,
        return_values: bool = False,
        **options: Unpack[SelectOptions],
    ) -> list[Found]:
        """All records that a filter matches; of those with ``ids``, in their order, unless None.

        Not more than ``limit`` unless None.
        """
        most = None if limit is None else validation.whole_number("limit", limit)
        if ids is not None:
            if "max_requests" in options:
                check_ids(ids, allowance(options, MAX_SEARCH_REQUESTS, self.state))
            namespace = self.in_namespace(options.get("namespace"))
            vectors = await self.selected(io, ids, options.get("filter"), namespace=namespace)
            return await self._found(io, vectors[:most], return_values)
        if most == 0:
            return []
        found: list[Found] = []
        async with aclosing(self.iter_found(io, return_values=return_values, **options)) as every:
            async for one in every:
                found.append(one)
                if len(found) == most:
                    break
        return found

    async def iter_records(
        self, io: Io, *, refs: Sequence[str] | None = None, **options: Unpack[SelectOptions]
    ) -> AsyncGenerator[Record, None]:
        """All records that a filter matches, and of ``refs``; as answers come in, in no order."""
        async with aclosing(self.iter_found(io, refs=refs, **options)) as every:
            async for found in every:
                yield found.record

    async def iter_found(
        self,
        io: Io,
        *,
        refs: Sequence[str] | None = None,
        return_values: bool = False,
        **options: Unpack[SelectOptions],
    ) -> AsyncGenerator[Found, None]:
        """`iter_records`, with values where they are asked for."""
        chosen = await self.select(io, options, refs=refs)
        if chosen is None:
            return
        rounds = enumeration.iter_matching(
            io, self.state, chosen, return_metadata="all", return_values=return_values
        )
        async with aclosing(rounds) as found:
            async for some in found:
                for one in await self._found(io, some, return_values):
                    yield one

    async def iter_ids(self, io: Io, **options: Unpack[SelectOptions]) -> AsyncGenerator[str, None]:
        """The ids of all records that a filter matches, or there are, in no order."""
        async with aclosing(self.iter_named(io, **options)) as named:
            async for name, _ in named:
                yield name

    async def iter_named(
        self, io: Io, **options: Unpack[SelectOptions]
    ) -> AsyncGenerator[tuple[str, str], None]:
        """`iter_ids`, each with the id that the record is stored under."""
        chosen = await self.select(io, options)
        if chosen is None:
            return
        if self.bound:
            # A tenant's own id of a record is in its metadata.
            rounds = enumeration.iter_matching(io, self.state, chosen, return_metadata="all")
            async with aclosing(rounds) as matches:
                async for some in matches:
                    for match in some:
                        yield self.reading.reader.name(match), match.id
            return
        if chosen.is_everything:
            await self.await_writes(io, purpose="listing ids")
            ids = by_id.iter_ids(io, self.state)
        else:
            ids = enumeration.matching_ids(io, self.state, chosen)
        async with aclosing(ids) as found:
            async for vector_id in found:
                yield vector_id, vector_id

    async def stored_under(
        self,
        io: Io,
        stored_ids: Sequence[str],
        *,
        namespace: str | None = None,
        return_values: bool = False,
    ) -> list[Found]:
        """The records that are stored under these ids, of one namespace unless None, in order."""
        found = await by_id.get_many(io, self.state, stored_ids)
        vectors = self._inside(found.values(), self.in_namespace(namespace))
        return await self._found(io, vectors, return_values)

    async def count(
        self, io: Io, *, precision: Precision = "normal", **options: Unpack[SelectOptions]
    ) -> int:
        """How many records a filter matches, or there are without one."""
        chosen = await self.select(io, options, precision=precision)
        return 0 if chosen is None else await enumeration.count(io, self.state, chosen)

    async def explain_filter(
        self,
        io: Io,
        filter: AnyFilter | None,
        k: int | None,
        *,
        unindexed: Unindexed | None = None,
    ) -> Explanation:
        """How a filter is answered, and for how many requests."""
        if k is not None:
            k = validation.whole_number("k", k)
        unindexed = unindexed if unindexed is not None else self.unindexed
        plan = await self._plan(
            SelectOptions(filter=filter, unindexed=unindexed),
            None,
            partial(self.index.properties, io),
        )
        if not await self.index.exists(io):
            return explain(plan, k, 0, partitioned=True)
        count = await self.count(io) if self.bound else None
        return await raw.explain_plan(io, self.state, plan, k, count)

    async def _found(
        self, io: Io, vectors: Sequence[Match | Vector], return_values: bool
    ) -> list[Found]:
        pairs = await self.reading.records(io, vectors)
        return [Found(record, v.values if return_values else None, v.id) for v, record in pairs]

    async def _records(self, io: Io, vectors: Sequence[Match | Vector]) -> list[Record]:
        return [record for _, record in await self.reading.records(io, vectors)]

    # Deleting

    async def delete(
        self,
        io: Io,
        ids: Sequence[Id],
        *,
        wait: Wait | None = None,
        wait_timeout: float | None = None,
    ) -> None:
        """Delete the records with these ids; unknown ids are no error.

        Where texts stand elsewhere, they are deleted when reads no longer see their records: now,
        if that is so or this waits for it, otherwise at the next wait or when the store is closed.
        """
        ids = validation.as_ids(ids)
        waits = self.waits(wait, wait_timeout)
        if ids and await self.index.exists(io):
            await self._delete(io, [*map(self.stored_id, ids)], waits)

    async def delete_stored(self, io: Io, stored_ids: Sequence[str]) -> None:
        """`delete`, by the ids that the records are stored under."""
        if stored_ids:
            await self._delete(io, stored_ids, self.waits())

    async def delete_among(
        self,
        io: Io,
        ids: Sequence[str],
        *,
        filter: AnyFilter | None = None,
        namespace: str | None = None,
        wait: Wait | None = None,
        wait_timeout: float | None = None,
    ) -> None:
        """Delete those of the records with these ids that a filter matches, in a namespace.

        Waits until reads see what this client has written under these ids, unless only the
        namespace counts, which it knows of them.
        """
        waits = self.waits(wait, wait_timeout)
        namespace = self.in_namespace(namespace)
        # A tenant's ids are stored under digests of its own; other ids may be in any namespace.
        if filter is None and (namespace is None or self.bound):
            await self.delete(io, ids, wait=wait, wait_timeout=wait_timeout)
            return
        ids, own = validation.as_ids(ids), self.state.own_writes
        if not ids or not await self.index.exists(io):
            return
        if filter is not None:
            if own.unseen_among([*map(self.stored_id, ids)]):
                await self.await_writes(
                    io, waits["wait_timeout"], purpose="a delete by id and filter"
                )
            found = [v.id for v in await self.selected(io, ids, filter, namespace=namespace)]
        else:
            last = {i: w for i, w in own.unseen_among(ids).items() if w.sure}
            unknown = [vector_id for vector_id in ids if vector_id not in last]
            there = await by_id.get_many(io, self.state, unknown) if unknown else {}
            found = [v.id for v in there.values() if v.namespace == namespace]
            found += [i for i, w in last.items() if w.there and w.namespace == namespace]
            found += set(unknown).intersection(own.uncertain(namespace))
        if found:
            await self._delete(io, [*dict.fromkeys(found)], waits)

    async def delete_matching(
        self,
        io: Io,
        *,
        refs: Sequence[str] | None = None,
        verify: bool = False,
        wait: Wait | None = None,
        wait_timeout: float | None = None,
        **options: Unpack[SelectOptions],
    ) -> None:
        """Delete all records that a filter matches, or of the source documents ``refs``.

        With ``verify``, it waits until the deletion is visible and looks again until nothing is
        left.
        """
        waits = self.waits("visible" if verify else wait, wait_timeout)
        if refs is None:
            selection.check_is_filter(options.get("filter"), options.get("vectorize_filter"))
        chosen = await self.select(io, options, refs=refs)
        if chosen is None:
            return
        chosen = dataclasses.replace(chosen, wait_timeout=waits["wait_timeout"])
        pending = None
        if refs is not None and not verify and not {"filter", "vectorize_filter"} & options.keys():
            values = [layout.ref_value(ref) for ref in refs]
            pending = self.state.own_writes.of_documents(values, chosen.namespace)
        rounds = enumeration.rounds_to_delete(
            io, self.state, chosen, verify=verify, pending=pending
        )
        async with aclosing(rounds) as found:
            async for ids in found:
                await self._delete(io, ids, waits)

    async def clear(
        self, io: Io, *, wait: Wait | None = None, wait_timeout: float | None = None
    ) -> None:
        """Delete every record; in a store with a namespace, every record of that namespace."""
        waits = self.waits(wait, wait_timeout)
        if self.namespace is None:
            if not await self.index.exists(io, refresh=True):
                return
            await self.await_writes(io, waits["wait_timeout"], purpose="deleting everything")
            everything = by_id.iter_ids(io, self.state)
        else:
            chosen = await self.select(io, {"max_requests": None}, precision="high")
            if chosen is None:
                return
            chosen = dataclasses.replace(chosen, wait_timeout=waits["wait_timeout"])
            everything = enumeration.matching_ids(io, self.state, chosen)
        async with aclosing(everything) as found:
            ids = [vector_id async for vector_id in found]
        ids += self.state.own_writes.uncertain(self.namespace)
        await self._delete(io, [*dict.fromkeys(ids)], waits)

    async def _delete(self, io: Io, ids: Sequence[str], waits: WaitOptions) -> None:
        """Delete vectors and their texts; ids that no record can have are as good as deleted."""
        keeping = Keeping(self.long_texts, self.state) if self.long_texts is not None else None
        possible = [*filter(validation.possible_id, ids)]
        texts = await keeping.find(io, possible) if keeping is not None else None
        rows = self.rows
        puts = await rows.find(io, possible) if rows is not None else {}
        noted = await rows.note_delete(io, puts) if rows is not None else None
        await writing.delete(io, self.state, ids, skip_impossible=True, **waits)
        if rows is not None:
            await rows.remove(io, puts, over=noted)
        if keeping is not None and texts is not None:
            await self._remove_texts(io, keeping, texts, waits)

    async def _remove_texts(
        self, io: Io, keeping: Keeping, found: texts_kept.Found, waits: WaitOptions
    ) -> None:
        """Remove texts of deleted or replaced records, or leave them until reads see that."""
        if not found:
            return
        if not self.sees(waits):
            await self.removals.leave(io, keeping, found, self._tenant)
            if len(self.removals) > _MOST_DUE:
                await self._remove_last(io)
        elif isinstance(keeping, Putting):
            await keeping.finish(io, waits["wait_timeout"])
        else:
            await keeping.remove(io, found, waits["wait_timeout"])

    # Which records

    def in_namespace(self, namespace: str | None) -> str | None:
        """The namespace of a call: its own, else the store's; a TypeError in a bound store."""
        if namespace is not None and self.bound:
            raise TypeError(
                f"namespace={namespace!r}: this view is bound to the namespace {self.namespace!r}"
            )
        given = validation.as_namespace(namespace)
        return given if given is not None else self.namespace

    def stored_id(self, name: str) -> str:
        """The id that a record is stored under; one that no record can have stays as it is."""
        if not self.bound or not validation.possible_id(name, most=sys.maxsize):
            return name
        assert self.namespace is not None
        return layout.stored_id(self.namespace, name)

    async def select(
        self,
        io: Io,
        options: SelectOptions,
        *,
        claim: Claim = "all",
        refs: Sequence[str] | None = None,
        precision: Precision = "normal",
        max_requests: int = MAX_ENUMERATION_REQUESTS,
    ) -> Selection | None:
        """The records that options select, of the documents ``refs`` unless None.

        None if there can be none: the filter contradicts itself, or the index is not made yet.
        """
        check_precision(precision)
        allowed = allowance(options, max_requests, self.state)
        namespace = self.in_namespace(options.get("namespace"))
        plan = await selection.honest_plan(
            io,
            self.state,
            partial(self._plan, options, refs),
            partial(self.index.properties, io),
            claim=claim,
            unindexed=options.get("unindexed", self.unindexed),
            narrowed=namespace is not None,
            tenant=self._tenant,
        )
        if plan.impossible or not await self.index.exists(io):
            return None
        return Selection(
            plan=plan,
            read=self.reading.for_filter,
            namespace=namespace,
            confined=self.bound,
            precision=precision,
            allowed=allowed,
            wait_timeout=self.wait_timeout,
        )

    async def _plan(
        self, options: SelectOptions, refs: Sequence[str] | None, properties: Properties
    ) -> Plan:
        given = options.get("filter")
        if self.translate is not None and given is not None:
            given = await self.translate(parse(given), properties)
        within = None
        if refs is not None:
            known = validation.as_ids(refs, "ref_doc_ids")
            within = {layout.REF: [*map(layout.ref_value, known)]}
        return await selection.make_plan(
            given,
            options.get("vectorize_filter"),
            properties,
            index_name=self.index.name,
            words=self.index.words,
            hidden=in_records(self.text_key, refs=self.translate is not None),
            within=within,
            unindexed=options.get("unindexed", self.unindexed),
        )

    async def vectors(
        self, io: Io, ids: Sequence[Id], namespace: str | None = None
    ) -> list[Vector]:
        """The vectors with these ids, of one namespace unless None, in order."""
        ids = validation.as_ids(ids)
        if not ids or not await self.index.exists(io):
            return []
        found = await by_id.get_many(io, self.state, [*map(self.stored_id, ids)])
        if not found:
            await self.warn_of_pending_writes(io)
        return self._inside(found.values(), namespace)

    def _inside(self, found: Iterable[Vector], namespace: str | None = None) -> list[Vector]:
        """Those vectors of one namespace, unless None; in a bound store of its own."""
        within = self.namespace if self.bound else namespace
        return [vector for vector in found if within is None or vector.namespace == within]

    async def selected(
        self,
        io: Io,
        ids: Sequence[Id],
        filter: AnyFilter | None,
        refs: Sequence[str] | None = None,
        namespace: str | None = None,
    ) -> list[Vector]:
        """The vectors with these ids that a filter matches; all of it is evaluated here."""
        plan = await self._plan(
            SelectOptions(filter=filter, unindexed="scan"), refs, partial(self.index.properties, io)
        )
        if plan.impossible:
            return []
        vectors = await self.vectors(io, ids, namespace)
        return await PostFilter(plan, self.reading.for_filter).select(io, vectors)
