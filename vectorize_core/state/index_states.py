"""`IndexStates`: what a client knows of indexes, by their names."""

from __future__ import annotations

from typing import Final
from weakref import WeakValueDictionary

from vectorize_core import forks
from vectorize_core.state.index_state import IndexState
from vectorize_core.transport.capabilities import Capabilities

_FEW: Final = 1_000
"""States, of some kilobytes each, up to which none is looked at."""


class IndexStates:
    """The states of indexes, the same object for all who ask for a name.

    One that knows nothing, as of an index that was deleted or never was, is kept as long as anyone
    has it.
    """

    def __init__(self) -> None:
        self._kept: dict[str, IndexState] = {}
        self._left: WeakValueDictionary[str, IndexState] = WeakValueDictionary()
        self._most = _FEW
        self._changing = forks.lock()

    def get(self, name: str) -> IndexState | None:
        """The state of a name, if there is one."""
        return self._kept.get(name) or self._left.get(name)

    def of(self, name: str, place: str, capabilities: Capabilities) -> IndexState:
        """The state of a name, made if there is none."""
        state = self._kept.get(name)
        if state is None:
            # Threads may come here at once, so the first one decides.
            with self._changing:
                state = self.get(name) or IndexState(name, place, capabilities)
                if len(self._kept) >= self._most:
                    self._leave()
                self._kept[name] = state
        return state

    def _leave(self) -> None:
        """Keep no more what knows nothing; not again before there are twice as many as then."""
        for name, state in list(self._kept.items()):
            if state.knows_nothing:
                self._left[name] = state
                del self._kept[name]
        self._most = max(_FEW, 2 * len(self._kept))
