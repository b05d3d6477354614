"""A connection to a Vectorize, and the address by which a pickled one is opened again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Literal,
    Protocol,
    Self,
    TypeAlias,
    TypeVar,
    Unpack,
    cast,
)

from vectorize_core import paths
from vectorize_core.api import validation
from vectorize_core.api.coverage import CountUncovered
from vectorize_core.api.known_ids import KnownIds
from vectorize_core.api.operations import Op
from vectorize_core.api.pending import CountPending
from vectorize_core.api.scan import ScanStarts, ScanVectors
from vectorize_core.behavior import Behavior
from vectorize_core.errors import ConfigurationError, shown
from vectorize_core.models import IndexType, Metric
from vectorize_core.secret import hide
from vectorize_core.state import lifecycle
from vectorize_core.state.index_state import IndexState
from vectorize_core.state.index_states import IndexStates
from vectorize_core.state.metadata_indexes import check_metadata_indexes
from vectorize_core.transport.answer_body import MAX_ANSWER_BYTES
from vectorize_core.transport.capabilities import BINDING, Capabilities
from vectorize_core.transport.capabilities import CLOUDFLARE as CLOUDFLARE_CAPABILITIES
from vectorize_core.transport.credentials import find_credentials
from vectorize_core.transport.events import Events, OnEvent
from vectorize_core.transport.executor import Executor
from vectorize_core.transport.http_options import HttpOptions, check_options
from vectorize_core.transport.io import AsyncIo, SyncIo
from vectorize_core.transport.loopback import is_loopback
from vectorize_core.transport.rate_limit import CLOUDFLARE, RateLimiter
from vectorize_core.transport.retry import RetryPolicy
from vectorize_core.transport.turns import Turns

if TYPE_CHECKING:
    import httpx


EMBEDDED: Final[frozenset[type[Op[Any]]]] = frozenset(
    {CountPending, CountUncovered, KnownIds, ScanStarts, ScanVectors}
)
"""What the embedded Vectorize can be asked beyond the calls of the real one."""


class Closeable(Protocol):
    """What is closed for good, or until it is needed again."""

    def close(self) -> None:
        """Close it for good."""

    def release(self) -> None:
        """Close it until it is needed again."""


C = TypeVar("C", bound=Closeable)
Limits: TypeAlias = Literal["cloudflare"]
"""Whose limits of requests and of texts hold in an embedded Vectorize, which needs neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An embedded Vectorize at ``path``, or an account at a URL, and how to open it again.

    ``binding`` is what the binding of a Worker stands for. ``options`` are the other arguments
    that another process can use. ``unpicklable`` is the reason why another process cannot open the
    address, or empty.
    """

    path: str | None = None
    account_id: str | None = None
    base_url: str | None = None
    binding: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    unpicklable: str = ""

    def __str__(self) -> str:
        if self.binding:
            return f"the binding of {self.binding}"
        if self.path is not None:
            return f"embedded, {self.path}"
        return f"account {self.account_id!r} at {self.base_url}"

    @property
    def place(self) -> str:
        """Where the indexes are: the same for any process that reaches them."""
        if self.path is not None:
            return f"the directory {self.path}"
        if self.account_id is None or self.base_url is None:
            return ""
        # A server on this machine may have another port each time.
        at = "this machine" if is_loopback(self.base_url) else self.base_url
        return f"the account {self.account_id} at {at}"

    def connect(self) -> Connection:
        """A connection to this address, with credentials from the environment; no I/O."""
        if self.path is not None:
            return local_connection(self.path, **self.options)
        account_id, base_url = self.account_id, self.base_url
        try:
            return http_connection(account_id=account_id, base_url=base_url, **self.options)
        except ConfigurationError as error:
            raise ConfigurationError(f"secrets are not pickled, and here {error}") from None


class Connection:
    """An executor, what that can do, and what all calls over it share: retries, turns, events.

    Pickles as its `Address`: the copy takes its credentials from the environment, and has no
    ``on_event``.
    """

    def __init__(
        self,
        executor: Executor,
        retry: RetryPolicy | None = None,
        *,
        limiter: RateLimiter | None = None,
        turns: Turns | None = None,
        events: Events | None = None,
        address: Address | None = None,
        capabilities: Capabilities = CLOUDFLARE_CAPABILITIES,
    ) -> None:
        self.executor = executor
        self.retry = retry if retry is not None else RetryPolicy()
        self.limiter = limiter
        self.turns = turns
        self.events = events if events is not None else Events()
        self.address = address or Address(unpicklable="it has an executor of its own")
        self.capabilities = capabilities
        self._states = IndexStates()
        self._beside: dict[Callable[[str, Limits | None], Closeable], Closeable] = {}

    def __reduce__(self) -> tuple[object, ...]:
        if self.address.unpicklable:
            reason = self.address.unpicklable
            raise ConfigurationError(f"this connection cannot be pickled: {reason}")
        # Of what stands beside it, a store may have a part.
        return self.address.connect, (), {"_beside": self._beside} if self._beside else None

    def __copy__(self) -> Self:
        # Not by __reduce__: a copy shares all that this connection has.
        copied = object.__new__(type(self))
        vars(copied).update(vars(self))
        return copied

    def state(self, index_name: str) -> IndexState:
        """What is known of an index; the same object for every call.

        `InvalidInputError` for a name that no index can have.
        """
        index_name = validation.check_index_name(index_name)
        return self._states.of(index_name, self.address.place, self.capabilities)

    def beside(self, kind: Callable[[str, Limits | None], C]) -> C | None:
        """What ``kind`` makes of path and limits of an embedded connection, closed with it.

        None if the connection leads elsewhere.
        """
        path, found = self.address.path, self._beside.get(kind)
        if found is None and path is not None:
            found = self._beside.setdefault(kind, kind(path, self.address.options.get("limits")))
        return cast("C | None", found)

    def io(self) -> SyncIo:
        """The `Io` of sync calls."""
        return SyncIo(self.executor, self.retry, **self._shared)

    def async_io(self) -> AsyncIo:
        """The `Io` of async calls."""
        return AsyncIo(self.executor, self.retry, **self._shared)

    @property
    def _shared(self) -> dict[str, Any]:
        return {
            "limiter": self.limiter,
            "turns": self.turns,
            "events": self.events,
            "on_missing_index": self._forget_index,
        }

    def _forget_index(self, name: str) -> None:
        """Forget an index that another client has deleted."""
        state = self._states.get(name)
        if state is not None:
            state.forget()

    def close(self) -> None:
        """Close it, in every thread and event loop; safe to call again."""
        self.executor.close()
        for beside in self._beside.values():
            beside.close()

    async def aclose(self) -> None:
        """Close it in the running event loop, and what nothing else uses; safe to call again."""
        await self.executor.aclose()
        for beside in self._beside.values():
            await self.async_io().offload(beside.release)


def http_connection(
    *,
    transport: httpx.BaseTransport | None = None,
    async_transport: httpx.AsyncBaseTransport | None = None,
    **options: Unpack[HttpOptions],
) -> Connection:
    """A connection to Cloudflare, or to a server that speaks its API. See `VectorizeClient`."""
    hide(cast("dict[str, Any]", options))
    check_options(options)
    credentials = find_credentials(
        account_id=options.get("account_id"),
        api_token=options.get("api_token"),
        api_key=options.get("api_key"),
        email=options.get("email"),
        base_url=options.get("base_url"),
    )
    # Imported here, so that embedded use does not load httpx, nor look for it in a Worker.
    from vectorize_core.transport.http import HttpExecutor  # noqa: PLC0415

    timeout, retry = options.get("timeout"), options.get("retry")
    most = options.get("max_answer_bytes", MAX_ANSWER_BYTES)
    injected: dict[str, Any] = {
        "http_client": options.get("http_client"),
        "async_http_client": options.get("async_http_client"),
        "transport": transport,
        "async_transport": async_transport,
    }
    executor = HttpExecutor(credentials, timeout=timeout, max_answer_bytes=most, **injected)
    rate_limit = options.get("rate_limit", CLOUDFLARE)
    if rate_limit is CLOUDFLARE and is_loopback(credentials.base_url):
        rate_limit = None
    is_injected = any(value is not None for value in injected.values())
    address = Address(
        account_id=credentials.account_id,
        base_url=credentials.base_url,
        options={
            "timeout": timeout,
            "max_answer_bytes": most,
            "retry": retry,
            "rate_limit": rate_limit,
        },
        unpicklable="it uses an injected httpx client or transport" if is_injected else "",
    )
    limiter, events = RateLimiter(rate_limit), Events(options.get("on_event"))
    return Connection(
        executor, retry, limiter=limiter, turns=Turns(), events=events, address=address
    )


def local_connection(
    path: str | os.PathLike[str] = ":memory:",
    *,
    behavior: Behavior | None = None,
    clock: Callable[[], float] = time.time,
    retry: RetryPolicy | None = None,
    on_event: OnEvent | None = None,
    limits: Limits | None = None,
) -> Connection:
    """A connection to an embedded Vectorize, in memory or in the directory ``path``."""
    # Imported here, so that use of Cloudflare does not load the embedded service.
    from vectorize_core.local import Service  # noqa: PLC0415
    from vectorize_core.local.executor import EmbeddedExecutor  # noqa: PLC0415

    check_options(HttpOptions(retry=retry, on_event=on_event))
    if behavior is not None and not isinstance(behavior, Behavior):
        raise ConfigurationError(f"behavior is a Behavior; got {shown(behavior)}")
    check_limits(limits)
    behavior = behavior if behavior is not None else Behavior()
    location, reason = paths.absolute_or_memory(path), ""
    service = Service(location, behavior=behavior, clock=clock)
    executor = EmbeddedExecutor(service, location)
    if location == paths.MEMORY:
        reason = "its vectors are in the memory of this process; path= names a directory"
    elif clock is not time.time:
        reason = "its clock was passed in"
    options = {"behavior": behavior, "retry": retry, "limits": limits}
    address = Address(path=location, options=options, unpicklable=reason)
    events = Events(on_event)
    return Connection(
        executor,
        retry,
        events=events,
        address=address,
        capabilities=Capabilities(operations=EMBEDDED, free_requests=limits is None),
    )


def binding_connection(
    binding: Any,
    index_name: str | None = None,
    *,
    metric: Metric | None = None,
    metadata_indexes: Mapping[str, IndexType] | None = None,
    record_layout: bool = True,
    description: str = "",
    timeout: float | None = None,
    retry: RetryPolicy | None = None,
    on_event: OnEvent | None = None,
) -> Connection:
    """A connection to the index of a Worker's binding. See `AsyncVectorizeClient.from_binding`."""
    # Imported here, as most clients have no use for it.
    from vectorize_core.binding.executor import BindingExecutor, Declared  # noqa: PLC0415

    check_options(HttpOptions(retry=retry, on_event=on_event))
    name = None if index_name is None else validation.check_index_name(index_name)
    if metric is not None:
        lifecycle.check_metric(metric)
    validation.text("description", description)
    called, given = name or "of the binding", {} if metadata_indexes is None else metadata_indexes
    check_metadata_indexes(called, given)
    layout = validation.flag("record_layout", record_layout)
    indexes = lifecycle.with_layout(given) if layout else dict(given)
    check_metadata_indexes(called, indexes)
    metric = metric if metric is not None else "cosine"
    declared = Declared(name, metric, indexes, description)
    return Connection(
        BindingExecutor(binding, declared, timeout),
        retry,
        events=Events(on_event),
        address=_bound_address("an index" if name is None else f"the index {name!r}"),
        capabilities=BINDING,
    )


def d1_connection(binding: Any) -> Connection:
    """A connection to the D1 database of a Worker's binding."""
    from vectorize_core.binding.d1 import D1Executor  # noqa: PLC0415

    return Connection(D1Executor(binding), address=_bound_address("a D1 database"))


def _bound_address(what: str) -> Address:
    reason = "a binding belongs to the Worker that it was given to; take it from env there"
    return Address(binding=what, unpicklable=reason)


def check_limits(limits: Limits | None) -> None:
    """Either "cloudflare" or None; `ConfigurationError` otherwise."""
    if limits is not None and not (isinstance(limits, str) and limits == "cloudflare"):
        raise ConfigurationError(f"limits is 'cloudflare' or None; got {shown(limits)}")
