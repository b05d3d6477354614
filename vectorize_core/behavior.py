"""The delays of an embedded Vectorize, and one switch for each thing nobody has recorded."""

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Behavior:
    """How the embedded Vectorize acts where the real one is slow, or unknown.

    Delays are in seconds on the service's clock, and zero by default: what was written can be
    read at once. The real service takes some 30 seconds (99 % within two minutes). Each switch
    stands for a question the documentation leaves open; its default is the likeliest answer,
    or the one that hides least from a test. ``ValueError`` for a delay that is not a duration.
    """

    process_delay: float = 0.0
    """From accepting a mutation until `index_info` reports it as processed."""
    propagate_delay: float = 0.0
    """From processing a mutation until reads see it; a short gap was seen on the real service."""
    metadata_index_delay: float = 0.0
    """From asking for a metadata index until it is listed and covers vectors; 70-240 s there."""
    cursor_lifetime: float = 3600.0
    """From the first page of a listing until its cursors expire; the real lifetime is unknown."""

    coerce_types: bool = True
    """Whether values and operands of another type are read as the index's; seen: $gt "150"."""
    truncate_filter_values: bool = True
    """Whether a filter's strings are cut to 64 bytes as indexed ones are; else they never match."""
    arrays: Literal["ignored", "elements"] = "ignored"
    """Whether arrays are left out of metadata indexes, likely as no operator looks into them."""
    negation_matches_missing: bool = True
    """Whether $ne and $nin match vectors that are not in the metadata index; seen with $ne null."""
    eq_null: Literal["nothing", "missing"] = "nothing"
    """What $eq null (and null in $in) matches: null is not indexed, so likeliest nothing."""
    unknown_vector_id: Literal["empty", "error"] = "empty"
    """What a query by an unknown id gets; wrangler treats "no matches" as its normal outcome."""
    duplicate_metadata_index: Literal["error", "accepted"] = "error"
    """Whether an indexed property may be indexed again (changing nothing); error hides less."""
    missing_metadata_index: Literal["error", "accepted"] = "error"
    """Whether a metadata index that does not exist may be deleted; error hides less."""
    indexed_metadata: Literal["nested", "flat"] = "nested"
    """How ``return_metadata="indexed"`` gives a.b: like "all", {"a": {"b": 1}}, or {"a.b": 1}."""
    nested_keys: Literal["checked", "free"] = "checked"
    """Whether the rules for metadata keys hold inside nested objects too; refusing hides less."""
    processed_datetime: Literal["processed", "submitted"] = "processed"
    """Which time of the last processed mutation `index_info` gives; the sources disagree."""
    overlooked: float = 0.0
    """The fraction of vectors that approximate search never finds; return_values finds them."""
    overlooked_seed: int = 0
    """Decides, with its id, whether a vector is overlooked."""
    dot_product: Literal["negative", "positive"] = "negative"
    """How the score of a dot-product index is given; documented as negative, smaller being better.

    Our own stores count on that.
    """
    ties: Literal["oldest", "newest"] = "oldest"
    """Which of equally good vectors comes first; the service promises nothing."""

    def __post_init__(self) -> None:
        for name in (
            "process_delay",
            "propagate_delay",
            "metadata_index_delay",
            "cursor_lifetime",
        ):
            seconds = getattr(self, name)
            if not 0.0 <= seconds < math.inf:
                raise ValueError(f"{name} is a number of seconds from 0 on; got {seconds!r}")
        if not 0.0 <= self.overlooked <= 1.0:
            raise ValueError(f"overlooked is a fraction from 0 to 1; got {self.overlooked!r}")
