"""What the faces of a client share: who carries operations out, and what is known of indexes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from vectorize_core.place import Place
from vectorize_core.state.index_state import IndexState
from vectorize_core.transport.events import Events, OnEvent
from vectorize_core.transport.executor import Executor
from vectorize_core.transport.io import AsyncEmbedTexts, AsyncIo, EmbedTexts, SyncIo
from vectorize_core.transport.rate_limit import RateBudget
from vectorize_core.transport.retry import RetryPolicy

if TYPE_CHECKING:
    from vectorize_core.local import Behavior


class Connection:
    """An executor, with the retry policy, the rate budget and the events of both its faces.

    Pickles as its `Place`: the copy finds its secrets in the environment, and tells its events to
    nobody but the logger.
    """

    def __init__(
        self,
        executor: Executor,
        retry: RetryPolicy | None = None,
        *,
        budget: RateBudget | None = None,
        events: Events | None = None,
        place: Place | None = None,
    ) -> None:
        self.executor = executor
        self.retry = retry if retry is not None else RetryPolicy()
        self.budget = budget
        self.events = events if events is not None else Events()
        self.place = place if place is not None else Place(bound="it has an executor of its own")
        self._states: dict[str, IndexState] = {}

    def __reduce__(self) -> tuple[object, ...]:
        self.place.check_portable()
        return self.place.connect, ()

    def __copy__(self) -> Self:
        # Not by way of a pickle: it shares all that this one has.
        copied = object.__new__(type(self))
        vars(copied).update(vars(self))
        return copied

    def state(self, index_name: str) -> IndexState:
        """What is known of an index, the same object for all who ask."""
        state = self._states.get(index_name)
        if state is None:
            # Whichever of two threads is first. Not made each time: stores ask for every record.
            state = self._states.setdefault(index_name, IndexState(index_name))
        return state

    def io(self, embed: EmbedTexts | None = None) -> SyncIo:
        """The sync face of flows."""
        return SyncIo(self.executor, self.retry, embed, budget=self.budget, events=self.events)

    def async_io(self, embed: AsyncEmbedTexts | None = None) -> AsyncIo:
        """The async face of flows."""
        return AsyncIo(self.executor, self.retry, embed, budget=self.budget, events=self.events)

    def close(self) -> None:
        """Close the sync face; safe to call again."""
        self.executor.close()

    async def aclose(self) -> None:
        """Close both faces; safe to call again."""
        await self.executor.aclose()


def local_connection(
    path: str | os.PathLike[str] = ":memory:",
    *,
    behavior: Behavior | None = None,
    clock: Callable[[], float] = time.time,
    retry: RetryPolicy | None = None,
    on_event: OnEvent | None = None,
    exact: bool = False,
) -> Connection:
    """A connection to an embedded Vectorize, in memory or in the directory ``path``."""
    # Here and not above: who works on Cloudflare never loads the embedded service.
    from vectorize_core.local import Behavior, Service  # noqa: PLC0415
    from vectorize_core.local.executor import EmbeddedExecutor  # noqa: PLC0415

    behavior = behavior if behavior is not None else Behavior()
    service = Service(path, behavior=behavior, clock=clock, exact=exact)
    executor = EmbeddedExecutor(service, path)
    location, bound = os.fspath(path), ""
    if location == ":memory:":
        bound = "its vectors are in the memory of this process; path= names a directory"
    else:
        location = os.path.abspath(location)
        bound = "its clock was passed in" if clock is not time.time else ""
    options = {"behavior": behavior, "retry": retry, "exact": exact}
    place = Place(path=location, options=options, bound=bound)
    return Connection(executor, retry, events=Events(on_event), place=place)
