"""The keyword arguments of the LangChain store, as type checkers and editors see them."""

import inspect
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias, TypedDict, cast, get_args

from langchain_core.documents import Document
from langchain_core.stores import BaseStore

from langchain_vectorize.documents import document_filter
from vectorize_core.api.validation import number, one_of, score_threshold, text, whole_number
from vectorize_core.errors import InvalidInputError, shown
from vectorize_core.kwargs import check_names
from vectorize_core.reads.selection import AnyFilter, FindOptions, SelectOptions
from vectorize_core.records.fusion import Fusion
from vectorize_core.records.settings import StoreSettings
from vectorize_core.records.store import AddOptions
from vectorize_core.state.waiting import WaitOptions
from vectorize_core.texts.store import TextStore

DocumentFilter: TypeAlias = AnyFilter | Callable[[Document], bool]
"""A filter in dict form, an expression, or a function of a document."""
LongTexts: TypeAlias = TextStore | BaseStore[str, Any]
"""Where texts are kept that are too long for a vector."""
SearchType: TypeAlias = Literal["similarity", "similarity_score_threshold", "mmr"]
KeyEncoder: TypeAlias = Callable[[Document], str] | Literal["sha1", "sha256", "sha512", "blake2b"]
"""How ``index()`` makes the id of a document from its contents."""
Included: TypeAlias = Literal["documents", "metadatas", "embeddings"]
"""What comes of a document, beside its id."""
RetrievalMode: TypeAlias = Literal["dense", "text", "hybrid"]
"""By nearness of embeddings, by the words of texts, or by both."""


class _Settings(StoreSettings, total=False):
    retrieval_mode: RetrievalMode
    alpha: float
    fusion: Fusion
    relevance_score_fn: Callable[[float], float] | None


class FromTextsOptions(_Settings, total=False):
    """The arguments of the constructor, but for ``texts``."""

    index_name: str | None
    path: str | os.PathLike[str] | None
    create_index: bool | None


class FromDocumentsOptions(FromTextsOptions, total=False):
    """The arguments of the constructor."""

    texts: LongTexts | None


class LocalOptions(_Settings, total=False):
    """The arguments of the constructor, but for ``path``."""

    index_name: str | None
    texts: LongTexts | None
    create_index: bool | None


class ExistingIndexOptions(_Settings, total=False):
    """The arguments of the constructor, but for the name of the index and ``create_index``."""

    path: str | os.PathLike[str] | None
    texts: LongTexts | None


class RetrievalOptions(TypedDict, total=False):
    """How a search finds documents; None is what the store was given."""

    retrieval_mode: RetrievalMode | None
    alpha: float | None
    fusion: Fusion | None


class RelevanceOptions(FindOptions, RetrievalOptions, total=False):
    """What a search with relevance takes besides ``k``: its threshold is one of relevance."""

    filter: DocumentFilter | None


class SearchOptions(RelevanceOptions, total=False):
    """What every other search takes besides ``k``. See `VectorizeVectorStore.similarity_search`."""

    score_threshold: float | None


class NearOptions(SelectOptions, total=False):
    """Which documents a search is for, as the core takes it."""

    score_threshold: float | None


class SearchKwargs(SearchOptions, total=False):
    """The ``search_kwargs`` of a retriever: what its searches take besides the query.

    ``score_threshold`` is a relevance for the search type "similarity_score_threshold", and a
    score for the others. ``fetch_k`` and ``lambda_mult`` are for "mmr".
    """

    k: int
    fetch_k: int
    lambda_mult: float


class DocumentOptions(AddOptions, total=False):
    """How documents are written, and where to. See `VectorizeVectorStore.add_texts`.

    ``current_time`` is ignored: LangChain's ``TimeWeightedVectorStoreRetriever`` passes it on to
    its store, after it has written it into the documents.
    """

    current_time: datetime | None


class DeleteOptions(WaitOptions, FindOptions, total=False):
    """What a deletion takes besides ids. See `VectorizeVectorStore.delete`."""

    filter: DocumentFilter | None
    delete_all: bool
    verify: bool


