"""What a write would take, without writing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Unpack

from vectorize_core.api import wire
from vectorize_core.models import Vector
from vectorize_core.state.in_flight import InFlight
from vectorize_core.state.index_state import IndexState
from vectorize_core.transport.io import Io
from vectorize_core.writes.batching import Batcher, check_batch_size
from vectorize_core.writes.checkpoint import open_checkpoint
from vectorize_core.writes.sources import Records, Source, Vectors
from vectorize_core.writes.writing import WriteOptions


class WriteEstimate(list[str]):
    """The ids of the records that a write would send, and what that takes.

    ``requests`` and ``bytes`` in all; ``stored_dimensions`` (records times dimensions, which
    Cloudflare bills); ``seconds``, the least time under the connection's rate limit. Texts count
    as embeddings of a typical size. If there is no index yet, nobody knows their dimensions:
    ``bytes`` and ``stored_dimensions`` are None then, and the others are the least.
    """

    def __init__(
        self,
        ids: Iterable[str] = (),
        *,
        requests: int = 0,
        bytes: int | None = 0,
        stored_dimensions: int | None = 0,
        seconds: float = 0.0,
    ) -> None:
        super().__init__(ids)
        self.requests = requests
        self.bytes = bytes
        self.stored_dimensions = stored_dimensions
        self.seconds = seconds

    def __repr__(self) -> str:
        return (
            f"WriteEstimate({len(self):,} records, requests={self.requests:,}, "
            f"bytes={_shown(self.bytes)}, stored_dimensions={_shown(self.stored_dimensions)}, "
            f"seconds={self.seconds:,.0f})"
        )


def _shown(known: int | None) -> str:
    return "unknown without an index" if known is None else f"{known:,}"


async def estimate_vectors(
    io: Io, state: IndexState, vectors: Records[Vector], **options: Unpack[WriteOptions]
) -> WriteEstimate:
    """`estimate` for vectors."""
    return await estimate(io, state, Vectors(io, state, vectors), **options)


async def estimate(
    io: Io, state: IndexState, source: Source[Any], **options: Unpack[WriteOptions]
) -> WriteEstimate:
    """Check the records of ``source`` as a write with these options would, and count."""
    checkpoint = await open_checkpoint(io, options.get("resume"), state)
    batch_size = check_batch_size(
        options.get("batch_size"), state.capabilities.max_vectors_per_write
    )
    batcher = Batcher(
        io,
        InFlight(),
        source.entries(checkpoint, batch_size, dry_run=True),
        batch_size=batch_size,
        max_batch_bytes=options.get("max_batch_bytes"),
    )
    found, size, dimensions, are_known = WriteEstimate(), 0, 0, True
    async for batch in batcher.batches():
        vectors = [entry.vector for entry in batch.sent.values() if entry.vector is not None]
        found.extend(map(source.name, batch.entries))
        found.requests += 1
        size += sum(len(wire.vector_line(vector)) + 1 for vector in vectors)
        dimensions += sum(len(vector.values) for vector in vectors)
        are_known = are_known and all(len(vector.values) > 0 for vector in vectors)
        batcher.settled(batch)
    if are_known:
        found.bytes, found.stored_dimensions = size, dimensions
    else:
        found.bytes = found.stored_dimensions = None
    found.seconds = io.least_seconds(found.requests)
    return found
