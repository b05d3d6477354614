"""`Item`: a record to add."""

from dataclasses import dataclass

from numpy.typing import ArrayLike

from vectorize_core.layout import Record


@dataclass(slots=True)
class Item:
    """A record to add; ``values`` is None if it is to be embedded.

    ``named`` is False where the id is not the caller's but was made up. ``namespace`` is where it
    goes if neither the call nor its store names one.
    """

    record: Record
    values: ArrayLike | None = None
    named: bool = True
    namespace: str | None = None
