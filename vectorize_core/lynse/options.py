"""What searches of a collection take beside what they search for."""

from typing import TypedDict


class TextOptions(TypedDict, total=False):
    """Options of searches by words and by sparse vectors.

    ``where`` is a condition in SQL, for records that may be found. ``return_fields`` asks for their
    metadata.
    """

    where: str | None
    return_fields: bool


class FindOptions(TextOptions, total=False):
    """Options of searches by vectors; ``nprobe`` is how many parts of an index are looked at.

    By default 10, which finds few of the nearest in indexes of HNSW.
    """

    nprobe: int | None


class SearchOptions(FindOptions, total=False):
    """Options of `LynseCollection.search`; ``field_name`` is the named vector that is compared.

    ``approx`` and ``eps`` are sent as they are; servers up to 0.9 take no notice of them.
    """

    field_name: str | None
    approx: bool | None
    eps: float | None


class HybridOptions(FindOptions, total=False):
    """Options of `LynseCollection.hybrid_search`.

    ``vector_weight`` and ``text_weight`` are for "weighted", ``rrf_k`` (60) is for "rrf".
    ``candidate_limit`` is how many of each ranking are fused, by default ``4 * k``.
    """

    vector_weight: float | None
    text_weight: float | None
    rrf_k: int | None
    candidate_limit: int | None
