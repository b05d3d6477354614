"""What a record of ours looks like inside a vector (docs/layout.md). May use api and below.

The names of `record` are imported from here: ``layout.encode``, ``layout.BUCKET``.
"""

from vectorize_core.layout.record import (
    BUCKET,
    BUCKETS,
    DEFAULT_TEXT_KEY,
    EXTRA,
    LAST_INDEXED,
    METADATA_INDEXES,
    OWN,
    REF,
    Record,
    RecordReader,
    bucket,
    check_text_key,
    completed,
    decode,
    encode,
    note,
    noted_properties,
    notes_text_index,
    of_tenant,
    ref_value,
    stored_id,
    text_of,
)

__all__ = [
    "BUCKET",
    "BUCKETS",
    "DEFAULT_TEXT_KEY",
    "EXTRA",
    "LAST_INDEXED",
    "METADATA_INDEXES",
    "OWN",
    "REF",
    "Record",
    "RecordReader",
    "bucket",
    "check_text_key",
    "completed",
    "decode",
    "encode",
    "note",
    "noted_properties",
    "notes_text_index",
    "of_tenant",
    "ref_value",
    "stored_id",
    "text_of",
]
