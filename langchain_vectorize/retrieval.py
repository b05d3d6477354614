"""How a search finds documents: near in meaning, by their words, or by both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Self, Unpack, get_args

from langchain_vectorize.options import (
    NearOptions,
    RelevanceOptions,
    RetrievalMode,
    RetrievalOptions,
    SearchKwargs,
    SearchType,
    selecting,
)
from vectorize_core.api.validation import one_of
from vectorize_core.errors import ConfigurationError, InvalidInputError
from vectorize_core.reads.selection import SelectOptions
from vectorize_core.records import fusion as ways
from vectorize_core.records.by_words import search_hybrid, search_text
from vectorize_core.records.fusion import Fusion
from vectorize_core.records.hit import Hit
from vectorize_core.records.store import RecordStore
from vectorize_core.transport.io import Io

BY_EMBEDDING: Final = "an embedding has no words to look for"
BY_ID: Final = "a search by id is for what is near to a document"
MMR: Final = "marginal relevance (mmr) compares embeddings, not words"
_ONLY_ORDER: Final = "scores of words, and fused ones, only order the documents of one answer"
RELEVANCE: Final = f"relevance, which score_threshold= is of, is that of nearness; {_ONLY_ORDER}"
_THRESHOLD: Final = f"score_threshold= is of nearness; {_ONLY_ORDER}"
_ANY_MODE: Final = "call similarity_search() or similarity_search_with_score()"
_WHY_NEAR: Final[dict[SearchType, str]] = {"similarity_score_threshold": RELEVANCE, "mmr": MMR}


@dataclass(frozen=True, slots=True)
class Retrieval:
    """How a store's searches find documents, or one of them does.

    ``alpha`` and ``fusion`` are of the mode "hybrid". ``by_words``: the store has a text index.
    """

    mode: RetrievalMode
    alpha: float
    fusion: Fusion
    by_words: bool

    def __post_init__(self) -> None:
        one_of("retrieval_mode", self.mode, get_args(RetrievalMode))
        object.__setattr__(self, "alpha", ways.check(self.alpha, self.fusion))
        if self.mode != "dense" and not self.by_words:
            raise ConfigurationError(
                f"retrieval_mode={self.mode!r} needs a text index: give the store text_index=True "
                "if it is embedded, else text_index=D1TextIndex(database_id) or "
                "SqliteTextIndex(directory) (docs/hybrid.md)"
            )

    def of_call(self, options: RetrievalOptions) -> Self:
        """How one search finds documents; what it is not told is as in the store."""
        mode, alpha = options.get("retrieval_mode"), options.get("alpha")
        fusion = options.get("fusion")
        if mode is None and alpha is None and fusion is None:
            return self
        chosen = replace(
            self,
            mode=self.mode if mode is None else mode,
            alpha=self.alpha if alpha is None else alpha,
            fusion=self.fusion if fusion is None else fusion,
        )
        if chosen.mode != "hybrid" and (alpha is not None or fusion is not None):
            raise InvalidInputError(
                f"{'fusion' if alpha is None else 'alpha'}= is of a hybrid search, and this one's "
                f"retrieval_mode is {chosen.mode!r}: pass retrieval_mode='hybrid' too"
            )
        if alpha is not None and chosen.fusion == "rrf":
            raise InvalidInputError(
                "alpha= is a weight, and fusion='rrf' has none: pass fusion='relative' too"
            )
        return chosen

    def check_near(self, why: str, instead: str = _ANY_MODE) -> None:
        """An error that says ``why`` and what to do, unless the search is by nearness alone."""
        if self.mode != "dense":
            raise InvalidInputError(
                f"{why}; and the retrieval_mode is {self.mode!r}. Pass retrieval_mode='dense' to "
                f"this search, or {instead}"
            )

    def check_retriever(self, search_type: SearchType, search_kwargs: SearchKwargs) -> None:
        """Whether a retriever of this type, and with these arguments, can search so."""
        if search_type in _WHY_NEAR:
            self.check_near(_WHY_NEAR[search_type])
        if search_kwargs.get("score_threshold") is not None:
            self.check_near(_THRESHOLD, "leave score_threshold= out")

    def near(self, options: RelevanceOptions, why: str) -> NearOptions:
        """Which documents a search is for that can only be by nearness; ``why`` says so."""
        self.of_call(options).check_near(why)
        return selecting(options)

    async def search(
        self,
        records: RecordStore,
        io: Io,
        query: str,
        k: int,
        *,
        return_values: bool = False,
        score_threshold: float | None = None,
        **options: Unpack[SelectOptions],
    ) -> list[Hit]:
        """The ``k`` best records, with the scores of their mode."""
        if self.mode == "dense":
            return await records.search(
                io,
                query,
                k,
                return_values=return_values,
                score_threshold=score_threshold,
                **options,
            )
        if score_threshold is not None:
            self.check_near(_THRESHOLD, "leave score_threshold= out")
        if self.mode == "text":
            return await search_text(io, records, query, k, **options)
        return await search_hybrid(
            io,
            records,
            query,
            k,
            alpha=self.alpha,
            fusion=self.fusion,
            return_values=return_values,
            **options,
        )
