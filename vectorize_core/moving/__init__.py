"""Records in files, out of files, and from one index to another.

`export_records`, `import_records` and `copy_records`, each with an async variant, take an `Index`,
an `AsyncIndex` or a store of either framework.
"""

from vectorize_core.moving.importing import import_records
from vectorize_core.moving.moved import Moved
from vectorize_core.records.ingest import Item

__all__ = ["Item", "Moved", "import_records"]

for _export in (Item, Moved, import_records):
    _export.__module__ = __name__
