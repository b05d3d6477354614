"""What the LangChain and the LlamaIndex store have in common: records in an index.

`RecordStore` holds the settings; its methods are flows over an `Io`, which each framework's
store runs for its sync methods and awaits for its async ones.
"""

from __future__ import annotations

from vectorize_core.records.adding import AddOptions
from vectorize_core.records.base import FindOptions
from vectorize_core.records.deleting import Deleting
from vectorize_core.records.reading import CountOptions, Reading
from vectorize_core.records.searching import Hit, Searching
from vectorize_core.records.updating import Updating

__all__ = ["AddOptions", "CountOptions", "FindOptions", "Hit", "RecordStore"]


class RecordStore(Updating, Searching, Reading, Deleting):
    """Records in one index: written, updated, searched, read and deleted."""

    __slots__ = ()
