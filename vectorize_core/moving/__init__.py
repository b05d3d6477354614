"""Records in files, out of files, and from one index to another.

`export_records`, `import_records`, `copy_records` and `verify_records`, each with an async variant,
take an `Index`, an `AsyncIndex`, or a store of either framework. `read_chroma` and its like read
what other stores have left, for an import.
"""

from types import FunctionType

from vectorize_core.moving.copying import acopy_records, copy_records
from vectorize_core.moving.ends import HoldsRecords, IndexOrStore
from vectorize_core.moving.export import aexport_records, export_records
from vectorize_core.moving.foreign import (
    Foreign,
    read_chroma,
    read_faiss,
    read_pgvector,
    read_pinecone,
    read_qdrant,
    read_qdrant_scroll,
    read_simple_vector_store,
)
from vectorize_core.moving.importing import (
    FileOrItems,
    aimport_records,
    averify_records,
    import_records,
    verify_records,
)
from vectorize_core.moving.moved import Moved
from vectorize_core.moving.options import (
    ArriveOptions,
    CopyOptions,
    ExportOptions,
    ImportOptions,
    LeaveOptions,
    MoveOptions,
    OnProgress,
)
from vectorize_core.records.item import Item

__all__ = [
    "ArriveOptions",
    "CopyOptions",
    "ExportOptions",
    "FileOrItems",
    "Foreign",
    "HoldsRecords",
    "ImportOptions",
    "IndexOrStore",
    "Item",
    "LeaveOptions",
    "MoveOptions",
    "Moved",
    "OnProgress",
    "acopy_records",
    "aexport_records",
    "aimport_records",
    "averify_records",
    "copy_records",
    "export_records",
    "import_records",
    "read_chroma",
    "read_faiss",
    "read_pgvector",
    "read_pinecone",
    "read_qdrant",
    "read_qdrant_scroll",
    "read_simple_vector_store",
    "verify_records",
]

for _export in map(globals().get, __all__):
    if isinstance(_export, (type, FunctionType)):
        _export.__module__ = __name__
