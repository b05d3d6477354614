"""The REST core: every call of Cloudflare Vectorize, sync and async, and an embedded Vectorize.

`VectorizeClient` and `AsyncVectorizeClient` hold an account, `Index` and `AsyncIndex` one index.
``VectorizeClient.local()`` is the same with no account. What is in ``__all__`` is public; the
embedded service's own settings are in `vectorize_core.local`.
"""

from vectorize_core.client import AsyncVectorizeClient, VectorizeClient
from vectorize_core.errors import (
    ApiError,
    ApiMessage,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConnectionFailedError,
    IncompleteAnswerError,
    IndexExistsError,
    IndexNotFoundError,
    IndexReplacedError,
    InvalidFilterError,
    InvalidInputError,
    InvalidVectorError,
    MissingTextError,
    NotFoundError,
    PartialWriteError,
    PendingWritesWarning,
    RateLimitError,
    RecordRefusedError,
    RequestTimeoutError,
    ServerError,
    TooManyRequestsNeededError,
    UnexpectedAnswerError,
    UnindexedPropertyError,
    VectorizeError,
    WaitTimeoutError,
)
from vectorize_core.index import AsyncIndex, Index
from vectorize_core.models import (
    IdPage,
    IndexConfig,
    IndexDetails,
    IndexInfo,
    Match,
    MetadataIndex,
    Mutation,
    QueryResult,
    Vector,
)
from vectorize_core.transport.events import (
    BatchEvent,
    Event,
    RequestEvent,
    RetryEvent,
    WaitEvent,
)
from vectorize_core.transport.rate_limit import RateLimit
from vectorize_core.transport.retry import RetryPolicy
from vectorize_core.writes.estimate import WriteEstimate
from vectorize_core.writes.writing import BatchReport

__all__ = [
    "ApiError",
    "ApiMessage",
    "AsyncIndex",
    "AsyncVectorizeClient",
    "AuthenticationError",
    "BadRequestError",
    "BatchEvent",
    "BatchReport",
    "ConfigurationError",
    "ConnectionFailedError",
    "Event",
    "IdPage",
    "IncompleteAnswerError",
    "Index",
    "IndexConfig",
    "IndexDetails",
    "IndexExistsError",
    "IndexInfo",
    "IndexNotFoundError",
    "IndexReplacedError",
    "InvalidFilterError",
    "InvalidInputError",
    "InvalidVectorError",
    "Match",
    "MetadataIndex",
    "MissingTextError",
    "Mutation",
    "NotFoundError",
    "PartialWriteError",
    "PendingWritesWarning",
    "QueryResult",
    "RateLimit",
    "RateLimitError",
    "RecordRefusedError",
    "RequestEvent",
    "RequestTimeoutError",
    "RetryEvent",
    "RetryPolicy",
    "ServerError",
    "TooManyRequestsNeededError",
    "UnexpectedAnswerError",
    "UnindexedPropertyError",
    "Vector",
    "VectorizeClient",
    "VectorizeError",
    "WaitEvent",
    "WaitTimeoutError",
    "WriteEstimate",
]
