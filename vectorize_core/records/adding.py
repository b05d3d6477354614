"""How records are written."""

from __future__ import annotations

from typing import Unpack

from vectorize_core.records.base import RecordBase
from vectorize_core.records.ingest import Ingest, Item
from vectorize_core.texts.keeping import Putting
from vectorize_core.transport.io import Io
from vectorize_core.writes import writing
from vectorize_core.writes.estimate import estimate
from vectorize_core.writes.sources import Records
from vectorize_core.writes.writing import WriteOptions


class AddOptions(WriteOptions, total=False):
    """How records are written, and where to; ``dry_run`` estimates only."""

    namespace: str | None
    dry_run: bool


class Adding(RecordBase):
    """What `RecordStore` writes with."""

    __slots__ = ()

    async def add(
        self,
        io: Io,
        items: Records[Item],
        *,
        namespace: str | None = None,
        dry_run: bool = False,
        **options: Unpack[WriteOptions],
    ) -> list[str]:
        """Write records, embedding those without values; returns all ids in input order.

        Records are embedded and sent a batch at a time: the next batch is embedded while earlier
        ones are on their way. With ``dry_run`` nothing is embedded or written; returns a
        `WriteEstimate`.

        A text that is too long goes to the store's `long_texts`. If one there is replaced, the
        write waits until reads see it, and deletes the old one.
        """
        if options.get("batch_size") is None:
            options["batch_size"] = self.batch_size
        texts = self.long_texts
        putting = Putting(texts, self._state) if texts is not None else None
        source = Ingest(
            io,
            self.index,
            items,
            embedder=self.embedder,
            text_key=self.text_key,
            namespace=self.in_namespace(namespace),
            tenant=self.bound,
            texts=putting,
            cut=self.on_oversize == "cut",
        )
        if dry_run:
            return await estimate(io, self._state, source, **options)
        waits = self._waiting(options.get("wait"), options.get("wait_timeout"))
        await writing.write(
            io, self._state, source, "upsert", **WriteOptions(**{**options, **waits})
        )
        if putting is not None:
            await putting.finish(io, waits["wait_timeout"])
        return source.ids
