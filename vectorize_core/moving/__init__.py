"""Records in files, out of files, and from one index to another.

`export_records`, `import_records`, `copy_records` and `verify_records`, each with an async variant,
take an `Index`, an `AsyncIndex`, or a store of either framework.
"""

from vectorize_core.moving.copying import CopyOptions, acopy_records, copy_records
from vectorize_core.moving.export import ExportOptions, aexport_records, export_records
from vectorize_core.moving.importing import (
    ImportOptions,
    aimport_records,
    averify_records,
    import_records,
    verify_records,
)
from vectorize_core.moving.moved import Moved
from vectorize_core.records.ingest import Item

__all__ = [
    "CopyOptions",
    "ExportOptions",
    "ImportOptions",
    "Item",
    "Moved",
    "acopy_records",
    "aexport_records",
    "aimport_records",
    "averify_records",
    "copy_records",
    "export_records",
    "import_records",
    "verify_records",
]

for _export in map(globals().get, __all__):
    _export.__module__ = __name__
