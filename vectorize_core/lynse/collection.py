"""`LynseCollection`: a collection of a LynseDB, with every call of its page of HTTP endpoints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar, Unpack

from numpy.typing import ArrayLike

from vectorize_core.kwargs import checks_keywords
from vectorize_core.lynse.any_collection import AnyCollection
from vectorize_core.lynse.describing import take_rows
from vectorize_core.lynse.models import (
    BinaryHits,
    BinaryRows,
    CollectionConfig,
    CollectionStats,
    Fields,
    Hits,
    Id,
    Item,
    Rows,
    SparseVector,
    VectorField,
)
from vectorize_core.lynse.operations import (
    collections,
    indexes,
    reading,
    records,
    search,
    snapshots,
    vector_fields,
)
from vectorize_core.lynse.operations.base import LynseOp, OnCollection
from vectorize_core.lynse.options import FindOptions, HybridOptions, SearchOptions, TextOptions
from vectorize_core.transport.io import run

T = TypeVar("T")


@checks_keywords()
class LynseCollection(AnyCollection):
    """A collection, under the names that LynseDB's page of HTTP endpoints gives its calls.

    What a server lacks is an `UnsupportedCallError`, and nothing is sent.
    """

    def _call(self, op: LynseOp[T]) -> T:
        return run(self._server.call(self._connection.io(), op))

    def _take_rows(self, op: OnCollection[T]) -> T:
        return run(take_rows(self._server, self._connection.io(), op))

    def required_collection(
        self,
        *,
        dim: int | None = None,
        drop_if_exists: bool = False,
        description: str | None = None,
    ) -> None:
        """Make the collection, or open the one there is.

        One that exists keeps its number of dimensions, whatever ``dim`` says: `collection_shape`
        tells. Without ``dim``, the first vector decides. A new collection has no index, and is
        searched by inner product.
        """
        self._call(
            collections.RequiredCollection(
                *self._at, dim=dim, drop_if_exists=drop_if_exists, description=description
            )
        )

    def drop_collection(self) -> None:
        """Delete the collection with all it holds; one that does not exist is no error."""
        self._call(collections.DropCollection(*self._at))

    def is_collection_exists(self) -> bool:
        """Whether there is such a collection.

        Any other call makes an empty one of a name that does not exist.
        """
        return self._call(collections.IsCollectionExists(*self._at))

    def collection_shape(self) -> tuple[int, int]:
        """How many vectors there are, soft-deleted ones too, and of how many dimensions."""
        return self._call(collections.CollectionShape(*self._at))

    def stats(self) -> CollectionStats:
        """How many vectors there are, and the index."""
        return self._call(collections.Stats(*self._at))

    def get_collection_config(self) -> CollectionConfig:
        """How the collection was made."""
        return self._call(collections.GetCollectionConfig(*self._at))

    def update_description(self, description: str) -> None:
        """Describe the collection anew."""
        self._call(collections.UpdateDescription(*self._at, description))

    def close_collection(self) -> None:
        """Write to disk what is in memory, and let go of the collection until it is used again.

        On 0.9 that drops an index that is kept in memory; `checkpoint` is enough.
        """
        self._call(collections.CloseCollection(*self._at))

    def add_item(self, vector: ArrayLike, *, id: Id, field: Fields | None = None) -> Id:
        """Add one record, and return its id; ``field`` is its metadata.

        Since 0.4, an id that exists is refused (`BadRequestError`), a soft-deleted one too.
        """
        return self._call(records.AddItem(*self._at, (id,), (vector,), (field,)))[0]

    def bulk_add_items(self, items: Iterable[Item]) -> tuple[Id, ...]:
        """Add records, all of them or none; return their ids."""
        return self._call(records.bulk_add(*self._at, items))

    def bulk_add_binary(self, vectors: ArrayLike) -> int:
        """Add vectors without ids and metadata, as float32; return how many.

        ``vectors`` has a row for each. The server numbers them.
        """
        return self._call(records.BulkAddBinary(*self._at, vectors))

    def upsert_items(
        self, ids: Sequence[Id], vectors: ArrayLike, fields: Sequence[Fields | None] | None = None
    ) -> tuple[Id, ...]:
        """Add records, or replace those of the same ids; return the ids.

        On 0.8 and 0.9, to replace a record that has metadata can ruin the collection: add one
        under another id, and delete the old one (docs/lynsedb.md).
        """
        return self._call(records.UpsertItems(*self._at, ids, vectors, fields))

    def commit(self) -> None:
        """Move what was written last from its log into the collection."""
        self._call(collections.Commit(*self._at))

    def flush(self) -> None:
        """Write to disk what is in memory, and keep the log."""
        self._call(collections.Flush(*self._at))

    def checkpoint(self) -> None:
        """Write to disk what is in memory, and empty the log."""
        self._call(collections.Checkpoint(*self._at))

    def build_index(self, index_mode: str = "FLAT-IP", n_clusters: int | None = None) -> None:
        """Build the index by which the collection is searched; it decides the metric.

        ``index_mode`` is such as FLAT-COS, FLAT-L2 or FLAT-IP, which are exact; only those of IVF
        have ``n_clusters``. Building others takes minutes, when the server answers nothing else,
        and they do not follow what is written later: adding to an HNSW index ends the server.
        """
        self._call(indexes.BuildIndex(*self._at, index_mode, n_clusters))

    def remove_index(self) -> None:
        """Remove the index, and search by inner product again."""
        self._call(indexes.RemoveIndex(*self._at))

    def build_vector_field_index(
        self, field_name: str, index_mode: str = "FLAT-IP", n_clusters: int | None = None
    ) -> None:
        """Build the index of a named vector, as `build_index` does."""
        self._call(indexes.BuildVectorFieldIndex(*self._at, field_name, index_mode, n_clusters))

    def remove_vector_field_index(self, field_name: str) -> None:
        """Remove the index of a named vector."""
        self._call(indexes.RemoveVectorFieldIndex(*self._at, field_name))

    def create_vector_field(
        self, field_name: str, dimension: int, metric: str = "ip", index_mode: str | None = None
    ) -> VectorField:
        """Make a named vector that records may have; one that exists stays as it is."""
        return self._call(
            vector_fields.CreateVectorField(*self._at, field_name, dimension, metric, index_mode)
        )

    def list_vector_fields(self) -> tuple[VectorField, ...]:
        """The vectors that records may have; "default" is their own."""
        return self._call(vector_fields.ListVectorFields(*self._at))

    def add_named_vectors(self, field_name: str, vectors: ArrayLike, ids: Sequence[Id]) -> None:
        """Give existing records their named vectors, for good: a second one is refused."""
        self._call(vector_fields.AddNamedVectors(*self._at, field_name, vectors, ids))

    def add_sparse_vectors(self, vectors: Sequence[SparseVector], ids: Sequence[Id]) -> None:
        """Give existing records their sparse vectors."""
        self._call(vector_fields.AddSparseVectors(*self._at, vectors, ids))

    def search(self, vector: ArrayLike, k: int = 10, **options: Unpack[SearchOptions]) -> Hits:
        """The ``k`` records nearest to a vector, best first.

        ``where`` is SQL, and is run as it stands: never make it of what users type.
        """
        return self._call(search.Search(*self._at, vector, k, **options))

    def search_binary(
        self, vector: ArrayLike, k: int = 10, **options: Unpack[FindOptions]
    ) -> BinaryHits:
        """`search` over the binary protocol, which names rows by number."""
        return self._call(search.SearchBinary(*self._at, vector, k, **options))

    def batch_search(
        self, vectors: ArrayLike, k: int = 10, **options: Unpack[FindOptions]
    ) -> tuple[Hits, ...]:
        """`search` for each of many vectors."""
        return self._call(search.BatchSearch(*self._at, vectors, k, **options))

    def batch_search_binary(
        self, vectors: ArrayLike, k: int = 10, **options: Unpack[FindOptions]
    ) -> tuple[BinaryHits, ...]:
        """`batch_search` over the binary protocol, which names rows by number."""
        return self._call(search.BatchSearchBinary(*self._at, vectors, k, **options))

    def search_range(self, vector: ArrayLike, threshold: float, max_results: int = 1_000) -> Hits:
        """All records whose score is at least ``threshold``; at most that, where less is better.

        On 0.9 it may miss records that were not committed yet.
        """
        return self._call(search.SearchRange(*self._at, vector, threshold, max_results))

    def search_profile(
        self, vector: ArrayLike, k: int = 10, **options: Unpack[FindOptions]
    ) -> Hits:
        """`search`, with what it took in ``profile``."""
        return self._call(search.SearchProfile(*self._at, vector, k, **options))

    def text_search(
        self,
        text: str,
        text_fields: Sequence[str] | None = None,
        k: int = 10,
        **options: Unpack[TextOptions],
    ) -> Hits:
        """The records whose metadata have words of ``text``, by BM25; all fields, or some.

        With a small ``k`` it may miss a better one: ask for 100, and cut.
        """
        return self._call(search.TextSearch(*self._at, text, text_fields, k, **options))

    def sparse_search(
        self, vector: SparseVector, k: int = 10, **options: Unpack[TextOptions]
    ) -> Hits:
        """The records with the largest dot product of sparse vectors."""
        return self._call(search.SparseSearch(*self._at, vector, k, **options))

    def hybrid_search(
        self,
        vector: ArrayLike,
        text: str,
        text_fields: Sequence[str] | None = None,
        fusion: str = "rrf",
        k: int = 10,
        **options: Unpack[HybridOptions],
    ) -> Hits:
        """`search` and `text_search` as one ranking; ``fusion`` is "rrf" or "weighted"."""
        return self._call(
            search.HybridSearch(*self._at, vector, text, text_fields, fusion, k, **options)
        )

    def query(
        self,
        where: str | None = None,
        filter_ids: Sequence[Id] | None = None,
        return_ids_only: bool = False,
    ) -> Rows:
        """Ids and metadata of the records that meet a condition, or have these ids; else of all.

        Soft-deleted records are among them. ``where`` as in `search`. Before 0.4, all are not to be
        had: `UnsupportedCallError`.
        """
        return self._call(reading.Query(*self._at, where, filter_ids, return_ids_only))

    def query_vectors(
        self, where: str | None = None, filter_ids: Sequence[Id] | None = None
    ) -> Rows:
        """`query` with vectors."""
        return self._call(reading.QueryVectors(*self._at, where, filter_ids))

    def head(self, n: int = 5) -> Rows:
        """The ``n`` records that were added first, soft-deleted ones too."""
        return self._call(reading.Head(*self._at, n))

    def head_binary(self, n: int = 5) -> BinaryRows:
        """`head` over the binary protocol, which names rows by number."""
        return self._call(reading.HeadBinary(*self._at, n))

    def tail(self, n: int = 5) -> Rows:
        """The ``n`` records that were added last, soft-deleted ones too."""
        return self._call(reading.Tail(*self._at, n))

    def tail_binary(self, n: int = 5) -> BinaryRows:
        """`tail` over the binary protocol, which names rows by number."""
        return self._call(reading.TailBinary(*self._at, n))

    def read_by_only_id(self, id: Id | Sequence[Id]) -> Rows:
        """One record or several by id, soft-deleted ones too.

        One that does not exist is a `BadRequestError` since 0.4; before, it is of zeros.
        """
        return self._call(reading.ReadByOnlyId(*self._at, id))

    def list_fields(self) -> tuple[str, ...]:
        """The keys of all metadata."""
        return self._call(collections.ListFields(*self._at))

    def index_mode(self) -> str | None:
        """The name of the index; None where none was built."""
        return self._call(indexes.IndexMode(*self._at))

    def is_id_exists(self, id: Id) -> bool:
        """Whether a record exists, be it soft-deleted."""
        return self._call(reading.IsIdExists(*self._at, id))

    def max_id(self) -> int | None:
        """The largest number of a row, before 0.4 the largest id; None if there is none."""
        return self._call(collections.MaxId(*self._at))

    def delete_items(self, ids: Sequence[Id]) -> None:
        """Soft-delete records; ids that do not exist are no error.

        Since 0.4, a number that is no id deletes the row of that number: use texts as ids.
        """
        self._call(records.DeleteItems(*self._at, ids))

    def restore_items(self, ids: Sequence[Id]) -> None:
        """Take back deletions, unless `compact` has removed the records."""
        self._call(records.RestoreItems(*self._at, ids))

    def list_deleted_ids(self) -> tuple[Id, ...]:
        """The ids of soft-deleted records."""
        return self._call(records.ListDeletedIds(*self._at))

    def compact(self) -> int:
        """Remove soft-deleted records for good, and return how many; it takes a while.

        On 0.9, `checkpoint` first: else a crash brings records back. Of an index, that is done.
        """
        return self._take_rows(collections.Compact(*self._at))

    def snapshot_collection(self, snapshot_path: str) -> None:
        """Copy the collection to a new directory, by an absolute path on the server."""
        self._call(snapshots.SnapshotCollection(*self._at, snapshot_path))

    def restore_collection(self, snapshot_path: str, overwrite: bool = False) -> None:
        """Make the collection of a snapshot.

        Raises `IndexExistsError` if there is one and ``overwrite`` is False.
        """
        self._take_rows(snapshots.RestoreCollection(*self._at, snapshot_path, overwrite))

    def export_collection(self, export_path: str) -> None:
        """Write the collection to a new directory: JSON lines, and vectors as float32."""
        self._call(snapshots.ExportCollection(*self._at, export_path))

    def import_collection(self, export_path: str, overwrite: bool = False) -> None:
        """Make the collection of what was exported; as `restore_collection`."""
        self._take_rows(snapshots.ImportCollection(*self._at, export_path, overwrite))
