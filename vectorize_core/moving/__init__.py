"""Records in files, out of files, and from one index to another.

`export_records`, `import_records`, `copy_records` and `verify_records`, each with an async variant,
take an `Index`, an `AsyncIndex`, or a store of either framework. `read_chroma` and its like read
what other stores have left, for an import.
"""

from vectorize_core.moving.copying import CopyOptions, acopy_records, copy_records
from vectorize_core.moving.export import ExportOptions, aexport_records, export_records
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
    "Foreign",
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
    _export.__module__ = __name__
