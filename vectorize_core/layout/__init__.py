"""What a record of ours looks like inside a vector (docs/layout.md). May use api and below.

The names of its files are imported from here: ``layout.encode``, ``layout.BUCKET``.
"""

from vectorize_core.layout.description import note, noted_anew, read_note, unnoted
from vectorize_core.layout.names import (
    BUCKET,
    DEFAULT_TEXT_KEY,
    EXTRA,
    LAST_INDEXED,
    METADATA_INDEXES,
    OWN,
    REF,
)
from vectorize_core.layout.record import (
    BUCKETS,
    NOTHING_MORE,
    Record,
    RecordReader,
    bucket,
    check_text_key,
    decode,
    encode,
    of_tenant,
    ref_value,
    stored_id,
    text_name_of,
    text_of,
)
from vectorize_core.layout.stored import completed, hides, readdressed, unshown

__all__ = [
    "BUCKET",
    "BUCKETS",
    "DEFAULT_TEXT_KEY",
    "EXTRA",
    "LAST_INDEXED",
    "METADATA_INDEXES",
    "NOTHING_MORE",
    "OWN",
    "REF",
    "Record",
    "RecordReader",
    "bucket",
    "check_text_key",
    "completed",
    "decode",
    "encode",
    "hides",
    "note",
    "noted_anew",
    "of_tenant",
    "read_note",
    "readdressed",
    "ref_value",
    "stored_id",
    "text_name_of",
    "text_of",
    "unnoted",
    "unshown",
]
