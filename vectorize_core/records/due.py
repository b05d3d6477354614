"""What a store still has to remove when reads see its writes, or before it is closed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from vectorize_core.errors import VectorizeError
from vectorize_core.state.index_state import IndexState
from vectorize_core.state.waiting import wait_for_own
from vectorize_core.texts.indexing import Rows
from vectorize_core.texts.keeping import Found, Keeping, Removals
from vectorize_core.texts.store import TextStore
from vectorize_core.transport.io import Io

logger = logging.getLogger("vectorize_core")

_MOST_DUE: Final = 10_000
"""Records whose long texts may be due at once; with more, a delete or write waits."""


@dataclass(frozen=True, slots=True)
class Due:
    """Long texts and rows of deleted and replaced records, while reads may still see these.

    Of a ``tenant``, who waits for its own writes alone, unless None. ``texts`` and ``rows`` are
    where they stand, and ``removals`` what was left there by the store and all its views.
    """

    state: IndexState
    texts: TextStore | None
    rows: Rows | None
    removals: Removals
    tenant: str | None
    wait_timeout: float

    async def wait_and_remove(self, io: Io, wait_timeout: float, *, purpose: str = "") -> None:
        """Remove what is due, once reads see the latest writes of the connection to the index."""
        confined = self.tenant is not None
        await wait_for_own(io, self.state, wait_timeout, purpose=purpose, confined=confined)
        if self.removals and self.texts is not None:
            await self.removals.remove(io, Keeping(self.texts, self.state), self.tenant)
        if self.rows is not None:
            await self.rows.remove_due(io)

    async def leave(self, io: Io, keeping: Keeping, found: Found) -> None:
        """Leave texts until reads see that their records are deleted or replaced."""
        await self.removals.leave(io, keeping, found, self.tenant)
        if len(self.removals) > _MOST_DUE:
            await self.remove_last(io)

    async def remove_last(self, io: Io) -> None:
        """Remove all before the end: what stays now would stay for ever."""
        try:
            if self._count:
                purpose = "the removal of long texts"
                await self.wait_and_remove(io, self.wait_timeout, purpose=purpose)
            if self.rows is not None:
                await self.rows.remove_seen(io)
        except VectorizeError as error:
            logger.debug("index %r: %s", self.state.name, error)
        if self._count:
            logger.warning(
                "index %r: the long texts of %d records that were deleted or replaced have not "
                "been deleted, as reads may still see their vectors. Deleting or writing these "
                "records again removes them",
                self.state.name,
                self._count,
            )

    @property
    def _count(self) -> int:
        """Records whose long texts are due: of a tenant its own, which is all that it waits for."""
        return self.removals.count(self.tenant)
