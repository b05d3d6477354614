"""The REST core: every call of Cloudflare Vectorize, sync and async, and an embedded Vectorize.

`VectorizeClient` and `AsyncVectorizeClient` hold an account, `Index` and `AsyncIndex` one index.
``VectorizeClient.local()`` is the same with no account. Public is what ``__all__`` names, here
and in `vectorize_core.local`, which holds the embedded service itself.
"""

from typing import TYPE_CHECKING

from vectorize_core.behavior import Behavior
from vectorize_core.client import AsyncVectorizeClient, IndexClient, VectorizeClient
from vectorize_core.connection import Connection, Limits
from vectorize_core.costs import CostEstimate, estimate_cost
from vectorize_core.errors import (
    ApiError,
    ApiMessage,
    AuthenticationError,
    BadRequestError,
    CheckpointMismatchError,
    ConfigurationError,
    ConnectionFailedError,
    EngineError,
    IncompleteAnswerError,
    IndexDamagedError,
    IndexExistsError,
    IndexNotFoundError,
    IndexReplacedError,
    InvalidFilterError,
    InvalidInputError,
    InvalidVectorError,
    LateRequestError,
    MissingTextError,
    NotFoundError,
    NotPersistedWarning,
    OversizedError,
    PartialIndexError,
    PartialIndexWarning,
    PartialWriteError,
    PendingWritesWarning,
    RateLimitError,
    RecordRefusedError,
    RecordsDifferError,
    RequestLimitWarning,
    RequestTimeoutError,
    ServerError,
    StorageError,
    TenantViewError,
    TextIndexWarning,
    TooManyRequestsNeededError,
    UnexpectedAnswerError,
    UnindexedPropertyError,
    UnreadableRecordError,
    UnsupportedByBindingError,
    UnsupportedCallError,
    VectorizeError,
    WaitTimeoutError,
)
from vectorize_core.filters import Expression, F, Where
from vectorize_core.filters.explain import Explanation
from vectorize_core.filters.plan import Unindexed
from vectorize_core.index import AsyncIndex, Index
from vectorize_core.layout import Record
from vectorize_core.models import (
    Filter,
    Id,
    IdPage,
    IndexConfig,
    IndexDetails,
    IndexInfo,
    IndexType,
    Match,
    Metadata,
    MetadataIndex,
    Metric,
    Mutation,
    Preset,
    QueryResult,
    ReturnMetadata,
    UnparsableBehavior,
    Values,
    Vector,
)
from vectorize_core.reads.raw import EnumerateOptions, QueryOptions
from vectorize_core.reads.selection import AnyFilter, FindOptions, Precision, SelectOptions
from vectorize_core.records.comparison import Comparison
from vectorize_core.records.fusion import Fusion
from vectorize_core.records.reading import CountOptions
from vectorize_core.records.store import AddOptions, OnOversize
from vectorize_core.state.lifecycle import CreateOptions
from vectorize_core.state.waiting import Wait, WaitOptions
from vectorize_core.texts import (
    D1TextIndex,
    D1Texts,
    SqliteTextIndex,
    SqliteTexts,
    TextExplanation,
    TextIndex,
    TextStore,
)
from vectorize_core.texts.reading import OnMissingText
from vectorize_core.texts.tokens import Tokenizer
from vectorize_core.transport.events import (
    BatchEvent,
    Event,
    OnEvent,
    RequestEvent,
    RetryEvent,
    WaitEvent,
)
from vectorize_core.transport.http_options import HttpOptions
from vectorize_core.transport.io import Io
from vectorize_core.transport.rate_limit import RateLimit
from vectorize_core.transport.retry import RetryPolicy
from vectorize_core.writes.by_filter import DeleteOptions
from vectorize_core.writes.checkpoint import Resume
from vectorize_core.writes.estimate import WriteEstimate
from vectorize_core.writes.progress import BatchReport, OnBatch
from vectorize_core.writes.sources import Records
from vectorize_core.writes.writing import WriteOptions

__all__ = [
    "AddOptions",
    "AnyFilter",
    "ApiError",
    "ApiMessage",
    "AsyncIndex",
    "AsyncVectorizeClient",
    "AuthenticationError",
    "BadRequestError",
    "BatchEvent",
    "BatchReport",
    "Behavior",
    "CheckpointMismatchError",
    "Comparison",
    "ConfigurationError",
    "Connection",
    "ConnectionFailedError",
    "CostEstimate",
    "CountOptions",
    "CreateOptions",
    "D1TextIndex",
    "D1Texts",
    "DeleteOptions",
    "EngineError",
    "EnumerateOptions",
    "Event",
    "Explanation",
    "Expression",
    "F",
    "Filter",
    "FindOptions",
    "Fusion",
    "HttpOptions",
    "Id",
    "IdPage",
    "IncompleteAnswerError",
    "Index",
    "IndexClient",
    "IndexConfig",
    "IndexDamagedError",
    "IndexDetails",
    "IndexExistsError",
    "IndexInfo",
    "IndexNotFoundError",
    "IndexReplacedError",
    "IndexType",
    "InvalidFilterError",
    "InvalidInputError",
    "InvalidVectorError",
    "Io",
    "LateRequestError",
    "Limits",
    "Match",
    "Metadata",
    "MetadataIndex",
    "Metric",
    "MissingTextError",
    "Mutation",
    "NotFoundError",
    "NotPersistedWarning",
    "OnBatch",
    "OnEvent",
    "OnMissingText",
    "OnOversize",
    "OversizedError",
    "PartialIndexError",
    "PartialIndexWarning",
    "PartialWriteError",
    "PendingWritesWarning",
    "Precision",
    "Preset",
    "QueryOptions",
    "QueryResult",
    "RateLimit",
    "RateLimitError",
    "Record",
    "RecordRefusedError",
    "Records",
    "RecordsDifferError",
    "RequestEvent",
    "RequestLimitWarning",
    "RequestTimeoutError",
    "Resume",
    "RetryEvent",
    "RetryPolicy",
    "ReturnMetadata",
    "SelectOptions",
    "ServerError",
    "SqliteTextIndex",
    "SqliteTexts",
    "StorageError",
    "TenantViewError",
    "TextExplanation",
    "TextIndex",
    "TextIndexWarning",
    "TextStore",
    "Tokenizer",
    "TooManyRequestsNeededError",
    "UnexpectedAnswerError",
    "Unindexed",
    "UnindexedPropertyError",
    "UnparsableBehavior",
    "UnreadableRecordError",
    "UnsupportedByBindingError",
    "UnsupportedCallError",
    "Values",
    "Vector",
    "VectorizeClient",
    "VectorizeError",
    "Wait",
    "WaitEvent",
    "WaitOptions",
    "WaitTimeoutError",
    "Where",
    "WriteEstimate",
    "WriteOptions",
    "__version__",
    "estimate_cost",
]

# Reprs, pickles and tracebacks name what users import. The modules of classes that have annotations
# do without ``from __future__ import annotations``, so that those are resolved here too.
for _export in map(globals().get, __all__):
    if isinstance(_export, (type, type(estimate_cost))):
        _export.__module__ = __name__

if TYPE_CHECKING:
    __version__: str
else:

    def __getattr__(name):
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        # Here and not above: it takes longer to load than the rest of this module.
        from importlib.metadata import version  # noqa: PLC0415

        return version("vectorize-stores")
