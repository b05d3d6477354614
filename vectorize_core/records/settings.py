"""What the constructors of all stores take, as type checkers and editors see it."""

from collections.abc import Mapping
from typing import Any

from vectorize_core.client import IndexClient
from vectorize_core.connection import Limits
from vectorize_core.index import AsyncIndex, Index
from vectorize_core.models import IndexType, Metric
from vectorize_core.records.store import OnOversize
from vectorize_core.state.waiting import Wait
from vectorize_core.texts.reading import OnMissingText
from vectorize_core.texts.text_index import TextIndex
from vectorize_core.transport.http_options import HttpOptions


class StoreSettings(HttpOptions, total=False):
    """Which index a store is over, and how it is used; but for what only some constructors take."""

    client: IndexClient | None
    index: Index | AsyncIndex | None
    binding: Any
    limits: Limits | None
    namespace: str | None
    text_key: str
    text_index: TextIndex | bool | None
    on_oversize: OnOversize
    on_missing_text: OnMissingText
    metric: Metric | None
    metadata_indexes: Mapping[str, IndexType] | None
    batch_size: int | None
    wait: Wait
    wait_timeout: float