class CompareOptions(TypedDict, total=False):
    """Which documents are compared, and how many requests may read them (1,000)."""

    namespace: str | None
    max_requests: int | None


class RetrieverOptions(TypedDict, total=False):
    """What `VectorizeVectorStore.as_retriever` takes; ``tags`` are for LangChain's callbacks."""

    search_type: SearchType
    search_kwargs: SearchKwargs
    tags: list[str] | None
    metadata: dict[str, Any] | None
    name: str | None


def of_writing(options: DocumentOptions) -> AddOptions:
    """The options without those that LangChain's own classes pass on, which mean nothing here."""
    return cast("AddOptions", {n: given for n, given in options.items() if n != "current_time"})


def as_filter(given: DocumentFilter | None) -> AnyFilter | None:
    """A filter as the core takes it; a function of a document becomes an expression."""
    return document_filter(given) if callable(given) else given


def selecting(options: RelevanceOptions) -> NearOptions:
    """Which documents a search is for, as the core takes it."""
    given = {n: value for n, value in options.items() if n not in _HOW}
    return cast("NearOptions", {**given, "filter": as_filter(options.get("filter"))})


def asked(query: str) -> str:
    """The text of a query."""
    return text("query", query, ". The methods named by_vector take an embedding")


def check_search_type(given: SearchType) -> SearchType:
    """One of the three."""
    if isinstance(given, str) and given in get_args(RetrievalMode):
        raise InvalidInputError(
            f"{given!r} is a retrieval_mode: give search_type='similarity' and "
            f"retrieval_mode={given!r}, to as_retriever() in search_kwargs"
        )
    one_of("search_type", given, get_args(SearchType))
    return given


def check_lambda_mult(given: float) -> float:
    """From 0 to 1."""
    return number("lambda_mult", given, least=0.0, most=1.0)


def checked_search_kwargs(
    given: SearchKwargs | None,
    search_type: SearchType,
    threshold: Callable[[float | None], float | None],
) -> SearchKwargs:
    """The ``search_kwargs`` of a retriever of this type; ``threshold`` checks that of relevance."""
    if given is not None and not isinstance(given, Mapping):
        raise InvalidInputError(f"search_kwargs is a dict such as {{'k': 4}}; got {shown(given)}")
    checked: SearchKwargs = {**given} if given is not None else {}
    check_names("search_kwargs", checked, inspect.get_annotations(SearchKwargs))
    if "k" in checked:
        checked["k"] = whole_number("k", checked["k"])
    if "fetch_k" in checked:
        checked["fetch_k"] = whole_number("fetch_k", checked["fetch_k"])
    if "lambda_mult" in checked:
        checked["lambda_mult"] = check_lambda_mult(checked["lambda_mult"])
    if "score_threshold" in checked:
        # As a float: LangChain's retriever takes no other number.
        of_relevance = search_type == "similarity_score_threshold"
        check = threshold if of_relevance else score_threshold
        checked["score_threshold"] = check(checked["score_threshold"])
    if search_type == "similarity_score_threshold" and checked.get("score_threshold") is None:
        raise InvalidInputError(
            "search_type='similarity_score_threshold' takes a threshold: "
            "search_kwargs={'score_threshold': 0.8}"
        )
    return checked


_HOW: Final = inspect.get_annotations(RetrievalOptions)
_SEARCHES: Final = "similarity_search()"
_MMR: Final = "search_type='mmr', or max_marginal_relevance_search(),"
ELSEWHERE: Final = {
    "dimensions": "VectorizeClient.create_index()",
    "k": _SEARCHES,
    **dict.fromkeys(_HOW, _SEARCHES),
    "text_index": "VectorizeVectorStore()",
    "search_type": "as_retriever()",
    "search_kwargs": "as_retriever()",
    "score_threshold": _SEARCHES,
    "fetch_k": _MMR,
    "lambda_mult": _MMR,
}
"""What takes the keywords that are often given to another method."""
OF_SEARCHES: Final = dict.fromkeys(inspect.get_annotations(SearchKwargs), "search_kwargs={...}")
"""What takes the keywords that a retriever's searches have, and the retriever has not."""
