"""Searching records by their words where the engine of their vectors does that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from vectorize_core.api.by_words import TextQuery
from vectorize_core.models import as_match, as_vector
from vectorize_core.reads.post_filter import PostFilter
from vectorize_core.reads.selection import Selection
from vectorize_core.records.hit import Hit
from vectorize_core.state.index_state import IndexState
from vectorize_core.texts.reading import TextReading
from vectorize_core.transport.io import Io

_MOST: Final = 10_000
"""Candidates of one question."""


@dataclass(frozen=True, slots=True)
class EngineWords:
    """Searches by words in an index whose engine has them; nothing is kept beside the vectors."""

    state: IndexState
    reading: TextReading

    async def find(
        self, io: Io, query: str, k: int, selection: Selection, ids: Sequence[str] | None = None
    ) -> list[Hit]:
        """The ``k`` of the selected records whose texts have words of ``query``; best first.

        Of those stored under ``ids``, unless None. More candidates are asked for until there are
        ``k`` that pass the filter. `TooManyRequestsNeededError` if it takes more requests than the
        selection allows.
        """
        request_limit = selection.request_limit(f"a search by words of {k} matches")
        post_filter = PostFilter(selection.plan, selection.read)
        if selection.plan.impossible:
            return []
        asked = min(k, _MOST)
        while True:
            request_limit.charge()
            found = await io.call(
                TextQuery(
                    index=self.state.name,
                    text=query,
                    text_key=self.reading.reader.text_key,
                    top_k=asked,
                    filters=selection.plan.branches,
                    namespace=selection.namespace,
                    ids=None if ids is None else tuple(ids),
                )
            )
            scores = {match.id: match.score for match in found.matches}
            vectors = await post_filter.passing(io, [*map(as_vector, found.matches)])
            if len(vectors) >= k or len(scores) < asked or asked == _MOST:
                records = await self.reading.records(io, vectors)
                hits = [Hit(record, as_match(one, scores[one.id])) for one, record in records]
                return hits[:k]
            asked = min(4 * asked, _MOST)
