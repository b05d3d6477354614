"""What Cloudflare Vectorize allows, in one table.

The client stays below these limits, the embedded Vectorize enforces them.
Sources: https://developers.cloudflare.com/vectorize/platform/limits/ and, where that page is
silent (ids per get and per delete), the error messages of the service itself.
"""

from __future__ import annotations

from typing import Final

MIN_DIMENSIONS: Final = 32
MAX_DIMENSIONS: Final = 1536
MAX_ID_BYTES: Final = 64
MAX_NAMESPACE_BYTES: Final = 64
MAX_INDEX_NAME_BYTES: Final = 64

MAX_METADATA_BYTES: Final = 10_240
"""Compact JSON of one vector's metadata."""
MAX_METADATA_KEY_CHARS: Final = 512
MAX_INDEXED_BYTES: Final = 64
"""A metadata index holds this many leading bytes of a string, cut between characters."""
MAX_METADATA_INDEXES: Final = 10

MAX_VECTORS_PER_WRITE: Final = 5_000
MAX_VECTORS_PER_WRITE_IN_WORKER: Final = 1_000
"""Through a binding."""
MAX_UPLOAD_BYTES: Final = 100_000_000
MAX_IDS_PER_GET: Final = 20
MAX_IDS_PER_DELETE: Final = 100

DEFAULT_TOP_K: Final = 5
MAX_TOP_K: Final = 100
MAX_TOP_K_WITH_PAYLOAD: Final = 50
"""With ``return_values=True`` or ``return_metadata="all"``."""
MAX_FILTER_BYTES: Final = 2_048
"""Compact JSON of a filter must stay below this."""

DEFAULT_LIST_COUNT: Final = 100
MAX_LIST_COUNT: Final = 1_000
