"""`AsyncLynseCollection`: `LynseCollection` for an event loop."""

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

T = TypeVar("T")


@checks_keywords()
class AsyncLynseCollection(AnyCollection):
    """`LynseCollection` with async methods."""

    async def _call(self, op: LynseOp[T]) -> T:
        return await self._server.call(self._connection.async_io(), op)

    async def _take_rows(self, op: OnCollection[T]) -> T:
        return await take_rows(self._server, self._connection.async_io(), op)

    async def required_collection(
        self,
        *,
        dim: int | None = None,
        drop_if_exists: bool = False,
        description: str | None = None,
    ) -> None:
        """`LynseCollection.required_collection`, awaited."""
        await self._call(
            collections.RequiredCollection(
                *self._at, dim=dim, drop_if_exists=drop_if_exists, description=description
            )
        )

    async def drop_collection(self) -> None:
        """`LynseCollection.drop_collection`, awaited."""
        await self._call(collections.DropCollection(*self._at))

    async def is_collection_exists(self) -> bool:
        """`LynseCollection.is_collection_exists`, awaited."""
        return await self._call(collections.IsCollectionExists(*self._at))

    async def collection_shape(self) -> tuple[int, int]:
        """`LynseCollection.collection_shape`, awaited."""
        return await self._call(collections.CollectionShape(*self._at))

    async def stats(self) -> CollectionStats:
        """`LynseCollection.stats`, awaited."""
        return await self._call(collections.Stats(*self._at))

    async def get_collection_config(self) -> CollectionConfig:
        """`LynseCollection.get_collection_config`, awaited."""
        return await self._call(collections.GetCollectionConfig(*self._at))

    async def update_description(self, description: str) -> None:
        """`LynseCollection.update_description`, awaited."""
        await self._call(collections.UpdateDescription(*self._at, description))

    async def close_collection(self) -> None:
        """`LynseCollection.close_collection`, awaited."""
        await self._call(collections.CloseCollection(*self._at))

    async def add_item(self, vector: ArrayLike, *, id: Id, field: Fields | None = None) -> Id:
        """`LynseCollection.add_item`, awaited."""
        return (await self._call(records.AddItem(*self._at, (id,), (vector,), (field,))))[0]

    async def bulk_add_items(self, items: Iterable[Item]) -> tuple[Id, ...]:
        """`LynseCollection.bulk_add_items`, awaited."""
        return await self._call(records.bulk_add(*self._at, items))

    async def bulk_add_binary(self, vectors: ArrayLike) -> int:
        """`LynseCollection.bulk_add_binary`, awaited."""
        return await self._call(records.BulkAddBinary(*self._at, vectors))

    async def upsert_items(
        self, ids: Sequence[Id], vectors: ArrayLike, fields: Sequence[Fields | None] | None = None
    ) -> tuple[Id, ...]:
        """`LynseCollection.upsert_items`, awaited."""
        return await self._call(records.UpsertItems(*self._at, ids, vectors, fields))

    async def commit(self) -> None:
        """`LynseCollection.commit`, awaited."""
        await self._call(collections.Commit(*self._at))

    async def flush(self) -> None:
        """`LynseCollection.flush`, awaited."""
        await self._call(collections.Flush(*self._at))

    async def checkpoint(self) -> None:
        """`LynseCollection.checkpoint`, awaited."""
        await self._call(collections.Checkpoint(*self._at))

    async def build_index(self, index_mode: str = "FLAT-IP", n_clusters: int | None = None) -> None:
        """`LynseCollection.build_index`, awaited."""
        await self._call(indexes.BuildIndex(*self._at, index_mode, n_clusters))

    async def remove_index(self) -> None:
        """`LynseCollection.remove_index`, awaited."""
        await self._call(indexes.RemoveIndex(*self._at))

    async def build_vector_field_index(
        self, field_name: str, index_mode: str = "FLAT-IP", n_clusters: int | None = None
    ) -> None:
        """`LynseCollection.build_vector_field_index`, awaited."""
        await self._call(
            indexes.BuildVectorFieldIndex(*self._at, field_name, index_mode, n_clusters)
        )

    async def remove_vector_field_index(self, field_name: str) -> None:
        """`LynseCollection.remove_vector_field_index`, awaited."""
        await self._call(indexes.RemoveVectorFieldIndex(*self._at, field_name))

    async def create_vector_field(
        self, field_name: str, dimension: int, metric: str = "ip", index_mode: str | None = None
    ) -> VectorField:
        """`LynseCollection.create_vector_field`, awaited."""
        return await self._call(
            vector_fields.CreateVectorField(*self._at, field_name, dimension, metric, index_mode)
        )

    async def list_vector_fields(self) -> tuple[VectorField, ...]:
        """`LynseCollection.list_vector_fields`, awaited."""
        return await self._call(vector_fields.ListVectorFields(*self._at))

    async def add_named_vectors(
        self, field_name: str, vectors: ArrayLike, ids: Sequence[Id]
    ) -> None:
        """`LynseCollection.add_named_vectors`, awaited."""
        await self._call(vector_fields.AddNamedVectors(*self._at, field_name, vectors, ids))

    async def add_sparse_vectors(self, vectors: Sequence[SparseVector], ids: Sequence[Id]) -> None:
        """`LynseCollection.add_sparse_vectors`, awaited."""
        await self._call(vector_fields.AddSparseVectors(*self._at, vectors, ids))

    async def search(
        self, vector: ArrayLike, k: int = 10, **options: Unpack[SearchOptions]
    ) -> Hits:
        """`LynseCollection.search`, awaited."""
        return await self._call(search.Search(*self._at, vector, k, **options))

    async def search_binary(
        self, vector: ArrayLike, k: int = 10, **options: Unpack[FindOptions]
    ) -> BinaryHits:
        """`LynseCollection.search_binary`, awaited."""
        return await self._call(search.SearchBinary(*self._at, vector, k, **options))

    async def batch_search(
        self, vectors: ArrayLike, k: int = 10, **options: Unpack[FindOptions]
    ) -> tuple[Hits, ...]:
        """`LynseCollection.batch_search`, awaited."""
        return await self._call(search.BatchSearch(*self._at, vectors, k, **options))

    async def batch_search_binary(
        self, vectors: ArrayLike, k: int = 10, **options: Unpack[FindOptions]
    ) -> tuple[BinaryHits, ...]:
        """`LynseCollection.batch_search_binary`, awaited."""
        return await self._call(search.BatchSearchBinary(*self._at, vectors, k, **options))

    async def search_range(
        self, vector: ArrayLike, threshold: float, max_results: int = 1_000
    ) -> Hits:
        """`LynseCollection.search_range`, awaited."""
        return await self._call(search.SearchRange(*self._at, vector, threshold, max_results))

    async def search_profile(
        self, vector: ArrayLike, k: int = 10, **options: Unpack[FindOptions]
    ) -> Hits:
        """`LynseCollection.search_profile`, awaited."""
        return await self._call(search.SearchProfile(*self._at, vector, k, **options))

    async def text_search(
        self,
        text: str,
        text_fields: Sequence[str] | None = None,
        k: int = 10,
        **options: Unpack[TextOptions],
    ) -> Hits:
        """`LynseCollection.text_search`, awaited."""
        return await self._call(search.TextSearch(*self._at, text, text_fields, k, **options))

    async def sparse_search(
        self, vector: SparseVector, k: int = 10, **options: Unpack[TextOptions]
    ) -> Hits:
        """`LynseCollection.sparse_search`, awaited."""
        return await self._call(search.SparseSearch(*self._at, vector, k, **options))

    async def hybrid_search(
        self,
        vector: ArrayLike,
        text: str,
        text_fields: Sequence[str] | None = None,
        fusion: str = "rrf",
        k: int = 10,
        **options: Unpack[HybridOptions],
    ) -> Hits:
        """`LynseCollection.hybrid_search`, awaited."""
        return await self._call(
            search.HybridSearch(*self._at, vector, text, text_fields, fusion, k, **options)
        )

    async def query(
        self,
        where: str | None = None,
        filter_ids: Sequence[Id] | None = None,
        return_ids_only: bool = False,
    ) -> Rows:
        """`LynseCollection.query`, awaited."""
        return await self._call(reading.Query(*self._at, where, filter_ids, return_ids_only))

    async def query_vectors(
        self, where: str | None = None, filter_ids: Sequence[Id] | None = None
    ) -> Rows:
        """`LynseCollection.query_vectors`, awaited."""
        return await self._call(reading.QueryVectors(*self._at, where, filter_ids))

    async def head(self, n: int = 5) -> Rows:
        """`LynseCollection.head`, awaited."""
        return await self._call(reading.Head(*self._at, n))

    async def head_binary(self, n: int = 5) -> BinaryRows:
        """`LynseCollection.head_binary`, awaited."""
        return await self._call(reading.HeadBinary(*self._at, n))

    async def tail(self, n: int = 5) -> Rows:
        """`LynseCollection.tail`, awaited."""
        return await self._call(reading.Tail(*self._at, n))

    async def tail_binary(self, n: int = 5) -> BinaryRows:
        """`LynseCollection.tail_binary`, awaited."""
        return await self._call(reading.TailBinary(*self._at, n))

    async def read_by_only_id(self, id: Id | Sequence[Id]) -> Rows:
        """`LynseCollection.read_by_only_id`, awaited."""
        return await self._call(reading.ReadByOnlyId(*self._at, id))

    async def list_fields(self) -> tuple[str, ...]:
        """`LynseCollection.list_fields`, awaited."""
        return await self._call(collections.ListFields(*self._at))

    async def index_mode(self) -> str | None:
        """`LynseCollection.index_mode`, awaited."""
        return await self._call(indexes.IndexMode(*self._at))

    async def is_id_exists(self, id: Id) -> bool:
        """`LynseCollection.is_id_exists`, awaited."""
        return await self._call(reading.IsIdExists(*self._at, id))

    async def max_id(self) -> int | None:
        """`LynseCollection.max_id`, awaited."""
        return await self._call(collections.MaxId(*self._at))

    async def delete_items(self, ids: Sequence[Id]) -> None:
        """`LynseCollection.delete_items`, awaited."""
        await self._call(records.DeleteItems(*self._at, ids))

    async def restore_items(self, ids: Sequence[Id]) -> None:
        """`LynseCollection.restore_items`, awaited."""
        await self._call(records.RestoreItems(*self._at, ids))

    async def list_deleted_ids(self) -> tuple[Id, ...]:
        """`LynseCollection.list_deleted_ids`, awaited."""
        return await self._call(records.ListDeletedIds(*self._at))

    async def compact(self) -> int:
        """`LynseCollection.compact`, awaited."""
        return await self._take_rows(collections.Compact(*self._at))

    async def snapshot_collection(self, snapshot_path: str) -> None:
        """`LynseCollection.snapshot_collection`, awaited."""
        await self._call(snapshots.SnapshotCollection(*self._at, snapshot_path))

    async def restore_collection(self, snapshot_path: str, overwrite: bool = False) -> None:
        """`LynseCollection.restore_collection`, awaited."""
        await self._take_rows(snapshots.RestoreCollection(*self._at, snapshot_path, overwrite))

    async def export_collection(self, export_path: str) -> None:
        """`LynseCollection.export_collection`, awaited."""
        await self._call(snapshots.ExportCollection(*self._at, export_path))

    async def import_collection(self, export_path: str, overwrite: bool = False) -> None:
        """`LynseCollection.import_collection`, awaited."""
        await self._take_rows(snapshots.ImportCollection(*self._at, export_path, overwrite))
