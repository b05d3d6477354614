"""What the LangChain and the LlamaIndex store have in common: records in an index.

`RecordStore` holds the settings; its methods are flows over an `Io`, which each framework's
store runs for its sync methods and awaits for its async ones.
"""

from __future__ import annotations

from vectorize_core.records.adding import Adding, AddOptions
from vectorize_core.records.base import FindOptions
from vectorize_core.records.deleting import Deleting
from vectorize_core.records.reading import CountOptions, Reading
from vectorize_core.records.searching import Hit, Searching

__all__ = ["AddOptions", "CountOptions", "FindOptions", "Hit", "RecordStore"]


class RecordStore(Adding, Searching, Reading, Deleting):
    """Records in one index: written, searched, read and deleted."""

    __slots__ = ()
