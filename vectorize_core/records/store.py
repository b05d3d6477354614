"""What the LangChain and the LlamaIndex store have in common: records in an index.

Here is what a store is, which records a call means, and how records are added and searched for.
What else is done with them are flows over a `RecordStore`, in files beside this one. Each
framework's store runs flows for its sync methods and awaits them for its async ones.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence, Sized
from functools import partial
from typing import Literal, Self, TypeAlias, Unpack, cast

from numpy.typing import ArrayLike

from vectorize_core import jsontext, layout
from vectorize_core.api import validation
from vectorize_core.api.by_words import TextQuery
from vectorize_core.api.operations import GetIndex, Upsert
from vectorize_core.connection import Connection
from vectorize_core.errors import ConfigurationError, IndexNotFoundError, InvalidInputError
from vectorize_core.filters.ast import Expression
from vectorize_core.filters.parse import parse
from vectorize_core.filters.plan import Plan, Unindexed, check_unindexed, in_records
from vectorize_core.layout import Record, RecordReader
from vectorize_core.models import Id, Match, Values, Vector
from vectorize_core.reads import by_id, search, selection
from vectorize_core.reads.selection import (
    MAX_ENUMERATION_REQUESTS,
    MAX_SEARCH_REQUESTS,
    Claim,
    Precision,
    Properties,
    Selection,
    SelectOptions,
    allowance,
    check_precision,
)
from vectorize_core.records.due import Due
from vectorize_core.records.embedder import Embedder, NoEmbedder
from vectorize_core.records.hit import Hit
from vectorize_core.records.ingest import Ingest
from vectorize_core.records.item import Item
from vectorize_core.records.store_index import StoreIndex
from vectorize_core.state import waiting
from vectorize_core.state.index_state import IndexState
from vectorize_core.state.pending import warn_of_pending_writes
from vectorize_core.state.waiting import DEFAULT_WAIT_TIMEOUT, Wait, WaitOptions
from vectorize_core.texts.indexing import Rows, RowWriting
from vectorize_core.texts.keeping import Putting, Removals
from vectorize_core.texts.reading import OnMissingText, TextReading
from vectorize_core.texts.store import TextStore
from vectorize_core.texts.text_index import TextIndex
from vectorize_core.texts.upkeep import Upkeep
from vectorize_core.transport.io import Io, run
from vectorize_core.writes import writing
from vectorize_core.writes.batching import check_batch_size
from vectorize_core.writes.estimate import estimate
from vectorize_core.writes.sources import Records
from vectorize_core.writes.writing import WriteOptions

Translate: TypeAlias = Callable[[Expression, Properties], Awaitable[Expression]]
"""Of a filter, and the filterable properties when awaited, the filter that is meant."""
OnOversize: TypeAlias = Literal["error", "cut"]
"""What becomes of a text that does not fit into its vector and has nowhere else to go."""


class AddOptions(WriteOptions, total=False):
    """How records are written, and where to; ``dry_run`` estimates only."""

    namespace: str | None
    dry_run: bool


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
        validation.one_of("on_oversize", self.on_oversize, ("error", "cut"))
        if self.on_oversize == "cut" and self.texts is not None:
            raise ConfigurationError(
                "texts= keeps long texts whole, on_oversize='cut' does not: give one of them"
            )
        validation.one_of("on_missing_text", self.on_missing_text, ("error", "empty"))
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
        beside = self.index.target.beside
        return self.texts if self.texts is not None or beside is None else beside.texts

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
        index = dataclasses.replace(self.index.owning(False), wording=self.index.wording.of_view())
        return dataclasses.replace(self, index=index, namespace=namespace, bound=True)

    def owning(self) -> Self:
        """This store, with a connection that it closes itself."""
        return dataclasses.replace(self, index=self.index.owning(True))

    def close(self) -> None:
        """Remove the long texts that are due, and close the connection if it is the store's own."""
        run(self.due.remove_last(self.connection.io()))
        target = self.index.target
        if target.owned:
            target.connection.close()

    async def aclose(self) -> None:
        """As `close`, of the connection in the running event loop."""
        await self.due.remove_last(self.connection.async_io())
        target = self.index.target
        if target.owned:
            await target.connection.aclose()

    async def await_writes(
        self, io: Io, wait_timeout: float | None = None, *, purpose: str = ""
    ) -> None:
        """Wait until reads see the latest writes of this store's connection to the index."""
        timeout = wait_timeout if wait_timeout is not None else self.wait_timeout
        await self.due.wait_and_remove(io, timeout, purpose=purpose)

    @property
    def due(self) -> Due:
        """What is left to remove when reads see the writes."""
        return Due(
            self.state, self.long_texts, self.rows, self.removals, self._tenant, self.wait_timeout
        )

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
        ingest: Callable[..., Ingest] = Ingest,
        **options: Unpack[AddOptions],
    ) -> list[str]:
        """Write records, embedding those without values; returns all ids in input order.

        Records are embedded and sent a batch at a time: the next batch is embedded while earlier
        ones are on their way. With ``dry_run`` nothing is embedded or written; returns a
        `WriteEstimate`.

        A text that is too long goes to the store's `long_texts`. One there that is replaced is
        deleted when reads see the write. ``ingest`` makes the source of vectors out of ``items``.
        """
        self.check_adding(**options)
        add = partial(self._add, io, items, ingest, self.row_writing(), **options)
        try:
            return await add()
        except IndexNotFoundError as error:
            # Another client has deleted the index, and nothing was written: as if the store had
            # known, which it does now.
            again = self.index.may_create and isinstance(items, Sized)
            if not again or not error.operation.startswith((Upsert.__name__, GetIndex.__name__)):
                raise
            return await add()

    async def _add(
        self,
        io: Io,
        items: Records[Item],
        ingest: Callable[..., Ingest],
        rows: RowWriting | None,
        *,
        namespace: str | None = None,
        dry_run: bool = False,
        **options: Unpack[WriteOptions],
    ) -> list[str]:
        if options.get("batch_size") is None:
            options["batch_size"] = self.batch_size
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
            if putting.superseded and self.sees(waits):
                await putting.finish(io, waits["wait_timeout"])
            elif putting.superseded:
                await self.due.leave(io, putting, putting.superseded)
        if rows is not None:
            await rows.finish(io, seen=self.sees(waits))
        return source.ids

    def check_adding(self, **options: Unpack[AddOptions]) -> None:
        """What `add` would refuse; an update reads before it adds."""
        # Before a model is asked, or a file of texts opened.
        self.connection.executor.check()
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
        self.connection.executor.check()
        (embedding,) = await self.embedder.vectors(io, [jsontext.plain(query)], as_queries=True)
        # A copy: a model may give the next query the same memory while this one is on its way.
        return validation.query_vector(embedding, "the embedding of the query").copy()

    async def warn_of_pending_writes(self, io: Io) -> None:
        """Warn, where nothing was found, of own writes that reads may not see yet."""
        await warn_of_pending_writes(io, self.state, self.index.wording, tenant=self._tenant)

    async def hits(self, io: Io, matches: Sequence[Match]) -> list[Hit]:
        """The records of matches; those that are gone are left out."""
        return [Hit(record, match) for match, record in await self.reading.records(io, matches)]

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
            partial(self.plan, options, refs),
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

    async def plan(
        self, options: SelectOptions, refs: Sequence[str] | None, properties: Properties
    ) -> Plan:
        """How to find what options select, of the documents ``refs`` unless None."""
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
            wording=self.index.wording,
            hidden=in_records(self.text_key, refs=self.translate is not None),
            within=within,
            unindexed=options.get("unindexed", self.unindexed),
        )

    async def get(self, io: Io, ids: Sequence[Id]) -> list[Record]:
        """The records with these ids, in the order of ``ids``; missing ones are left out."""
        found = await self.reading.records(io, await self.vectors(io, ids))
        return [record for _, record in found]

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
        return self.inside(found.values(), namespace)

    def inside(self, found: Iterable[Vector], namespace: str | None = None) -> list[Vector]:
        """Those vectors of one namespace, unless None; in a bound store of its own."""
        within = self.namespace if self.bound else namespace
        return [vector for vector in found if within is None or vector.namespace == within]
