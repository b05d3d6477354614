"""The delays of an embedded Vectorize, and a switch for each point that is not known."""

import math
from dataclasses import dataclass
from typing import Literal, TypedDict

from vectorize_core.kwargs import checks_keywords


class Delays(TypedDict, total=False):
    """Those of a `Behavior` that can change while a service runs, in seconds."""

    process_delay: float
    propagate_delay: float
    metadata_index_delay: float


@checks_keywords()
@dataclass(frozen=True, slots=True, kw_only=True)
class Behavior:
    """How the embedded Vectorize acts where the real one is slow, or unknown.

    Delays are in seconds on the service's clock, and zero by default: what was written can be
    read at once. The real service takes some 30 seconds (99 % within two minutes). Each switch
    is a question that the documentation leaves open; its default is the likeliest answer, or the
    one that hides the fewest mistakes from a test. ``ValueError`` for a delay that is not a
    duration, or a fraction outside 0 to 1.
    """

    process_delay: float = 0.0
    """From accepting a mutation until `index_info` reports it as processed."""
    propagate_delay: float = 0.0
    """From processing a mutation until reads see it; a short gap was seen on the real service."""
    metadata_index_delay: float = 0.0
    """From creating a metadata index until it is listed and covers vectors; really 70 to 240 s."""
    cursor_lifetime: float = 3600.0
    """From the first page of a listing until its cursors expire; the real lifetime is unknown."""

    coerce_types: bool = True
    """Whether values and operands are converted to the index's type; seen with $gt "150"."""
    truncate_filter_values: bool = True
    """Whether a filter's strings are cut to 64 bytes, like indexed ones; else they never match."""
    arrays: Literal["ignored", "elements"] = "ignored"
    """Whether metadata indexes leave arrays out: likely, since no operator looks into them."""
    negation_matches_missing: bool = True
    """Whether $ne and $nin match vectors that are not in the metadata index; seen with $ne null."""
    eq_null: Literal["nothing", "missing"] = "nothing"
    """What $eq null (and null in $in) matches: likely nothing, since null is not indexed."""
    unknown_vector_id: Literal["empty", "error"] = "empty"
    """What a query by an unknown id gets; wrangler treats "no matches" as its normal outcome."""
    duplicate_metadata_index: Literal["error", "accepted"] = "error"
    """Whether indexing a property again is accepted (and changes nothing); error hides less."""
    missing_metadata_index: Literal["error", "accepted"] = "error"
    """Whether a metadata index that does not exist may be deleted; error hides less."""
    indexed_metadata: Literal["nested", "flat"] = "nested"
    """How ``return_metadata="indexed"`` gives a.b: like "all", {"a": {"b": 1}}, or {"a.b": 1}."""
    nested_keys: Literal["checked", "free"] = "checked"
    """Whether the rules for metadata keys hold inside nested objects too; refusing hides less."""
    processed_datetime: Literal["processed", "submitted"] = "processed"
    """Which time of the last processed mutation `index_info` gives; sources disagree."""
    overlooked: float = 0.0
    """The fraction of vectors that approximate search never finds; return_values finds them."""
    overlooked_seed: int = 0
    """With a vector's id it decides whether that is overlooked."""
    dot_product: Literal["negative", "positive"] = "negative"
    """The sign of a dot-product index's scores: documented as negative (smaller is better).

    Our own stores rely on that.
    """
    ties: Literal["oldest", "newest"] = "oldest"
    """Which of equally good vectors comes first; the service promises nothing."""

    def __post_init__(self) -> None:
        durations = ("process_delay", "propagate_delay", "metadata_index_delay", "cursor_lifetime")
        for name in durations:
            seconds = getattr(self, name)
            if not 0.0 <= seconds < math.inf:
                raise ValueError(f"{name} is a number of seconds from 0 on; got {seconds!r}")
        if not 0.0 <= self.overlooked <= 1.0:
            raise ValueError(f"overlooked is a fraction from 0 to 1; got {self.overlooked!r}")
